// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Testing

@testable import AditIKE

@Suite struct ReauthenticationTests {
    /// Lets time pass under traffic both ways every 5 ms; packets overtake IKE messages.
    private func flow(_ pair: IKEPair, seconds: Int, children: [String] = ["n"]) {
        for _ in 0..<seconds * 200 {
            for node in 0..<2 {
                for child in children { pair.sendTraffic(node, child) }
            }
            pair.run(0.005)
        }
    }

    private func spi(_ pair: IKEPair, _ node: Int) -> UInt64? {
        pair.nodes[node].endpoint.status()[0].ikeSA?.initiatorSPI
    }

    @Test(
        "the initiator authenticates anew, make before break: no packet is lost (RFC 7296 §2.8.3)",
        arguments: [1, 3], ConnectionConfiguration.UniquePolicy.allCases)
    func makeBeforeBreak(children: Int, unique: ConnectionConfiguration.UniquePolicy) {
        let pair = IKEPair(
            seed: 930, network: Network(delay: 5...60),
            Sides.pair {
                $0.reauthTime = .seconds(20)
                ($0.unique, $1.unique) = (unique, unique)
                for index in 1..<max(children, 1) {
                    $0.children.append(Sides.child("n\(index)", "10.1.0.0/16", "10.2\(index).0.0/16"))
                    $1.children.append(Sides.child("n\(index)", "10.2\(index).0.0/16", "10.1.0.0/16"))
                }
            }
        ).connected(children: children)
        let before = Set(pair.nodes[0].children.keys)
        let old = spi(pair, 0)
        pair.run(17)
        flow(pair, seconds: 6, children: ["n"] + (1..<max(children, 1)).map { "n\($0)" })
        pair.run(10)
        #expect(spi(pair, 0) != old && spi(pair, 0) == spi(pair, 1), "\(pair.story)")
        #expect(pair.nodes.map(\.blackholed) == [0, 0], "\(pair.story)")
        #expect(Set(pair.nodes[0].children.keys).isDisjoint(with: before))
        #expect(pair.nodes.allSatisfy { $0.children.count == children && $0.endpoint.childSACount == children })
        #expect(pair.mirrored() == nil)
        // Without INITIAL_CONTACT, which would have told the peer to forget the old one.
        #expect(pair.nodes.allSatisfy { node in !node.reports.contains { $0.name.contains("INITIAL_CONTACT") } })
        // And again and again, while nothing piles up.
        pair.traced = false
        pair.run(200)
        #expect(pair.nodes.allSatisfy { $0.children.count <= 2 * children && $0.endpoint.ikeSACount <= 3 })
        #expect(pair.problems == [])
    }

    @Test("AUTH_LIFETIME: the responder announces it, the initiator obeys in time (RFC 4478 §2)")
    func announced() {
        let pair = IKEPair(
            seed: 931, network: Network(delay: 5...60),
            Sides.pair {
                $1.reauthTime = .seconds(60)
                $1.remoteAddresses = []
                _ = $0
            }
        ).connected()
        let old = spi(pair, 0)
        pair.run(50)
        #expect(spi(pair, 0) == old)
        pair.run(9)
        #expect(spi(pair, 0) != old, "\(pair.story)")
        #expect(pair.reports(1).allSatisfy { !$0.contains("failed") })
        pair.run(300)
        #expect(pair.nodes.allSatisfy { $0.children.count == 1 && $0.failures.isEmpty }, "\(pair.story)")
        #expect(pair.problems == [])
    }

    @Test("AUTH_LIFETIME in INFORMATIONAL, of zero too, from the original responder only (RFC 4478 §2)")
    func announcedLater() throws {
        for node in 0..<2 {
            let pair = IKEPair(seed: 932, Sides.pair()).connected()
            pair.run(10)
            let old = spi(pair, 0)
            let notify = NotifyPayload(.authLifetime, data: [0, 0, 0, 0])
            pair.inject(try #require(pair.forge(1 - node, .informational, [.notify(notify)])), to: node)
            pair.run(2)
            #expect((spi(pair, 0) != old) == (node == 0), "\(pair.story)")
        }
    }

    @Test("a peer that does not authenticate anew in time is let go, and only then (RFC 4478 §2)")
    func late() {
        let pair = IKEPair(
            seed: 933,
            Sides.pair {
                $1.reauthTime = .seconds(100)
                _ = $0
            }
        ).connected()
        // This initiator pays no heed.
        let spi = pair.nodes[0].endpoint.connections.id(named: "c").flatMap {
            pair.nodes[0].endpoint.connections[$0]?.newest
        }
        if let spi { pair.nodes[0].endpoint.timers.cancel(.reauthenticate(spi)) }
        pair.run(155)
        #expect(pair.nodes[1].established())
        pair.run(10)
        #expect(pair.nodes.allSatisfy { $0.children.isEmpty }, "\(pair.story)")
        #expect(pair.codes(1) == [.authenticationFailed])
    }

    @Test("what cannot authenticate anew goes on for a tenth longer, retries, and is then closed")
    func refused() {
        let pair = IKEPair(
            seed: 934,
            Sides.pair {
                $0.reauthTime = .seconds(200)
                _ = $1
            }
        ).connected()
        // B no longer takes A's secret: its connection is as it was, its secret is not.
        var endpoint = pair.nodes[1].endpoint
        let id = endpoint.connections.id(named: "c")!
        var changed = endpoint.connections[id]!.configuration
        changed.authentication = .preSharedKey(SecretBytes(Array("another".utf8)))
        var replaced = ConnectionTable()
        _ = replaced.add(changed)
        replaced[id]?.established = endpoint.connections[id]!.established
        endpoint.connections = replaced
        pair.nodes[1].endpoint = endpoint
        pair.run(205)
        #expect(pair.codes(0).count >= 1 && pair.nodes[0].established(), "\(pair.story)")
        #expect(pair.nodes[0].children.count == 1)
        pair.run(60)
        #expect(!pair.nodes[0].established() && pair.nodes[0].children.isEmpty, "\(pair.story)")
        #expect(pair.codes(0).contains(.authenticationFailed))
    }

    @Test("authenticating anew over a bad network ends with one IKE SA and loses nothing", arguments: 0..<20)
    func badNetwork(seed: UInt64) {
        let pair = IKEPair(
            seed: 940 + seed, network: Network(loss: 0.2, duplication: 0.2, delay: 5...400),
            Sides.pair {
                $0.reauthTime = .seconds(60)
                $0.children.append(Sides.child("n1", "10.1.0.0/16", "10.21.0.0/16"))
                $1.children.append(Sides.child("n1", "10.21.0.0/16", "10.1.0.0/16"))
            })
        pair.command(.initiate(connection: "c", child: nil), 0)
        #expect(pair.run(100) { pair.nodes.allSatisfy { $0.established() && $0.children.count == 2 } })
        let old = spi(pair, 0)
        // The peer rekeys at the worst moments.
        for second in [52, 55, 58] {
            pair.schedule(.event(.command(.rekeyIKE(connection: "c")), to: 1), after: UInt64(second * 1000))
            pair.schedule(.event(.command(.rekeyChildren(connection: "c")), to: 1), after: UInt64(second * 1000 + 700))
        }
        pair.run(50)
        flow(pair, seconds: 25, children: ["n", "n1"])
        pair.run(20)
        #expect(spi(pair, 0) != old)
        #expect(pair.nodes.map(\.blackholed) == [0, 0], "\(pair.story)")
        pair.network = Network()
        pair.nodes[0].endpoint.timers.cancel(
            .reauthenticate(
                pair.nodes[0].endpoint.connections.ids.first.flatMap { pair.nodes[0].endpoint.connections[$0]?.newest }
                    ?? .zero))
        pair.run(100)
        #expect(pair.nodes.allSatisfy { $0.endpoint.ikeSACount == 1 && $0.children.count == 2 }, "\(pair.story)")
        #expect(pair.mirrored() == nil)
        #expect(pair.problems == [])
    }

    @Test("the next of several remote addresses is tried at once, and the working one is kept")
    func severalAddresses() {
        let pair = IKEPair(
            seed: 960,
            Sides.pair {
                $0.remoteAddresses = [IKEPair.address(7), IKEPair.address(8), IKEPair.address(1)]
                _ = $1
            })
        pair.command(.initiate(connection: "c", child: nil), 0)
        #expect(pair.run(15) { pair.nodes[0].established() }, "\(pair.story)")
        #expect(pair.codes(0) == [.peerUnreachable, .peerUnreachable])
        #expect(pair.nodes[0].endpoint.status()[0].ikeSA?.remote.address == IKEPair.address(1))
        // Authenticating anew goes to where the peer is, not through the list again.
        let waited = pair.now
        let spi = pair.nodes[0].endpoint.ikeSAs.spis[0]
        pair.nodes[0].endpoint.timers.set(.reauthenticate(spi), at: pair.time)
        pair.run(5)
        #expect(pair.nodes[0].endpoint.status()[0].ikeSA?.initiatorSPI != spi.rawValue && pair.now > waited)
        #expect(pair.codes(0).count == 2)
    }
}
