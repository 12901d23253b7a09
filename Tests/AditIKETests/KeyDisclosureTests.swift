// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Simulation
import Testing

@testable import AditIKE

/// Keys leave the machine only where it was asked for, and then those of every IKE SA.
@Suite struct KeyDisclosureTests {
    /// Runs a handshake and a rekey of the IKE SA; gives what each side disclosed.
    private func disclosures(_ disclose: [Bool]) -> [[IKEKeyDisclosure]] {
        let configurations = Sides.pair()
        var endpoints = disclose.enumerated().map { index, flag in
            IKEEndpoint(
                connections: configurations[index], entropy: SeededEntropy(UInt64(index + 7)).source,
                disclosesKeys: flag)
        }
        var found: [[IKEKeyDisclosure]] = [[], []]
        var now = Timestamp(nanoseconds: 1_000_000_000)
        func run(_ event: IKEEvent, _ node: Int) {
            var queue: [(IKEEvent, Int)] = [(event, node)]
            for _ in 0..<100 where !queue.isEmpty {
                let (event, node) = queue.removeFirst()
                var effects: [IKEEffect] = []
                now = now + .milliseconds(1)
                endpoints[node].handle(event, now: now, into: &effects)
                for effect in effects {
                    switch effect {
                    case .send(let bytes, let local, let remote):
                        let from = Endpoint(IKEPair.address(node), port: local.port)
                        queue.append((.datagram(bytes, local: remote, remote: from), 1 - node))
                    case .disclose(let keys): found[node].append(keys)
                    default: break
                    }
                }
            }
        }
        run(.command(.initiate(connection: "c", child: nil)), 0)
        run(.command(.rekeyIKE(connection: "c")), 0)
        return found
    }

    @Test func onlyAnEndpointThatWasAskedTellsItsKeys() {
        let found = disclosures([true, false])
        #expect(found[0].count == 2, "the IKE SA and its successor")
        #expect(found[1].isEmpty)
    }

    @Test func bothSidesTellTheSame() {
        let found = disclosures([true, true])
        #expect(found[0].count == 2 && found[1].count == 2)
        for (ours, theirs) in zip(found[0], found[1]) {
            #expect(ours.initiatorSPI == theirs.initiatorSPI && ours.responderSPI == theirs.responderSPI)
            #expect(ours.keys == theirs.keys && ours.suite == theirs.suite)
        }
        #expect(found[0].first?.keys != found[0].last?.keys)
    }
}
