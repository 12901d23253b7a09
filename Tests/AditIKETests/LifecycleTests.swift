// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Simulation
import Testing

@testable import AditIKE

@Suite struct LifecycleTests {
    @Test("liveness checks of tunnels that came up at once drift apart, by a tenth of dpd_delay at the most")
    func livenessIsSpread() {
        var delays: Set<Duration> = []
        for seed in 1320..<1340 as Range<UInt64> {
            let pair = IKEPair(seed: seed, Sides.pair { ours, _ in ours.dpdDelay = .seconds(30) })
            #expect(pair.connect())
            let (sent, began) = (pair.nodes[0].sent.count, pair.time)
            #expect(pair.run(40) { pair.nodes[0].sent.count > sent })
            let delay = pair.time - began
            #expect(delay >= .milliseconds(26_900) && delay <= .seconds(33), "\(delay)")
            delays.insert(delay)
            // Asked again as long as nothing comes, and answered: the tunnel lives.
            pair.run(100)
            #expect(pair.nodes.allSatisfy { $0.established() })
        }
        #expect(delays.count >= 15, "\(delays)")
    }

    @Test("INITIAL_CONTACT after a crash replaces what the peer still has (RFC 7296 §2.4)")
    func initialContact() {
        let sides = Sides.pair()
        let pair = IKEPair(seed: 30, sides).connected()
        pair.run(2)
        let lost = pair.nodes[0]
        // The process dies and starts again at the same address.
        pair.nodes[0] = Node(
            "A", lost.address, IKEEndpoint(connections: sides[0], entropy: SeededEntropy(999).source))
        pair.command(.initiate(connection: "c", child: nil), 0)
        #expect(pair.run(5) { pair.nodes[0].established() && pair.nodes[0].outbound("n") != nil })
        // Traffic flows at once on the new SA, in both directions.
        for node in 0..<2 { pair.sendTraffic(node, "n") }
        pair.run(1)
        #expect(pair.nodes.map(\.blackholed) == [0, 0], "\(pair.story)")
        pair.run(120)
        #expect(pair.nodes[1].endpoint.ikeSACount == 1 && pair.nodes[1].children.count == 1, "\(pair.story)")
        #expect(pair.mirrored() == nil)
        #expect(pair.problems == [])
    }

    @Test("both sides initiating at once ends with one usable child", arguments: 0..<30)
    func simultaneousInitiation(seed: UInt64) {
        let pair = IKEPair(
            seed: 500 + seed, network: Network(delay: 1...(seed % 2 == 0 ? 20 : 400)),
            Sides.pair {
                $0.children[0].startAction = .start
                $1.children[0].startAction = .start
            })
        for node in 0..<2 { pair.event(.deadline, node) }
        pair.run(150)
        #expect(pair.nodes.allSatisfy { $0.children.count == 1 && $0.endpoint.ikeSACount == 1 }, "\(pair.story)")
        #expect(pair.mirrored() == nil)
        #expect(pair.nodes.allSatisfy { $0.outbound("n") != nil })
        #expect(pair.problems == [])
    }

    @Test("terminate deletes at both ends and stays down; initiate lifts it (RFC 7296 §1.4.1)")
    func terminate() {
        let pair = IKEPair(
            seed: 31,
            Sides.pair {
                $0.children[0].startAction = .start; _ = $1
            }
        ).connected()
        pair.command(.terminate(connection: "c"), 0)
        #expect(pair.nodes[0].children.isEmpty)
        #expect(pair.nodes[0].endpoint.status()[0].state == .down)
        pair.run(100)
        #expect(pair.nodes[1].children.isEmpty)
        #expect(pair.nodes.allSatisfy { $0.endpoint.ikeSACount == 0 })
        pair.event(.acquire(connection: "c", child: "n"), 0)
        pair.run(10)
        #expect(pair.nodes[0].endpoint.ikeSACount == 0)
        // Held down also against the peer.
        pair.command(.initiate(connection: "c", child: nil), 1)
        pair.run(30)
        #expect(pair.codes(1) == [.noProposalChosen])
        #expect(pair.connect())
    }

    @Test("deletions that cross leave nothing (RFC 7296 §2.25.2)")
    func crossingDeletes() {
        let pair = IKEPair(seed: 32, Sides.pair()).connected()
        pair.command(.terminate(connection: "c"), 0)
        pair.command(.terminate(connection: "c"), 1)
        pair.run(100)
        #expect(pair.nodes.allSatisfy { $0.endpoint.ikeSACount == 0 && $0.children.isEmpty })
        #expect(pair.problems == [])
        // A deletion and a rekey that cross.
        for (seed, first) in [(33, 0), (34, 1)] as [(UInt64, Int)] {
            let crossing = IKEPair(seed: seed, network: Network(delay: 1...100), Sides.pair())
            #expect(crossing.connect())
            crossing.command(.rekeyIKE(connection: "c"), first)
            crossing.command(.rekeyChildren(connection: "c"), first)
            crossing.command(.terminate(connection: "c"), 1 - first)
            crossing.run(100)
            #expect(
                crossing.nodes.allSatisfy { $0.endpoint.ikeSACount == 0 && $0.children.isEmpty }, "\(crossing.story)")
            #expect(crossing.problems == [])
        }
    }

    @Test("a dead peer is noticed, and the connection is restarted, trapped or cleared (RFC 7296 §2.4)")
    func deadPeer() {
        for action in ConnectionConfiguration.DeadPeerAction.allCases {
            let sides = Sides.pair {
                $0.dpdDelay = .seconds(10)
                $0.dpdAction = action
                _ = $1
            }
            let pair = IKEPair(seed: 35, sides).connected()
            pair.run(60)
            #expect(pair.codes(0).isEmpty)
            let lost = pair.nodes[1]
            pair.nodes[1].isAlive = false
            #expect(pair.run(80) { pair.codes(0).contains(.deadPeer) }, "\(pair.story)")
            #expect(pair.nodes[0].children.isEmpty)
            pair.nodes[1] = Node(
                "B", lost.address, IKEEndpoint(connections: sides[1], entropy: SeededEntropy(77).source))
            pair.run(60)
            #expect(pair.nodes[0].established() == (action == .restart), "\(action) \(pair.story)")
            #expect((pair.nodes[0].endpoint.status()[0].state == .trap) == (action == .trap))
            // A child that no packet brings up is brought up by one all the same, where dpd_action says so.
            pair.event(.acquire(connection: "c", child: "n"), 0)
            pair.run(20)
            #expect(pair.nodes[0].established() == (action != .clear))
        }
    }

    @Test("traffic is a sign of life: no liveness check while it flows")
    func noLivenessWithTraffic() {
        let pair = IKEPair(
            seed: 36,
            Sides.pair {
                $0.dpdDelay = .seconds(10); $1.dpdDelay = .zero
            }
        ).connected()
        let sent = pair.nodes[0].sent.count
        for _ in 0..<20 {
            let spi = pair.nodes[0].children.keys.first ?? SPI(rawValue: 0)
            pair.event(.inboundActivity(inboundSPI: spi), 0)
            pair.run(5)
        }
        #expect(pair.nodes[0].sent.count == sent)
        pair.run(30)
        #expect(pair.nodes[0].sent.count > sent)
    }

    @Test("shutdown sends DELETE at once and forgets everything")
    func shutdown() {
        // In order, so that DELETE comes after the request that is outstanding.
        let pair = IKEPair(seed: 37, network: Network(delay: 3...3), Sides.pair()).connected()
        pair.command(.rekeyChildren(connection: "c"), 0)
        pair.command(.shutdown, 0)
        #expect(pair.nodes[0].endpoint.ikeSACount == 0 && pair.nodes[0].children.isEmpty)
        #expect(pair.nodes[0].endpoint.nextDeadline == nil)
        pair.run(1)
        #expect(pair.nodes[1].children.isEmpty, "\(pair.story)")
        let sent = pair.nodes[0].sent.count
        pair.command(.initiate(connection: "c", child: nil), 0)
        #expect(pair.nodes[0].sent.count == sent)
    }

    @Test("start retries for ever with a growing wait; acquires fold into one attempt")
    func retries() {
        let sides = Sides.pair {
            $0.children[0].startAction = .start; _ = $1
        }
        let pair = IKEPair(seed: 38, sides)
        pair.nodes[1].isAlive = false
        pair.event(.deadline, 0)
        pair.run(1200)
        #expect(pair.codes(0).count > 8 && pair.codes(0).allSatisfy { $0 == .peerUnreachable })
        #expect(pair.nodes[0].failures.first?.stage == .ikeSAInit)
        pair.nodes[1] = Node(
            "B", IKEPair.address(1), IKEEndpoint(connections: sides[1], entropy: SeededEntropy(7).source))
        #expect(pair.run(200) { pair.nodes[0].established() })

        let trap = IKEPair(
            seed: 39,
            Sides.pair {
                $0.children[0].startAction = .trap; _ = $1
            })
        #expect(trap.nodes[0].endpoint.status()[0].state == .trap)
        for _ in 0..<5 { trap.event(.acquire(connection: "c", child: "n"), 0) }
        #expect(trap.nodes[0].endpoint.ikeSACount == 1)
        #expect(trap.nodes[0].endpoint.status()[0].state == .connecting)
        trap.run(5)
        trap.event(.acquire(connection: "c", child: "n"), 0)
        trap.command(.initiate(connection: "c", child: nil), 0)
        trap.run(5)
        #expect(trap.nodes[0].children.count == 1 && trap.nodes[0].endpoint.ikeSACount == 1)
    }

    @Test("the addresses of a peer are tried in turn")
    func severalAddresses() {
        let pair = IKEPair(
            seed: 40,
            Sides.pair {
                $0.remoteAddresses.insert(IKEPair.address(9), at: 0); _ = $1
            })
        pair.command(.initiate(connection: "c", child: nil), 0)
        #expect(pair.run(60) { pair.nodes.allSatisfy { $0.established() } }, "\(pair.story)")
        #expect(pair.codes(0) == [.peerUnreachable])
    }

    @Test("a new configuration keeps unchanged connections and deletes changed and removed ones")
    func configure() {
        var sides = Sides.pair()
        var second = sides[0][0]
        second.name = "d"
        second.localID = .fqdn("d.example")
        second.children[0].localSelectors = [Sides.selector("10.7.0.0/16")]
        sides[0].append(second)
        var answer = sides[1][0]
        answer.name = "d"
        answer.remoteID = .fqdn("d.example")
        answer.children[0].remoteSelectors = [Sides.selector("10.7.0.0/16")]
        sides[1].append(answer)
        let pair = IKEPair(seed: 41, sides)
        for name in ["c", "d"] { pair.command(.initiate(connection: name, child: nil), 0) }
        #expect(pair.run(10) { pair.nodes.allSatisfy { $0.children.count == 2 } }, "\(pair.story)")
        let kept = pair.nodes[0].children.values.first { $0.sa.connection == "c" }?.sa.inboundSPI
        var changed = second
        changed.encap = false
        pair.command(.configure([changed, sides[0][0]]), 0)
        #expect(Array(pair.nodes[0].children.keys) == [kept].compactMap { $0 })
        #expect(pair.nodes[0].endpoint.status().map(\.name) == ["d", "c"])
        pair.run(5)
        #expect(pair.nodes[1].children.count == 1)
        pair.command(.initiate(connection: "d", child: nil), 0)
        #expect(pair.run(5) { pair.nodes[0].children.count == 2 })
        pair.command(.configure([]), 0)
        pair.run(60)
        #expect(pair.nodes.allSatisfy { $0.endpoint.ikeSACount == 0 && $0.children.isEmpty })
        #expect(pair.problems == [])
    }

    @Test("behind a NAT: port 4500, keepalives, and the responder follows a new mapping (RFC 7296 §2.23)")
    func nat() {
        let pair = IKEPair(
            seed: 42,
            Sides.pair {
                $1.remoteAddresses = []; $1.encap = false; $0.encap = false; $0.mobike = false
            })
        pair.nodes[0].natAddress = IPAddress(v4: 0xcb00_7105)
        #expect(pair.connect(), "\(pair.story)")
        let ours = pair.nodes[0].endpoint.status()[0].ikeSA
        let theirs = pair.nodes[1].endpoint.status()[0].ikeSA
        #expect(ours?.localBehindNAT == true && ours?.remoteBehindNAT == false)
        #expect(theirs?.localBehindNAT == false && theirs?.remoteBehindNAT == true)
        #expect(theirs?.remote.address == IPAddress(v4: 0xcb00_7105))
        pair.run(61)
        #expect(pair.nodes[0].keepalives == 3 && pair.nodes[1].keepalives == 0)
        // The mapping changes: the data plane notices first, or the next IKE request does.
        pair.nodes[0].natPorts[4500] = 33_333
        let spi = pair.nodes[1].children.keys.first ?? SPI(rawValue: 0)
        let moved = Endpoint(IPAddress(v4: 0xcb00_7105), port: 33_333)
        pair.event(.peerMoved(inboundSPI: spi, to: moved), 1)
        #expect(pair.nodes[1].children[spi]?.sa.remote == moved)
        pair.nodes[0].natPorts[4500] = 44_444
        pair.command(.rekeyChildren(connection: "c"), 0)
        pair.run(10)
        #expect(pair.nodes[1].endpoint.status()[0].ikeSA?.remote.port == 44_444)
        #expect(pair.nodes[1].children.values.allSatisfy { $0.sa.remote.port == 44_444 })
        // The side behind the NAT never follows.
        let inner = pair.nodes[0].children.keys.first ?? SPI(rawValue: 0)
        pair.event(.peerMoved(inboundSPI: inner, to: moved), 0)
        #expect(pair.nodes[0].children[inner]?.sa.remote.address == IKEPair.address(1))
        // Forced encapsulation looks like a NAT to the peer, and needs no keepalive.
        let forced = IKEPair(seed: 43, Sides.pair())
        #expect(forced.connect())
        #expect(forced.nodes[0].endpoint.status()[0].ikeSA?.remoteBehindNAT == true)
        #expect(forced.nodes[0].endpoint.status()[0].ikeSA?.localBehindNAT == false)
    }

    @Test("an interval of zero sends no keepalive", .timeLimit(.minutes(1)))
    func noKeepalives() {
        var limits = IKELimits()
        limits.keepaliveInterval = .zero
        let pair = IKEPair(
            seed: 44,
            Sides.pair {
                $1.remoteAddresses = []; $1.encap = false; $0.encap = false
            }, limits: limits)
        pair.nodes[0].natAddress = IPAddress(v4: 0xcb00_7105)
        #expect(pair.connect())
        pair.run(61)
        #expect(pair.nodes[0].endpoint.status()[0].ikeSA?.localBehindNAT == true && pair.nodes[0].keepalives == 0)
    }
}

@Suite struct ConnectionStateTests {
    @Test("states: waiting, trap, connecting, established, failed, down (design.md §3)")
    func states() {
        let pair = IKEPair(
            seed: 70,
            Sides.pair {
                $0.children[0].startAction = .trap
                $1.remoteAddresses = []
                $1.authentication = .preSharedKey(SecretBytes(Array("other".utf8)))
            })
        func state(_ node: Int) -> ConnectionStatus.State { pair.nodes[node].endpoint.status()[0].state }
        #expect(state(0) == .trap && state(1) == .waiting)
        pair.event(.acquire(connection: "c", child: "n"), 0)
        #expect(state(0) == .connecting)
        pair.run(5)
        // Who could not authenticate at us has not made our connection fail, but the reason is kept.
        #expect(state(0) == .failed && state(1) == .waiting)
        #expect(pair.nodes[1].endpoint.status()[0].lastFailure?.code == .authenticationFailed)
        pair.command(.initiate(connection: "c", child: nil), 1)
        #expect(pair.codes(1).last == .peerUnreachable)
        pair.command(.terminate(connection: "c"), 0)
        #expect(state(0) == .down)
    }

    @Test("packets after a failure do not bring about one attempt each")
    func acquireBackOff() {
        let pair = IKEPair(
            seed: 71,
            Sides.pair {
                $1.authentication = .preSharedKey(SecretBytes(Array("other".utf8)))
                $0.children[0].startAction = .trap
            })
        for _ in 0..<500 {
            pair.event(.acquire(connection: "c", child: "n"), 0)
            pair.run(0.1)
        }
        #expect((3...12).contains(pair.codes(0).count))
    }
}
