// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Testing

@testable import AditIKE

@Suite struct RekeyTests {
    private func settled(_ pair: IKEPair) {
        #expect(pair.nodes.allSatisfy { $0.children.count == 1 && $0.established() }, "\(pair.story)")
        #expect(pair.mirrored() == nil)
        #expect(pair.problems == [])
        #expect(pair.nodes.allSatisfy { $0.endpoint.ikeSACount == 1 && $0.endpoint.childSACount == 1 })
    }

    @Test("a child is rekeyed by either side, make before break (RFC 7296 §2.8)", arguments: [0, 1])
    func child(side: Int) {
        let pair = IKEPair(seed: 20, network: Network(delay: 5...60), Sides.pair()).connected()
        let before = Set(pair.nodes[0].children.keys)
        // Traffic in both directions all the time: none may be lost, though packets overtake IKE messages.
        for step in 0..<400 {
            for node in 0..<2 { pair.schedule(.traffic(from: node, child: "n"), after: UInt64(step * 3)) }
        }
        pair.command(.rekeyChildren(connection: "c"), side)
        pair.run(30)
        settled(pair)
        #expect(Set(pair.nodes[0].children.keys).isDisjoint(with: before))
        #expect(pair.nodes.map(\.blackholed) == [0, 0], "\(pair.story)")
    }

    @Test("the responder of a silent peer asks whether its answer arrived, and rekeys")
    func responderAtOnce() {
        let pair = IKEPair(seed: 24, Sides.pair()).connected()
        let before = Set(pair.nodes[1].children.keys)
        pair.command(.rekeyChildren(connection: "c"), 1)
        pair.run(8)
        settled(pair)
        #expect(Set(pair.nodes[1].children.keys).isDisjoint(with: before))
    }

    @Test("the IKE SA is rekeyed by either side; children stay (RFC 7296 §2.18)", arguments: [0, 1])
    func ike(side: Int) {
        let pair = IKEPair(seed: 21, Sides.pair()).connected()
        let children = Set(pair.nodes[0].children.keys)
        let spi = pair.nodes[0].endpoint.status()[0].ikeSA?.initiatorSPI
        pair.command(.rekeyIKE(connection: "c"), side)
        pair.run(60)
        settled(pair)
        #expect(Set(pair.nodes[0].children.keys) == children)
        let status = pair.nodes.map { $0.endpoint.status()[0].ikeSA }
        #expect(status[0]?.initiatorSPI != spi)
        #expect(status[0]?.initiatorSPI == status[1]?.initiatorSPI)
        #expect(status[side]?.role == .initiator)
        #expect(pair.reports(1 - side).contains("ikeRekeyed"))
        // And once more, on the new one, which then carries children's rekeys too.
        pair.command(.rekeyIKE(connection: "c"), 1 - side)
        pair.run(60)
        pair.command(.rekeyChildren(connection: "c"), side)
        pair.run(60)
        settled(pair)
    }

    @Test("a request and a response of one Message ID come in fragments at once (RFC 7383 §2.6)", arguments: 0..<10)
    func simultaneousFragments(seed: UInt64) {
        let many = { (third: Int) in (0..<120).map { Sides.selector("10.\(third).\($0).0/24") } }
        let sides = Sides.pair { left, right in
            (left.children[0].localSelectors, left.children[0].remoteSelectors) = (many(1), many(2))
            (right.children[0].localSelectors, right.children[0].remoteSelectors) = (many(2), many(1))
        }
        let pair = IKEPair(seed: 900 + seed, network: Network(delay: 1...40), sides).connected()
        // From then on both sides' requests have the same Message IDs.
        pair.command(.rekeyChildren(connection: "c"), 1)
        pair.run(60)
        settled(pair)
        for node in 0..<2 { pair.command(.rekeyChildren(connection: "c"), node) }
        pair.run(90)
        settled(pair)
        #expect(pair.nodes.allSatisfy { $0.failures.isEmpty }, "\(pair.story)")
    }

    @Test("a peer that rekeys the IKE SA without end keeps no more than three")
    func ikeWithoutEnd() {
        let pair = IKEPair(seed: 25, Sides.pair()).connected()
        for _ in 0..<20 {
            pair.command(.rekeyIKE(connection: "c"), 0)
            pair.run(0.5)
            #expect(pair.nodes[1].endpoint.ikeSACount <= 3)
        }
        pair.run(60)
        settled(pair)
    }

    @Test("both rekey a child at once: one survives (RFC 7296 §2.8.1)", arguments: 0..<20)
    func simultaneousChild(seed: UInt64) {
        let pair = IKEPair(seed: 300 + seed, network: Network(delay: 1...200), Sides.pair()).connected()
        pair.command(.rekeyChildren(connection: "c"), 0)
        pair.command(.rekeyChildren(connection: "c"), 1)
        pair.run(120)
        settled(pair)
        #expect(pair.nodes.allSatisfy { $0.outbound("n") != nil })
    }

    @Test("both rekey the IKE SA at once: one survives and has the children (RFC 7296 §2.8.2)", arguments: 0..<20)
    func simultaneousIKE(seed: UInt64) {
        let pair = IKEPair(seed: 400 + seed, network: Network(delay: 1...200), Sides.pair()).connected()
        pair.command(.rekeyIKE(connection: "c"), 0)
        pair.command(.rekeyIKE(connection: "c"), 1)
        pair.run(120)
        settled(pair)
        let status = pair.nodes.map { $0.endpoint.status()[0].ikeSA }
        #expect(status[0]?.initiatorSPI == status[1]?.initiatorSPI)
    }

    @Test("SAs are rekeyed by time with jitter, and by the data plane's counters")
    func byTime() {
        let pair = IKEPair(
            seed: 22,
            Sides.pair {
                $0.children[0].rekeyTime = .seconds(100)
                $0.ikeRekeyTime = .seconds(250)
                $1.children[0].rekeyTime = .zero
            }
        ).connected()
        let first = Set(pair.nodes[0].children.keys)
        pair.run(89)
        #expect(Set(pair.nodes[0].children.keys) == first)
        pair.run(17)
        #expect(Set(pair.nodes[0].children.keys).isDisjoint(with: first))
        pair.run(1000)
        settled(pair)
        #expect(pair.nodes[0].usedSPIs.count >= 10)
        #expect(pair.reports(1).filter { $0 == "ikeRekeyed" }.count >= 4)
        #expect(pair.nodes[0].failures.isEmpty && pair.nodes[1].failures.isEmpty)
        let current = pair.nodes[1].children.keys.first
        pair.event(.lifetimeReached(inboundSPI: current ?? SPI(rawValue: 0)), 1)
        pair.run(10)
        settled(pair)
        #expect(pair.nodes[1].children.keys.first != current)
    }

    @Test("a rekey of a child that the peer does not know is CHILD_SA_NOT_FOUND; a new one is made (RFC 7296 §2.25)")
    func childNotFound() {
        let pair = IKEPair(seed: 23, Sides.pair()).connected()
        // Node 1 forgets the child.
        let node = pair.nodes[1]
        var effects: [IKEEffect] = []
        node.endpoint.withIKESA(node.endpoint.ikeSAs.spis[0]) { endpoint, sa in endpoint.removeChild(at: 0, &sa) }
        swap(&effects, &node.endpoint.effects)
        pair.perform(effects, 1)
        #expect(node.children.isEmpty)
        pair.command(.rekeyChildren(connection: "c"), 0)
        pair.run(30)
        settled(pair)
    }

    @Test("rekeying with another group leads through INVALID_KE_PAYLOAD (RFC 7296 §1.3)")
    func otherGroup() throws {
        let both = try Proposal(parsing: "aes128gcm16-x25519-ecp256", for: .esp, allowLegacy: false)
        let one = try Proposal(parsing: "aes128gcm16-ecp256", for: .esp, allowLegacy: false)
        let pair = IKEPair(
            seed: 24,
            Sides.pair {
                $0.children[0].proposals = [both]; $1.children[0].proposals = [one]
            }
        ).connected()
        let before = pair.nodes[0].children.keys.first
        pair.command(.rekeyChildren(connection: "c"), 0)
        pair.run(10)
        settled(pair)
        #expect(pair.nodes[0].children.keys.first != before)
        #expect(pair.nodes[0].endpoint.status()[0].children[0].proposal == "aes128gcm16-ecp256")
    }
}
