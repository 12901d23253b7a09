// SPDX-License-Identifier: Apache-2.0
// Adit: Simulation

import AditCrypto
import AditIKE
import AditWire

/// The configurations of two sites that fit.
package enum Sites {
    /// The name of the connection on both sides.
    package static let connection = "c"

    /// The name of the child with this number, on both sides.
    package static func child(_ number: Int) -> String { number == 0 ? "n" : "n\(number)" }

    /// The name of a child that only one side knows: nothing is sent on it.
    package static let stranger = "stranger"

    /// Where gateway A, B, … is.
    package static func address(_ gateway: Int) -> IPAddress { IPAddress(v4: 0xc000_0201 + UInt32(gateway)) }

    /// Another address of a gateway, on another network.
    package static func otherAddress(_ gateway: Int) -> IPAddress { IPAddress(v4: 0xc633_6401 + UInt32(gateway)) }

    /// Every address that a gateway can have, the first being where it begins.
    package static func places(_ gateway: Int) -> [IPAddress] {
        [address(gateway), otherAddress(gateway), IPAddress(v4: 0xc612_0001 + UInt32(gateway) * 256)]
    }

    /// The address of the NAT before a gateway.
    package static func outside(_ gateway: Int, _ number: Int = 0) -> IPAddress {
        IPAddress(v4: 0xcb00_7101 + UInt32(gateway) + UInt32(number) * 16)
    }

    /// The connections of A and B with `children` children; nothing starts by itself.
    package static func pair(
        children: Int = 1,
        _ change: (inout ConnectionConfiguration, inout ConnectionConfiguration) -> Void = { _, _ in }
    ) -> [[ConnectionConfiguration]] {
        var sides = [site(0, children), site(1, children)]
        var (left, right) = (sides[0], sides[1])
        change(&left, &right)
        sides = [left, right]
        return sides.map { [$0] }
    }

    private static func site(_ gateway: Int, _ children: Int) -> ConnectionConfiguration {
        let secret = SecretBytes(Array("a secret of both".utf8))
        let names = ["a.example", "b.example"]
        var connection = ConnectionConfiguration(
            name: Self.connection, authentication: .preSharedKey(secret),
            children: (0..<children).map { number in
                let nets = [selectors("10.1.\(number).0/24"), selectors("10.2.\(number).0/24")]
                var child = ChildConfiguration(
                    name: Self.child(number), localSelectors: nets[gateway], remoteSelectors: nets[1 - gateway])
                child.startAction = .none
                return child
            })
        connection.localAddresses = [address(gateway)]
        connection.remoteAddresses = [address(1 - gateway)]
        connection.localID = .fqdn(names[gateway])
        connection.remoteID = .fqdn(names[1 - gateway])
        return connection
    }

    private static func selectors(_ text: String) -> [TrafficSelector] {
        IPPrefix(text).map { [TrafficSelector($0)] } ?? []
    }
}
