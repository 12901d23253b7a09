// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Testing

@testable import AditIKE

@Suite struct NegotiationShapeTests {
    // MARK: Childless initiation (RFC 6023)

    @Test(
        "childless: who begins how, and who takes it",
        arguments: ConnectionConfiguration.ChildlessPolicy.allCases, ConnectionConfiguration.ChildlessPolicy.allCases)
    func childless(
        ours: ConnectionConfiguration.ChildlessPolicy, theirs: ConnectionConfiguration.ChildlessPolicy
    ) {
        let pair = IKEPair(
            seed: 910,
            Sides.pair {
                $0.childless = ours
                $1.childless = theirs
            })
        let isUp = pair.connect()
        // The first child came with IKE_AUTH, or in the CREATE_CHILD_SA after it.
        let exchanges = pair.nodes[0].sent.map { $0[18] }
        let separate = exchanges.contains(ExchangeType.createChildSA.rawValue)
        switch (ours, theirs) {
        case (.force, .never):
            #expect(!isUp && pair.codes(0) == [.childlessRequired])
        case (.allow, .force), (.never, .force):
            #expect(!isUp && pair.codes(1) == [.childlessRequired], "\(pair.story)")
            #expect(pair.nodes.allSatisfy { $0.children.isEmpty })
        case (.prefer, .never), (.allow, _), (.never, _):
            #expect(isUp && !separate, "\(pair.story)")
        case (.prefer, _), (.force, _):
            #expect(isUp && separate, "\(pair.story)")
            // With a key exchange of its own.
            #expect(pair.nodes[0].endpoint.status()[0].children[0].proposal.hasSuffix("-x25519"))
        }
        #expect(pair.problems == [])
    }

    @Test("childless: all wanted children follow, each with its own exchange")
    func childlessWithSeveralChildren() {
        let pair = IKEPair(
            seed: 911,
            Sides.pair {
                $0.childless = .prefer
                for index in 1...3 {
                    $0.children.append(Sides.child("n\(index)", "10.1.0.0/16", "10.2\(index).0.0/16"))
                    $1.children.append(Sides.child("n\(index)", "10.2\(index).0.0/16", "10.1.0.0/16"))
                }
            }
        ).connected(children: 4)
        #expect(pair.mirrored() == nil)
        #expect(pair.problems == [])
    }

    // MARK: Shapes of traffic selectors

    private func selectors(_ texts: String...) -> [TrafficSelector] { texts.map { Sides.selector($0) } }

    @Test(
        "per-pair: a child for each pair; a peer with all in one child takes them one by one", arguments: [true, false])
    func perPair(peerToo: Bool) {
        let pair = IKEPair(
            seed: 912,
            Sides.pair {
                $0.children[0].localSelectors = selectors("10.1.0.0/16", "10.3.0.0/16")
                $0.children[0].remoteSelectors = selectors("10.2.0.0/16", "10.4.0.0/16")
                $1.children[0].localSelectors = selectors("10.2.0.0/16", "10.4.0.0/16")
                $1.children[0].remoteSelectors = selectors("10.1.0.0/16", "10.3.0.0/16")
                $0.children = $0.children.flatMap(\.perPair)
                if peerToo { $1.children = $1.children.flatMap(\.perPair) }
            })
        #expect(pair.nodes[0].endpoint.status()[0].name == "c")
        #expect(pair.connect(children: 4), "\(pair.story)")
        #expect(pair.mirrored() == nil)
        let pairs = Set(
            pair.nodes[0].children.values.map { "\($0.sa.localSelectors) \($0.sa.remoteSelectors)" })
        #expect(pairs.count == 4)
        #expect(Set(pair.nodes[0].children.values.map(\.sa.child)) == ["n#1", "n#2", "n#3", "n#4"])
        // Each is rekeyed for itself.
        for node in 0..<2 {
            pair.command(.rekeyChildren(connection: "c"), node)
            pair.run(30)
        }
        #expect(pair.nodes.allSatisfy { $0.children.count == 4 }, "\(pair.story)")
        #expect(pair.mirrored() == nil)
        #expect(pair.problems == [])
    }

    @Test("any-to-any: all addresses are agreed, and only what is configured passes")
    func anyToAny() throws {
        let pair = IKEPair(
            seed: 913,
            Sides.pair {
                $0.children[0].anyToAny = true
                $1.children[0].anyToAny = true
            }
        ).connected()
        for (node, local, remote) in [(0, "10.1.0.0/16", "10.2.0.0/16"), (1, "10.2.0.0/16", "10.1.0.0/16")] {
            let child = try #require(pair.nodes[node].endpoint.status()[0].children.first)
            #expect(child.localSelectors == selectors("0.0.0.0/0") && child.remoteSelectors == selectors("0.0.0.0/0"))
            #expect(child.passedLocalSelectors == selectors(local))
            #expect(child.passedRemoteSelectors == selectors(remote))
            #expect(!child.isNarrowed)
            let installed = try #require(pair.nodes[node].children.values.first?.sa)
            #expect(installed.localSelectors == selectors(local) && installed.remoteSelectors == selectors(remote))
        }
        for node in 0..<2 {
            pair.command(.rekeyChildren(connection: "c"), node)
            pair.run(30)
            #expect(pair.nodes[node].endpoint.status()[0].children[0].localSelectors == selectors("0.0.0.0/0"))
        }
        #expect(pair.problems == [])
    }

    @Test("any-to-any: a peer with selectors of its own narrows; one whose have nothing in common is refused")
    func anyToAnyNarrowed() throws {
        for initiator in 0..<2 {
            let pair = IKEPair(
                seed: 914,
                Sides.pair {
                    $0.children[0].anyToAny = true
                    $1.children[0].remoteSelectors = selectors("10.1.7.0/24")
                }
            ).connected(from: initiator)
            let child = try #require(pair.nodes[0].endpoint.status()[0].children.first)
            #expect(child.localSelectors == selectors("10.1.7.0/24") && child.isNarrowed)
            #expect(child.askedLocalSelectors == selectors(initiator == 0 ? "0.0.0.0/0" : "10.1.7.0/24"))
            let strange = IKEPair(
                seed: 915,
                Sides.pair {
                    $0.children[0].anyToAny = true
                    $1.children[0].remoteSelectors = selectors("10.9.0.0/16")
                })
            #expect(!strange.connect(from: initiator))
            #expect(strange.codes(0).contains(.trafficSelectorsUnacceptable), "\(strange.story)")
            #expect(strange.nodes[0].children.isEmpty)
            strange.run(30)
            #expect(strange.nodes[1].children.isEmpty)
        }
    }

    @Test("what was asked for and what was given, at both ends, also after a rekey (RFC 7296 §2.9)")
    func narrowed() throws {
        let pair = IKEPair(
            seed: 916,
            Sides.pair {
                $0.children[0].localSelectors = selectors("10.0.0.0/8")
                _ = $1
            }
        ).connected()
        for round in 0..<2 {
            let ours = try #require(pair.nodes[0].endpoint.status()[0].children.first)
            let theirs = try #require(pair.nodes[1].endpoint.status()[0].children.first)
            #expect(ours.isNarrowed && theirs.isNarrowed, "round \(round)")
            #expect(ours.askedLocalSelectors == selectors("10.0.0.0/8"))
            #expect(ours.localSelectors == selectors("10.1.0.0/16"))
            #expect(theirs.askedRemoteSelectors == selectors("10.0.0.0/8"))
            pair.command(.rekeyChildren(connection: "c"), round)
            pair.run(30)
        }
        let even = IKEPair(seed: 917, Sides.pair())
        #expect(even.connect())
        #expect(even.nodes.allSatisfy { !$0.endpoint.status()[0].children[0].isNarrowed })
    }

    // MARK: Inactivity

    /// A child that carries nothing for 20 s goes at A.
    private func idlePair(
        seed: UInt64, _ action: ChildConfiguration.StartAction, rekeyTime: Duration = .seconds(3600)
    ) -> IKEPair {
        let pair = IKEPair(
            seed: seed,
            Sides.pair {
                $0.children[0].inactivity = .seconds(20)
                $0.children[0].startAction = action
                $0.children[0].rekeyTime = rekeyTime
                _ = $1
            }
        ).connected()
        return pair
    }

    private func traffic(_ pair: IKEPair) {
        for spi in pair.nodes[0].children.keys { pair.event(.traffic(inboundSPI: spi), 0) }
    }

    @Test(
        "a child that carries nothing is deleted, the IKE SA stays, and a packet brings it back",
        arguments: ChildConfiguration.StartAction.allCases)
    func inactivity(action: ChildConfiguration.StartAction) {
        let pair = idlePair(seed: 918, action)
        for _ in 0..<5 {
            pair.run(15)
            traffic(pair)
        }
        #expect(pair.nodes.allSatisfy { $0.children.count == 1 })
        pair.run(19)
        #expect(pair.nodes.allSatisfy { $0.children.count == 1 })
        pair.run(2)
        #expect(pair.nodes.allSatisfy { $0.children.isEmpty }, "\(pair.story)")
        #expect(pair.reports(0).contains("childIdle"))
        // Nothing brings it back by itself, whatever its start action.
        pair.run(100)
        #expect(pair.nodes.allSatisfy { $0.children.isEmpty && $0.established() })
        pair.event(.acquire(connection: "c", child: "n"), 0)
        pair.run(2)
        #expect(pair.nodes.allSatisfy { $0.children.count == (action == .none ? 0 : 1) })
        #expect(pair.mirrored() == nil)
        pair.run(30)
        #expect(pair.nodes.allSatisfy { $0.children.isEmpty })
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(2)
        #expect(pair.nodes.allSatisfy { $0.children.count == 1 })
        #expect(pair.problems == [])
    }

    @Test("a rekey is no traffic: idle time counts on over it")
    func inactivityOverRekeys() {
        let pair = idlePair(seed: 919, .trap, rekeyTime: .seconds(8))
        #expect(pair.run(60) { pair.nodes[0].children.isEmpty }, "\(pair.story)")
        let lived = pair.time - Timestamp(nanoseconds: 1_000_000_000)
        #expect(lived < .seconds(23), "\(lived)")
        #expect(pair.nodes[0].usedSPIs.count >= 2)
        // With traffic it lives on over them.
        let busy = idlePair(seed: 920, .trap, rekeyTime: .seconds(8))
        for _ in 0..<12 {
            busy.run(5)
            traffic(busy)
        }
        #expect(busy.nodes.allSatisfy { !$0.children.isEmpty })
    }

    @Test("an idle connection that starts by itself says that it waits for a packet when its IKE SA is gone")
    func idleState() {
        let pair = idlePair(seed: 921, .start)
        pair.run(30)
        pair.command(.shutdown, 1)
        pair.run(5)
        #expect(pair.nodes[0].endpoint.status()[0].state == .trap, "\(pair.story)")
    }
}
