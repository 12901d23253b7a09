// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Simulation
import Testing

@testable import AditIKE

/// Many connections to one peer.
@Suite struct AttemptsTests {
    /// So many connections between two gateways, which A starts by itself.
    private func sides(_ count: Int) -> [[ConnectionConfiguration]] {
        let pairs = (0..<count).map { index in
            Sides.pair {
                $0.name = "c\(index)"
                $1.name = "c\(index)"
                $0.localID = .fqdn("a\(index).example")
                $1.remoteID = .fqdn("a\(index).example")
                $0.children = [Sides.child("n\(index)", "10.1.\(index).0/24", "10.2.\(index).0/24")]
                $1.children = [Sides.child("n\(index)", "10.2.\(index).0/24", "10.1.\(index).0/24")]
                $0.children[0].startAction = .start
                $1.children[0].startAction = .none
            }
        }
        return [pairs.flatMap { $0[0] }, pairs.flatMap { $0[1] }]
    }

    private func names(_ pair: IKEPair) -> [String] {
        pair.nodes[0].reports.compactMap { report in
            if case .connecting(let name, _, _) = report { name } else { nil }
        }
    }

    @Test("200 connections come up at once, and again when a gateway was killed: none is shut out, each in its turn")
    func many() {
        let sides = sides(200)
        let pair = IKEPair(seed: 830, sides)
        pair.traced = false
        pair.event(.deadline, 0)
        for round in 0..<2 {
            var most = 0
            let isUp = pair.run(5) {
                most = max(most, pair.nodes[1].endpoint.halfOpen.count)
                return pair.nodes[0].children.count == 200
            }
            #expect(isUp, "\(pair.nodes[0].children.count) are up")
            #expect(most > 4 && most <= 16, "\(most) were half open")
            #expect(pair.nodes[0].failures.isEmpty && pair.nodes[1].endpoint.counters[.limitReached] == 0)
            #expect(names(pair) == (0..<200).map { "c\($0)" })
            guard round == 0 else { break }
            pair.nodes[0] = Node(
                "A", pair.nodes[0].host, IKEEndpoint(connections: sides[0], entropy: SeededEntropy(831).source))
            pair.event(.deadline, 0)
        }
        pair.run(10)
        #expect(pair.mirrored() == nil && pair.problems == [])
    }

    @Test("a peer that is not there keeps nobody waiting: whoever was not answered makes room")
    func deadPeer() {
        let pair = IKEPair(seed: 832, sides(40))
        pair.nodes[1].isAlive = false
        pair.event(.deadline, 0)
        #expect(names(pair).count == 16)
        let state = { pair.nodes[0].endpoint.status()[39].state }
        #expect(state() == .connecting)
        pair.command(.initiate(connection: "c39", child: nil), 0)
        #expect(names(pair).count == 16 && pair.reports(0).last == "queued")
        pair.run(2.9)
        #expect(names(pair) == (0..<40).map { "c\($0)" })
        pair.nodes[1].isAlive = true
        #expect(pair.run(30) { pair.nodes[0].children.count == 40 }, "\(pair.story)")
        #expect(pair.nodes[0].failures.isEmpty && pair.problems == [])
    }

    @Test("one that waits is given up by a command, and brought up by the peer")
    func givenUp() {
        let sides = sides(20)
        let pair = IKEPair(seed: 833, sides)
        pair.event(.deadline, 0)
        pair.command(.terminate(connection: "c18"), 0)
        #expect(pair.codes(0) == [.cancelled] && pair.nodes[0].failures.first?.connection == "c18")
        pair.command(.initiate(connection: "c19", child: nil), 1)
        #expect(pair.run(5) { pair.nodes[0].children.count == 19 }, "\(pair.story)")
        pair.run(30)
        #expect(pair.nodes[0].endpoint.status().allSatisfy { $0.state == ($0.name == "c18" ? .down : .established) })
        #expect(pair.nodes[0].endpoint.totals.ikeSAs == 19 && pair.problems == [])
        #expect(pair.mirrored() == nil, "\(pair.story)")
    }

    @Test("a shutdown begins nothing more")
    func shutdown() {
        let pair = IKEPair(seed: 834, sides(20))
        pair.event(.deadline, 0)
        pair.command(.shutdown, 0)
        #expect(names(pair).count == 16 && pair.nodes[0].endpoint.ikeSACount == 0)
    }

    @Test("connections that authenticate anew at once take turns, too")
    func reauthentication() {
        var sides = sides(40)
        for index in sides[0].indices { sides[0][index].reauthTime = .seconds(30) }
        let pair = IKEPair(seed: 835, sides)
        pair.traced = false
        pair.event(.deadline, 0)
        #expect(pair.run(5) { pair.nodes[0].children.count == 40 })
        let before = Set(pair.nodes[0].children.keys)
        pair.run(60)
        #expect(before.isDisjoint(with: pair.nodes[0].children.keys) && pair.nodes[0].failures.isEmpty)
        #expect(pair.nodes[0].endpoint.status().allSatisfy { $0.state == .established })
        #expect(pair.problems == [])
    }

    @Test("authenticating anew does not starve behind a queue that has no end: it begins beside it, make before break")
    func starved() {
        var sides = sides(200)
        sides[0][0].reauthTime = .seconds(100)
        for index in 1..<200 {
            // From an address that A does not have, so nobody answers.
            sides[0][index].localAddresses = [IKEPair.address(9)]
            sides[0][index].children[0].startAction = .none
        }
        var limits = IKELimits()
        limits.attemptsPerRemote = 1
        let pair = IKEPair(seed: 836, sides, limits: limits)
        pair.event(.deadline, 0)
        #expect(pair.run(5) { pair.nodes.allSatisfy { $0.children.count == 1 } }, "\(pair.story)")
        let spi = { pair.nodes[0].endpoint.status()[0].ikeSA?.initiatorSPI }
        let old = spi()
        pair.run(80)
        for index in 1..<200 { pair.command(.initiate(connection: "c\(index)", child: nil), 0) }
        // It is due 100 s after the beginning at the latest; traffic goes both ways.
        var isServed = true
        for _ in 0..<5_000 {
            pair.run(0.01)
            for node in 0..<2 { pair.sendTraffic(node, "n0") }
            isServed = isServed && pair.nodes.allSatisfy { $0.outbound("n0") != nil }
        }
        #expect(spi() != old && pair.nodes[0].endpoint.status()[199].state == .connecting, "\(pair.story)")
        #expect(names(pair).filter { $0 == "c0" }.count == 2 && !names(pair).contains("c199"))
        #expect(isServed && pair.nodes.map(\.blackholed) == [0, 0], "\(pair.story)")
        #expect(pair.nodes[0].failures.allSatisfy { $0.connection != "c0" } && pair.nodes[1].failures.isEmpty)
        #expect(pair.nodes[0].children.count == 1 && pair.mirrored() == nil && pair.problems == [])
    }
}
