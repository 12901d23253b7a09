// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks

import AditCrypto
import AditIKE
import AditWire

/// Two IKE machines in memory that set up an IKE SA and a Child SA: both ends' work, without network and data plane.
public final class HandshakeSubject {
    private static let addresses = [IPAddress(v4: 0xc000_0201), IPAddress(v4: 0xc000_0202)]

    private let entropy: EntropySource

    /// Both ends, with keys of their own at each run.
    public init() {
        entropy = EntropySource { count in (0..<count).map { _ in UInt8.random(in: .min ... .max) } }
    }

    /// One IKE_SA_INIT and one IKE_AUTH; how many Child SAs were installed (2: one at each end).
    public func run() -> Int {
        var machines = [0, 1].map { IKEEndpoint(connections: [Self.connection($0)], entropy: entropy) }
        var effects: [IKEEffect] = []
        var queue: [(to: Int, bytes: [UInt8], local: Endpoint, remote: Endpoint)] = []
        var installed = 0
        var now = Timestamp(nanoseconds: 1_000_000_000)
        func perform(_ from: Int) {
            for effect in effects {
                switch effect {
                case .send(let bytes, let local, let remote):
                    let source = Endpoint(Self.addresses[from], port: local.port)
                    queue.append((1 - from, bytes, Endpoint(Self.addresses[1 - from], port: remote.port), source))
                case .installChild: installed += 1
                default: break
                }
            }
            effects = []
        }
        machines[0].handle(.command(.initiate(connection: "c", child: nil)), now: now, into: &effects)
        perform(0)
        while !queue.isEmpty, installed < 4 {
            let (to, bytes, local, remote) = queue.removeFirst()
            now = Timestamp(nanoseconds: now.nanoseconds + 1000)
            machines[to].handle(.datagram(bytes, local: local, remote: remote), now: now, into: &effects)
            perform(to)
        }
        return installed
    }

    private static func connection(_ side: Int) -> ConnectionConfiguration {
        let selectors = [0x0a01_0000, 0x0a02_0000].compactMap {
            IPPrefix(IPAddress(v4: UInt32($0)), length: 16).map { TrafficSelector($0) }
        }
        var child = ChildConfiguration(
            name: "c", localSelectors: [selectors[side]], remoteSelectors: [selectors[1 - side]])
        child.startAction = .none
        var connection = ConnectionConfiguration(
            name: "c", authentication: .preSharedKey(SecretBytes(Array("a secret of the benchmark".utf8))),
            children: [child])
        connection.localAddresses = [addresses[side]]
        connection.remoteAddresses = [addresses[1 - side]]
        connection.localID = .fqdn(side == 0 ? "a.example" : "b.example")
        connection.remoteID = .fqdn(side == 0 ? "b.example" : "a.example")
        return connection
    }
}
