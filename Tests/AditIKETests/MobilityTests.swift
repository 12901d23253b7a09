// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Testing

@testable import AditIKE

/// MOBIKE between two machines (RFC 4555).
@Suite struct MobilityTests {
    static let a1 = IKEPair.address(0)
    static let b1 = IKEPair.address(1)
    static let a2 = IPAddress(v4: 0xc633_6401)
    static let b2 = IPAddress(v4: 0xc633_6402)

    /// Two machines without configured local addresses, which know their own; A decides.
    static func pair(
        _ seed: UInt64, first: [IPAddress] = [a1], second: [IPAddress] = [b1], limits: IKELimits = IKELimits(),
        _ change: (inout ConnectionConfiguration, inout ConnectionConfiguration) -> Void = { _, _ in }
    ) -> IKEPair {
        let pair = IKEPair(
            seed: seed,
            Sides.pair { left, right in
                left.localAddresses = []
                right.localAddresses = []
                change(&left, &right)
            }, limits: limits)
        pair.readdress(0, first)
        pair.readdress(1, second)
        return pair
    }

    static func spis(_ node: Node) -> Set<SPI> { Set(node.children.keys) }

    /// Whether both sides have all their SAs between these addresses.
    static func isAt(_ pair: IKEPair, _ left: IPAddress, _ right: IPAddress) -> Bool {
        zip(pair.nodes, [(left, right), (right, left)]).allSatisfy { node, ends in
            guard let sa = node.endpoint.status()[0].ikeSA else { return false }
            let children = node.children.values
            return sa.local.address == ends.0 && sa.remote.address == ends.1 && !children.isEmpty
                && children.allSatisfy { $0.sa.local.address == ends.0 && $0.sa.remote.address == ends.1 }
        }
    }

    @Test("both sides must want it (RFC 4555 §3.2)", arguments: [(true, true), (true, false), (false, true)])
    func negotiation(left: Bool, right: Bool) {
        let pair = Self.pair(500, first: [Self.a1, Self.a2], second: [Self.b1, Self.b2]) {
            $0.mobike = left
            $1.mobike = right
        }
        #expect(pair.connect(), "\(pair.story)")
        let both = left && right
        for (node, other) in zip(pair.nodes, [Self.b2, Self.a2]) {
            let sa = node.endpoint.status()[0].ikeSA
            #expect(sa?.mobike == both)
            #expect(sa?.remoteAddresses == (both ? [other] : []))
            // RFC 4555 §3.3: port 4500 though there is no NAT.
            #expect(sa?.local.port == 4500 && sa?.remote.port == 4500)
        }
    }

    @Test("addresses inside of the tunnel are not told (RFC 4555 §5.5), and not more than the limit")
    func announcedAddresses() {
        let inside = IPAddress(v4: 0x0a01_0001)
        let many = (0..<20).map { IPAddress(v4: 0xcb00_7100 + UInt32($0) + 1) }
        let pair = Self.pair(501, first: [Self.a1, inside, Self.a2], second: [Self.b1] + many).connected()
        #expect(pair.nodes[1].endpoint.status()[0].ikeSA?.remoteAddresses == [Self.a2])
        #expect(
            pair.nodes[0].endpoint.status()[0].ikeSA?.remoteAddresses == Array(many.prefix(Mobility.announcementLimit)))
    }

    @Test("configured local addresses are the only ones, in their order")
    func configuredAddresses() {
        let pair = Self.pair(502, first: [Self.a1, Self.a2]) { left, right in
            right.remoteAddresses = []
            left.localAddresses = [Self.a2, IKEPair.address(40)]
        }
        #expect(pair.connect(), "\(pair.story)")
        #expect(Self.isAt(pair, Self.a2, Self.b1))
        #expect(pair.nodes[1].endpoint.status()[0].ikeSA?.remoteAddresses == [])
    }

    @Test("the initiator's address changes: same keys, checked before the responder's children follow (§3.5, §3.7)")
    func initiatorMoves() throws {
        let pair = Self.pair(503).connected()
        let before = pair.nodes.map(Self.spis)
        let sa = pair.nodes[0].endpoint.status()[0].ikeSA
        pair.readdress(0, [Self.a2])
        // The initiator uses the new address at once.
        #expect(pair.nodes[0].children.values.allSatisfy { $0.sa.local.address == Self.a2 })
        #expect(pair.nodes[1].children.values.allSatisfy { $0.sa.remote.address == Self.a1 })
        // The request has arrived, the check has not: the IKE SA has moved, its children have not.
        #expect(pair.run(1) { pair.nodes[1].endpoint.status()[0].ikeSA?.remote.address == Self.a2 })
        #expect(pair.nodes[1].children.values.allSatisfy { $0.sa.remote.address == Self.a1 })
        #expect(pair.run(1) { Self.isAt(pair, Self.a2, Self.b1) }, "\(pair.story)")
        #expect(pair.nodes.map(Self.spis) == before)
        let after = pair.nodes[0].endpoint.status()[0].ikeSA
        #expect(after?.initiatorSPI == sa?.initiatorSPI && after?.responderSPI == sa?.responderSPI)
        #expect(pair.reports(0).contains("moved") && pair.reports(1).contains("moved"))
        pair.run(60)
        #expect(pair.codes(0) == [] && pair.codes(1) == [] && pair.problems == [])
        #expect(pair.mirrored() == nil)
    }

    @Test("a side that did not begin the connection keeps the roles after rekeys by either side (§1.3)")
    func rolesSurviveRekeys() {
        let pair = Self.pair(504).connected()
        for node in [1, 0, 1] {
            let spi = pair.nodes[0].endpoint.status()[0].ikeSA?.initiatorSPI
            pair.command(.rekeyIKE(connection: "c"), node)
            #expect(pair.run(10) { pair.nodes[0].endpoint.status()[0].ikeSA?.initiatorSPI != spi })
            pair.run(40)
            for address in [Self.a2, Self.a1] {
                pair.readdress(0, [address])
                #expect(pair.run(2) { Self.isAt(pair, address, Self.b1) }, "\(pair.story)")
            }
        }
        #expect(pair.problems == [] && pair.codes(0) == [])
    }

    @Test("an update under way when the peer rekeys the IKE SA is asked again on its successor")
    func updateAndRekey() {
        for seed in 0..<20 {
            let pair = Self.pair(505 + UInt64(seed)).connected()
            pair.readdress(0, [Self.a2])
            pair.run(Double(seed) * 0.004)
            pair.command(.rekeyIKE(connection: "c"), 1)
            #expect(pair.run(60) { Self.isAt(pair, Self.a2, Self.b1) }, "\(pair.story)")
            pair.run(60)
            #expect(pair.mirrored() == nil && pair.problems == [])
        }
    }

    @Test("moved again before the first move is answered (§3.5)")
    func movesTwice() {
        for seed in 0..<20 {
            let pair = Self.pair(530 + UInt64(seed)).connected()
            pair.readdress(0, [Self.a2])
            pair.run(Double(seed) * 0.003)
            pair.readdress(0, [IKEPair.address(5)])
            #expect(pair.run(20) { Self.isAt(pair, IKEPair.address(5), Self.b1) }, "\(pair.story)")
            pair.readdress(0, [Self.a1])
            #expect(pair.run(20) { Self.isAt(pair, Self.a1, Self.b1) }, "\(pair.story)")
            pair.run(30)
            #expect(Self.isAt(pair, Self.a1, Self.b1))
            #expect(pair.problems == [] && pair.codes(0) == [] && pair.codes(1) == [])
        }
    }

    @Test("a change under loss, duplication and delay", arguments: 0..<40)
    func movesOverABadNetwork(seed: Int) {
        let pair = Self.pair(600 + UInt64(seed), second: [Self.b1, Self.b2]).connected()
        pair.network = Network(loss: 0.1, duplication: 0.2, corruption: 0.05, delay: 1...400)
        let before = pair.nodes.map(Self.spis)
        for index in 0..<4 {
            pair.readdress(0, [index % 2 == 0 ? Self.a2 : Self.a1])
            pair.run(Double(seed % 7))
        }
        pair.readdress(0, [Self.a2])
        pair.run(30)
        pair.network = Network()
        pair.run(40)
        // Lost answers may have made it try the peer's other address, too, which is as good.
        #expect(Self.isAt(pair, Self.a2, Self.b1) || Self.isAt(pair, Self.a2, Self.b2), "\(pair.story)")
        #expect(pair.nodes.map(Self.spis) == before, "\(pair.story)")
        #expect(pair.mirrored() == nil && pair.problems == [])
    }

    @Test("the responder's first address dies: the other one is found and used (§3.10)")
    func deadPath() {
        let pair = Self.pair(650, second: [Self.b1, Self.b2]) { left, _ in left.dpdDelay = .seconds(5) }.connected()
        let before = pair.nodes.map(Self.spis)
        pair.nodes[1].host.unreachable = [Self.b1]
        #expect(pair.run(30) { Self.isAt(pair, Self.a1, Self.b2) }, "\(pair.story)")
        #expect(pair.nodes.map(Self.spis) == before)
        pair.run(60)
        #expect(pair.codes(0) == [] && pair.problems == [])
    }

    @Test("our own first address dies, though we still have it")
    func deadOwnAddress() {
        let pair = Self.pair(651, first: [Self.a1, Self.a2]) { left, _ in left.dpdDelay = .seconds(5) }.connected()
        let before = pair.nodes.map(Self.spis)
        pair.nodes[0].host.unreachable = [Self.a1]
        #expect(pair.run(30) { Self.isAt(pair, Self.a2, Self.b1) }, "\(pair.story)")
        #expect(pair.nodes.map(Self.spis) == before && pair.problems == [])
    }

    @Test("the responder's address changes: it tells, and the initiator follows (§3.6)")
    func responderMoves() {
        let pair = Self.pair(652).connected()
        let before = pair.nodes.map(Self.spis)
        pair.readdress(1, [Self.b2])
        #expect(pair.run(10) { Self.isAt(pair, Self.a1, Self.b2) }, "\(pair.story)")
        #expect(pair.nodes.map(Self.spis) == before)
        // A further address is told, and taken back, without any change of the path.
        pair.readdress(1, [Self.b2, Self.b1])
        #expect(pair.run(2) { pair.nodes[0].endpoint.status()[0].ikeSA?.remoteAddresses == [Self.b1] })
        pair.readdress(1, [Self.b2])
        #expect(pair.run(2) { pair.nodes[0].endpoint.status()[0].ikeSA?.remoteAddresses == [] })
        #expect(Self.isAt(pair, Self.a1, Self.b2) && pair.problems == [])
    }

    @Test("both lose their addresses at once: the responder finds the initiator's other one (§3.6)")
    func bothMove() {
        let pair = Self.pair(653, first: [Self.a1, Self.a2], second: [Self.b1, Self.b2]).connected()
        let before = pair.nodes.map(Self.spis)
        pair.nodes[0].host.unreachable = [Self.a1]
        pair.readdress(1, [Self.b2])
        pair.readdress(0, [Self.a2])
        #expect(pair.run(30) { Self.isAt(pair, Self.a2, Self.b2) }, "\(pair.story)")
        #expect(pair.nodes.map(Self.spis) == before && pair.problems == [])
    }

    @Test("found by the responder, the initiator's other address is the children's, too, once it is agreed (§3.5)")
    func foundByResponder() {
        let pair = Self.pair(660, first: [Self.a1, Self.a2], second: [Self.b1, Self.b2]).connected()
        let before = pair.nodes.map(Self.spis)
        // The initiator does not know that its first address is dead.
        pair.nodes[0].host.unreachable = [Self.a1]
        pair.readdress(1, [Self.b2])
        #expect(pair.run(30) { Self.isAt(pair, Self.a2, Self.b2) }, "\(pair.story)")
        #expect(pair.nodes.map(Self.spis) == before && pair.problems == [])
    }

    /// It is the same peer, which may not have the answer to its IKE_AUTH yet.
    @Test("who authenticates anew from another of its addresses gets nothing on the new SA before it uses it (§3.6)")
    func authenticatesElsewhere() throws {
        let pair = Self.pair(661) { left, _ in left.reauthTime = .seconds(20) }.connected()
        pair.network.delay = 20...20
        #expect(pair.run(30) { pair.nodes[0].endpoint.ikeSACount == 2 })
        // The attempt goes on from the address that the old IKE SA leaves.
        pair.readdress(0, [Self.a2, Self.a1])
        #expect(pair.run(1) { pair.nodes[1].children.count == 2 }, "\(pair.story)")
        let newest = try #require(pair.nodes[1].children.values.max { $0.order < $1.order })
        #expect(newest.sa.remote.address == Self.a1 && newest.sa.replaces != nil && !newest.active, "\(pair.story)")
        pair.run(20)
        #expect(pair.mirrored() == nil && pair.problems == [] && pair.codes(0) == [] && pair.codes(1) == [])
    }

    @Test("what replaces a child is not sent on while the peer may not have the answer that made it")
    func rekeyBeforeAbsence() {
        let pair = Self.pair(662).connected()
        pair.run(1)
        pair.command(.rekeyChildren(connection: "c"), 0)
        // The request is under way; the answer will be lost.
        pair.network.loss = 1
        pair.run(1)
        pair.readdress(0, [])
        pair.run(65)
        #expect(pair.nodes[1].children.count == 2 && pair.nodes[1].established(), "\(pair.story)")
        let isPatient = pair.nodes[1].children.values.allSatisfy { $0.active == ($0.sa.replaces == nil) }
        #expect(isPatient, "\(pair.story)")
        pair.network.loss = 0
        for _ in 0..<100 {
            pair.sendTraffic(1, "n")
            pair.run(0.05)
            if pair.nodes[0].host.addresses.isEmpty { pair.readdress(0, [Self.a2]) }
        }
        #expect(pair.nodes.map(\.blackholed) == [0, 0], "\(pair.story)")
        pair.run(20)
        #expect(pair.mirrored() == nil && pair.problems == [] && pair.nodes[0].children.count == 1, "\(pair.story)")
    }

    @Test("without any address the IKE SA waits, and goes on where it is again")
    func offline() {
        let pair = Self.pair(654) {
            $1.remoteAddresses = []; $0.dpdDelay = .seconds(5)
        }
        #expect(pair.connect())
        let before = pair.nodes.map(Self.spis)
        pair.readdress(0, [])
        pair.run(100)
        #expect(pair.nodes[0].established() && pair.nodes[1].established(), "\(pair.story)")
        pair.readdress(0, [Self.a2])
        #expect(pair.run(2) { Self.isAt(pair, Self.a2, Self.b1) }, "\(pair.story)")
        #expect(pair.nodes.map(Self.spis) == before && pair.codes(0) == [])
        // Not for ever.
        pair.readdress(0, [])
        pair.run(400)
        #expect(!pair.nodes[0].established())
    }

    @Test("an attempt of which only the end is missing goes on from the new address (§3.3)")
    func movesDuringIKEAuth() {
        let pair = Self.pair(655) {
            $1.remoteAddresses = []; _ = $0
        }
        pair.command(.initiate(connection: "c", child: nil), 0)
        #expect(
            pair.run(5) {
                pair.nodes[0].endpoint.ikeSAs.spis.contains {
                    if case .authSent = pair.nodes[0].endpoint.ikeSAs[$0]?.state { true } else { false }
                }
            })
        pair.readdress(0, [Self.a2])
        #expect(pair.run(5) { Self.isAt(pair, Self.a2, Self.b1) }, "\(pair.story)")
        #expect(pair.codes(0) == [] && pair.problems == [])
    }

    @Test("a connection that waits after a failure is tried as soon as the network has changed")
    func retriesAfterChange() {
        let pair = Self.pair(656) { left, right in
            left.children[0].startAction = .start
            right.remoteAddresses = []
        }
        pair.nodes[0].host.unreachable = [Self.a1]
        pair.run(200)
        #expect(!pair.nodes[0].established())
        #expect(pair.run(60) { pair.nodes[0].endpoint.ikeSAs.spis.isEmpty }, "between two attempts")
        pair.readdress(0, [Self.a2])
        #expect(pair.run(3) { pair.nodes[0].established() }, "\(pair.story)")
    }

    @Test("without MOBIKE at the peer: one that takes us for behind a NAT follows (RFC 7296 §2.23)")
    func withoutMobility() {
        let pair = Self.pair(657) { $1.mobike = false }.connected()
        let before = pair.nodes.map(Self.spis)
        pair.readdress(0, [Self.a2])
        #expect(pair.run(3) { Self.isAt(pair, Self.a2, Self.b1) }, "\(pair.story)")
        #expect(pair.nodes.map(Self.spis) == before)
    }

    @Test(
        "without MOBIKE at a peer that does not follow: connected to again, whatever a dead peer would bring about",
        arguments: ConnectionConfiguration.DeadPeerAction.allCases)
    func reconnects(action: ConnectionConfiguration.DeadPeerAction) {
        let pair = Self.pair(658) {
            $1.mobike = false
            $1.remoteAddresses = []
            $1.remoteID = nil
            $0.encap = false
            $1.encap = false
            $0.children[0].startAction = .start
            $0.dpdAction = action
        }
        #expect(pair.connect())
        let spi = pair.nodes[0].endpoint.status()[0].ikeSA?.initiatorSPI
        pair.readdress(0, [Self.a2])
        #expect(pair.run(5) { Self.isAt(pair, Self.a2, Self.b1) }, "\(pair.story)")
        #expect(pair.nodes[0].endpoint.status()[0].ikeSA?.initiatorSPI != spi)
        #expect(pair.reports(0).contains { $0.hasPrefix("closed") })
    }

    @Test("a responder that cannot connect itself waits five minutes for the initiator (§3.11)")
    func patience() {
        let pair = Self.pair(659) {
            $1.remoteAddresses = []; $1.dpdDelay = .seconds(10); $0.dpdDelay = .zero
        }
        #expect(pair.connect())
        pair.nodes[0].host.unreachable = [Self.a1]
        pair.run(300)
        #expect(pair.nodes[1].established(), "\(pair.story)")
        pair.run(400)
        #expect(!pair.nodes[1].established())
    }
}
