// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditWire
import Testing

@testable import AditIKE

/// A new configuration on a connection that is up, coming up or going: only what changed is touched.
@Suite struct ReconfigurationTests {
    // MARK: A connection that is up

    @Test("of two children one changes: it is made anew, the other one and the IKE SA keep their SPIs")
    func oneOfTwo() {
        let site = Reloaded().connected()
        site.reload(0) { $0.children[1].proposals = Reloaded.otherProposals }
        #expect(site.pair.nodes[0].children.count == 2, "the old SA receives until the peer has deleted it")
        site.expect(kept: ["n"], anew: ["m"])
        #expect(site.suite("m") == .aesGCM16(.bits256) && site.suite("n") != .aesGCM16(.bits256))
    }

    @Test("the only child changes: the IKE SA stays")
    func onlyChild() {
        let site = Reloaded(children: 1).connected()
        site.reload(0) { $0.children[0].esn = false }
        site.expect(kept: [], anew: ["n"])
        #expect(site.installation(0, "n")?.esn == false)
    }

    @Test("a removed child is deleted at the peer, and asked for neither by packets nor by commands")
    func removed() {
        let site = Reloaded().connected()
        site.reload(0) { $0.children.removeLast() }
        site.expect(kept: ["n"], anew: [])
        site.pair.event(.acquire(connection: "c", child: "m"), 0)
        site.pair.command(.initiate(connection: "c", child: nil), 0)
        // Nor does the peer get it.
        site.pair.command(.initiate(connection: "c", child: nil), 1)
        site.pair.run(10)
        site.expect(kept: ["n"], anew: [])
        #expect(site.pair.codes(1).contains(.trafficSelectorsUnacceptable))
    }

    @Test("an added child comes up as its start action says", arguments: ChildConfiguration.StartAction.allCases)
    func added(action: ChildConfiguration.StartAction) {
        let site = Reloaded {
            $0.children.removeLast(); _ = $1
        }.connected(children: 1)
        site.reload(0) { connection in
            connection.children.insert(Reloaded.second(0), at: 0)
            connection.children[0].startAction = action
        }
        site.expect(kept: ["n"], anew: action == .start ? ["m"] : [])
        site.pair.event(.acquire(connection: "c", child: "m"), 0)
        site.expect(kept: ["n"], anew: action == .none ? [] : ["m"])
        site.pair.command(.initiate(connection: "c", child: "m"), 0)
        site.expect(kept: ["n"], anew: ["m"])
    }

    @Test("what is only our own timing is in force at once, and the SAs stay")
    func adopted() {
        let site = Reloaded { left, _ in left.children[0].rekeyTime = .zero }.connected()
        let sent = site.pair.nodes[0].sent.count
        site.reload(0) { connection in
            connection.unique = .never
            connection.dpdAction = .clear
            connection.dpdDelay = .seconds(10)
            connection.ikeRekeyTime = .seconds(200)
            connection.children[0].rekeyTime = .seconds(120)
            connection.children[1].inactivity = .seconds(20)
            connection.children[1].startAction = .trap
        }
        site.expect(kept: ["n", "m"], anew: [])
        #expect(site.pair.nodes[0].sent.count > sent, "the peer is asked whether it lives")
        // Nothing has passed on m for 20 s.
        site.pair.run(15)
        #expect(site.spis(0, "m") == [] && site.reports(0, "childIdle") == 1)
        site.pair.run(100)
        site.expect(kept: [], anew: ["n"])
        site.pair.run(80)
        #expect(site.reports(0, "ikeRekeyed") == 1)
    }

    @Test("a time that is over is no reason to delete, and one that no longer ends is one no more")
    func times() {
        let site = Reloaded { left, right in
            left.children[1].inactivity = .seconds(300)
            for index in 0..<2 { right.children[index].rekeyTime = .zero }
        }.connected()
        site.pair.run(250)
        site.reload(0) { connection in
            connection.children[0].rekeyTime = .seconds(60)
            connection.children[0].inactivity = .seconds(60)
            connection.children[1].inactivity = .zero
        }
        site.pair.run(12)
        #expect(site.reports(0, "childRemoved") == 1, "rekeyed soon: \(site.pair.story)")
        #expect(site.reports(0, "childIdle") == 0)
        site.pair.run(60)
        #expect(site.reports(0, "childIdle") == 1 && site.spis(0, "n") == [])
        #expect(site.spis(0, "m").count == 1)
        site.reload(0) { $0.children[1].rekeyTime = .zero }
        site.pair.run(4000)
        #expect(site.spis(0, "m") == site.before.spis["m"], "it is never rekeyed")
    }

    @Test("what the data plane does by itself comes with a rekey, make before break")
    func rekeyed() {
        let site = Reloaded().connected()
        site.reload(0) { connection in
            connection.children[1].replayWindow = 64
            connection.children[1].clampMSS = false
        }
        site.pair.run(2)
        let old = site.before.spis["m"] ?? []
        #expect(old.count == 1 && site.installation(0, "m", replacing: old.first)?.configuration.replayWindow == 64)
        site.expect(kept: ["n"], anew: ["m"])
        #expect(
            site.pair.nodes[1].reports.contains {
                if case .childInstalled(_, "m", _, .some) = $0 { true } else { false }
            })
    }

    @Test("what IKE_SA_INIT or IKE_AUTH agreed needs a new IKE SA")
    func replaced() {
        let site = Reloaded().connected()
        site.reload(0) { $0.mobike = false }
        #expect(site.pair.nodes[0].children.isEmpty && site.reports(0, "closed (configuration changed)") == 1)
        site.pair.run(3)
        #expect(site.pair.nodes[1].children.isEmpty)
        #expect(site.pair.connect(children: 2) && site.ike != site.before.ike)
    }

    @Test("both sides change the same child at once")
    func bothSides() {
        for start in [ChildConfiguration.StartAction.none, .start] {
            let site = Reloaded().connected()
            for node in 0..<2 {
                site.reload(node) { connection in
                    connection.children[1].startAction = start
                    connection.children[1].proposals = Reloaded.otherProposals
                }
            }
            site.expect(kept: ["n"], anew: ["m"])
        }
    }

    @Test("an order of its own changes no SA")
    func order() {
        let site = Reloaded().connected()
        site.reload(0) { $0.children.reverse() }
        site.expect(kept: ["n", "m"], anew: [])
    }

    @Test("other selectors: what is agreed is what both sides have now")
    func selectors() {
        let site = Reloaded().connected()
        site.reload(1) { $0.children[1].localSelectors = [Sides.selector("10.4.0.0/24")] }
        site.expect(kept: ["n"], anew: ["m"])
        #expect(site.installation(0, "m")?.remoteSelectors == [Sides.selector("10.4.0.0/24")])
    }

    @Test("several reloads, one right after the other")
    func quickly() {
        let site = Reloaded().connected()
        for round in 0..<5 {
            site.reload(0) { $0.children[1].esn = round % 2 == 1 }
            site.pair.run(0.003)
        }
        site.expect(kept: ["n"], anew: ["m"])
        #expect(site.installation(0, "m")?.esn == false)
        #expect(site.connection(0)?.children.retiredCount ?? 99 <= 6)
        site.reload(0) { $0.children[1].esn = true }
        site.expect(kept: ["n"], anew: ["m"])
        #expect(site.connection(0)?.children.retiredCount == 1, "what nothing refers to is forgotten")
    }

    @Test("where too much is retired still, the connection goes as a whole")
    func limit() {
        let site = Reloaded().connected()
        let many = (0...ChildTable.retiredLimit).map { number in
            var child = Reloaded.second(0)
            child.name = "m\(number)"
            return child
        }
        site.reload(0) { $0.children = many }
        site.expect(kept: [], anew: [])
        #expect(site.ike == site.before.ike && site.ike != nil)
        site.reload(0) { connection in
            for index in connection.children.indices { connection.children[index].esn = false }
        }
        #expect(site.reports(0, "closed (configuration changed)") == 1)
        site.pair.run(60)
        #expect(site.pair.nodes.allSatisfy { $0.endpoint.ikeSACount == 0 } && site.pair.problems == [])
    }
}
