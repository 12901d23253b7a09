// SPDX-License-Identifier: Apache-2.0
// Adit: Simulation

import AditIKE
import AditWire

// Addresses that come, go and change.

extension Simulation {
    /// A gateway has these addresses from now on, the preferred first, and hears of it after `delay`.
    package func readdress(_ index: Int, _ addresses: [IPAddress], after delay: Duration = .zero) {
        let gateway = gateways[index]
        let names = addresses.map(\.description).joined(separator: ", ")
        note("\(gateway.name) has \(addresses.isEmpty ? "no address" : names)")
        gateway.host.addresses = addresses
        network.assign(addresses, to: index)
        queue.add(.addresses(gateway: index), at: now + delay)
    }

    func tellAddresses(_ gateway: SimulatedGateway) {
        hand(.addressesChanged(gateway.host.addresses.map { HostAddress($0, isOuter: true) }), to: gateway)
    }
}
