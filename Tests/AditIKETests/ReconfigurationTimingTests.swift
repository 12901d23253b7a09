// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditWire
import Testing

@testable import AditIKE

/// A new configuration while something else is under way.
@Suite struct ReconfigurationTimingTests {
    private func state(_ site: Reloaded, _ node: Int = 0) -> IKESA.State? {
        let endpoint = site.pair.nodes[node].endpoint
        return endpoint.ikeSAs.spis.last.flatMap { endpoint.ikeSAs[$0]?.state }
    }

    private func isAsking(_ site: Reloaded, replacing: Bool) -> Bool {
        guard case .established(let session) = state(site), case .child(let negotiation) = session.exchange else {
            return false
        }
        return (negotiation.replaces != nil) == replacing
    }

    private static let change: @Sendable (inout ConnectionConfiguration) -> Void = { connection in
        for index in connection.children.indices where connection.children[index].name == "m" {
            connection.children[index].proposals = Reloaded.otherProposals
        }
    }

    @Test("while IKE_SA_INIT is outstanding: the attempt goes on, for what is configured now")
    func initSent() {
        for removes in [false, true] {
            let site = Reloaded()
            site.pair.command(.initiate(connection: "c", child: nil), 0)
            let spi = site.pair.nodes[0].endpoint.ikeSAs.spis
            site.reload(0) { if removes { $0.children.removeLast() } else { Self.change(&$0) } }
            #expect(site.pair.nodes[0].endpoint.ikeSAs.spis == spi)
            site.expect(kept: [], anew: removes ? ["n"] : ["n", "m"], ike: false)
            if !removes { #expect(site.suite("m") == .aesGCM16(.bits256)) }
        }
    }

    @Test("while IKE_SA_INIT is outstanding for what is removed: the attempt is given up")
    func initSentInVain() {
        let site = Reloaded()
        site.pair.command(.initiate(connection: "c", child: "m"), 0)
        site.reload(0) { $0.children.removeLast() }
        #expect(site.pair.nodes[0].endpoint.ikeSACount == 0 && site.pair.nodes[0].failures.count == 1)
        site.pair.run(60)
        #expect(site.pair.nodes.allSatisfy { $0.endpoint.ikeSACount == 0 })
    }

    @Test("while IKE_AUTH is outstanding: what it makes of the old child is deleted")
    func authSent() {
        for removes in [false, true] {
            let site = Reloaded()
            site.pair.command(.initiate(connection: "c", child: "m"), 0)
            #expect(site.pair.run(5) { if case .authSent = state(site) { true } else { false } })
            site.reload(0) { if removes { $0.children.removeLast() } else { Self.change(&$0) } }
            site.expect(kept: [], anew: removes ? [] : ["m"], ike: false)
            #expect(site.pair.nodes[0].established(), "\(site.pair.story)")
            #expect(site.reports(1, "childRemoved") == 1)
            if !removes { #expect(site.suite("m") == .aesGCM16(.bits256)) }
        }
    }

    @Test("while a packet waits for the names of the peer to be looked up")
    func resolving() {
        let site = Reloaded { left, _ in
            left.remoteAddresses = []
            left.remoteNames = [RemoteName("b.example")]
        }
        site.pair.command(.initiate(connection: "c", child: "m"), 0)
        site.reload(0, Self.change)
        let token = site.pair.nodes[0].questions[0].token
        let answer = NameResolution(name: "b.example", addresses: [IKEPair.address(1)])
        site.pair.event(.resolved(token: token, [answer]), 0)
        site.expect(kept: [], anew: ["m"], ike: false)
        #expect(site.suite("m") == .aesGCM16(.bits256))
        let other = Reloaded { left, _ in
            left.remoteAddresses = []
            left.remoteNames = [RemoteName("b.example")]
        }
        other.pair.command(.initiate(connection: "c", child: "m"), 0)
        other.reload(0) { $0.children.removeLast() }
        #expect(other.connection(0)?.resolving == nil && other.pair.nodes[0].failures.count == 1)
        other.pair.event(.resolved(token: other.pair.nodes[0].questions[0].token, [answer]), 0)
        #expect(other.pair.nodes[0].endpoint.ikeSACount == 0)
    }

    @Test("while CREATE_CHILD_SA for the child, or its rekey, is outstanding", arguments: [false, true])
    func creating(rekeys: Bool) {
        for removes in [false, true] {
            let site = Reloaded()
            site.pair.command(.initiate(connection: "c", child: rekeys ? nil : "n"), 0)
            site.pair.run(10)
            site.confirm()
            site.remember()
            let spi = site.spis(0, "m").first ?? SPI(rawValue: 0)
            site.pair.event(
                rekeys ? .lifetimeReached(inboundSPI: spi) : .command(.initiate(connection: "c", child: "m")), 0)
            #expect(isAsking(site, replacing: rekeys))
            site.reload(0) { if removes { $0.children.removeLast() } else { Self.change(&$0) } }
            site.expect(kept: ["n"], anew: removes ? [] : ["m"])
            if !removes { #expect(site.suite("m") == .aesGCM16(.bits256)) }
        }
    }

    @Test("while the peer rekeys the child that is no more")
    func peerRekeys() {
        for delay in [0.0, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05] {
            for removes in [false, true] {
                let site = Reloaded(seed: 78, network: Network(delay: 5...15)).connected()
                site.pair.command(.rekeyChildren(connection: "c"), 1)
                site.pair.run(delay)
                site.reload(0) { if removes { $0.children.removeLast() } else { Self.change(&$0) } }
                site.expect(kept: [], anew: removes ? ["n"] : ["n", "m"], within: 30)
                if !removes { #expect(site.suite("m") == .aesGCM16(.bits256)) }
            }
        }
    }

    @Test("while the IKE SA is rekeyed, by either side, and after that", arguments: [0, 1])
    func ikeRekey(by side: Int) {
        for delay in [0.0, 0.01, 0.02, 0.03, 0.05, 5] {
            let site = Reloaded(seed: 79, network: Network(delay: 5...15)).connected()
            site.pair.command(.rekeyIKE(connection: "c"), side)
            site.pair.run(delay)
            site.reload(0, Self.change)
            site.expect(kept: ["n"], anew: ["m"], ike: false, within: 30)
            #expect(site.suite("m") == .aesGCM16(.bits256))
            site.pair.command(.rekeyIKE(connection: "c"), side)
            site.pair.command(.rekeyChildren(connection: "c"), 1 - side)
            site.expect(kept: [], anew: ["n", "m"], ike: false, within: 40)
        }
    }

    @Test("while the peers authenticate anew, and during the handover")
    func reauthentication() {
        for delay in [0.0, 0.01, 0.03, 0.05, 0.07, 0.1, 1] {
            let site = Reloaded(seed: 80, network: Network(delay: 5...15)) { left, _ in
                left.reauthTime = .seconds(100)
            }.connected()
            #expect(
                site.pair.run(120) {
                    site.pair.nodes[0].endpoint.ikeSACount == 2
                })
            site.pair.run(delay)
            site.reload(0, Self.change)
            site.expect(kept: [], anew: ["n", "m"], ike: false, within: 40)
            #expect(site.suite("m") == .aesGCM16(.bits256))
            #expect(site.pair.nodes[0].endpoint.ikeSACount == 1, "\(site.pair.story)")
        }
    }

    @Test("a connection that was taken down stays down, and comes up as it is configured then")
    func held() {
        let site = Reloaded { left, _ in left.children[0].startAction = .start }.connected()
        site.pair.command(.terminate(connection: "c"), 0)
        site.reload(0, Self.change)
        site.pair.run(60)
        #expect(site.pair.nodes.allSatisfy { $0.endpoint.ikeSACount == 0 && $0.children.isEmpty })
        #expect(site.pair.nodes[0].endpoint.status()[0].state == .down)
        #expect(site.pair.connect(children: 2) && site.suite("m") == .aesGCM16(.bits256))
    }

    @Test("several IKE SAs of one connection that takes any peer")
    func anyPeer() {
        var sides = Reloaded().configurations
        sides[1].remoteAddresses = []
        sides[1].remoteID = nil
        var third = sides[0]
        third.localAddresses = [IKEPair.address(2)]
        third.localID = .fqdn("c.example")
        let pair = IKEPair(seed: 81, sides.map { [$0] } + [[third]])
        for node in [0, 2] { pair.command(.initiate(connection: "c", child: nil), node) }
        #expect(pair.run(20) { pair.nodes[1].children.count == 4 }, "\(pair.story)")
        pair.run(5)
        for spi in pair.nodes[1].children.keys { pair.event(.inboundActivity(inboundSPI: spi), 1) }
        let kept = Set(pair.nodes[1].children.values.filter { $0.sa.child == "n" }.map(\.sa.inboundSPI))
        let old = Set(pair.nodes[1].children.keys).subtracting(kept)
        Self.change(&sides[1])
        pair.command(.configure([sides[1]]), 1)
        pair.run(20)
        let all = Set(pair.nodes[1].children.keys)
        #expect(all.count == 4 && kept.isSubset(of: all) && old.isDisjoint(with: all), "\(pair.story)")
        #expect([0, 2].allSatisfy { pair.nodes[$0].children.count == 2 } && pair.problems == [])
        sides[1].children.removeLast()
        pair.command(.configure([sides[1]]), 1)
        pair.run(20)
        #expect(Set(pair.nodes[1].children.keys) == kept && pair.nodes[0].children.count == 1)
    }

    @Test("a side that moves to another address meanwhile (RFC 4555)")
    func mobility() {
        let site = Reloaded { left, right in
            left.localAddresses = []
            right.remoteAddresses = []
        }
        site.pair.readdress(0, [IKEPair.address(0)])
        _ = site.connected()
        site.reload(0, Self.change)
        site.pair.readdress(0, [IPAddress(v4: 0xc633_6401)])
        site.pair.run(0.01)
        site.reload(0) { $0.children[1].esn = false }
        site.expect(kept: ["n"], anew: ["m"], within: 60)
        #expect(site.pair.nodes[1].children.values.allSatisfy { $0.sa.remote.address == IPAddress(v4: 0xc633_6401) })
    }

    @Test("a peer that dies before it has deleted the child is connected to again with what is configured then")
    func deadPeer() {
        let site = Reloaded { left, _ in left.dpdAction = .restart }.connected()
        site.pair.nodes[1].isAlive = false
        site.reload(0, Self.change)
        #expect(site.pair.run(120) { !site.pair.nodes[0].established() })
        #expect(site.connection(0)?.attempt.flatMap { site.pair.nodes[0].endpoint.ikeSAs[$0]?.wanted.count } == 2)
    }

    @Test("over a network that loses and reorders, whatever the moment", arguments: 0..<40 as Range<UInt64>)
    func anyMoment(seed: UInt64) {
        let site = Reloaded(seed: 100 + seed, network: Network(loss: 0.25, duplication: 0.2, delay: 1...300)) {
            if seed % 2 == 0 { $0.children[1].startAction = .start }
            if seed % 3 == 0 { $1.children[1].startAction = .start }
            $0.children[0].startAction = .start
        }
        #expect(
            site.pair.run(120) {
                site.pair.nodes.allSatisfy { $0.children.count == 2 && $0.established() } || seed % 2 + seed % 3 > 0
            })
        site.pair.command(.initiate(connection: "c", child: nil), 0)
        #expect(site.pair.run(120) { site.pair.nodes.allSatisfy { $0.children.count == 2 } }, "\(site.pair.story)")
        for round in 0..<6 {
            switch (seed + UInt64(round)) % 4 {
            case 0: site.pair.command(.rekeyIKE(connection: "c"), round % 2)
            case 1: site.pair.command(.rekeyChildren(connection: "c"), round % 2)
            default: break
            }
            site.pair.run(Double(seed % 7) / 10)
            site.reload(Int(seed >> 1 & 1)) { $0.children[1].esn.toggle() }
            site.pair.run(Double(seed % 5) * 0.4)
        }
        site.pair.network = Network()
        site.pair.run(240)
        #expect(site.pair.mirrored() == nil && site.pair.nodes[0].children.count == 2, "\(site.pair.story)")
        #expect(site.pair.problems == [], "\(site.pair.story)")
        #expect(site.pair.nodes.allSatisfy { $0.endpoint.childSACount == 2 && $0.endpoint.ikeSACount == 1 })
    }
}
