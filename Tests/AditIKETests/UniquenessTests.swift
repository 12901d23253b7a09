// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Simulation
import Testing

@testable import AditIKE

@Suite struct UniquenessTests {
    /// A and C under one identity, and B, which waits for anybody; A is connected.
    private func triple(_ policy: ConnectionConfiguration.UniquePolicy, seed: UInt64) -> IKEPair {
        var sides = Sides.pair {
            $1.remoteAddresses = []
            $0.unique = policy
            $1.unique = policy
        }
        var third = sides[0][0]
        third.localAddresses = [IKEPair.address(2)]
        sides.append([third])
        let pair = IKEPair(seed: seed, sides).connected()
        return pair
    }

    @Test("replace: the newer IKE SA of an identity takes the older one's place")
    func replace() {
        let pair = triple(.replace, seed: 900)
        pair.command(.initiate(connection: "c", child: nil), 2)
        pair.run(3)
        #expect(pair.nodes[2].established(), "\(pair.story)")
        #expect(
            pair.nodes[1].children.count == 1 && pair.nodes[1].children.values.first?.sa.remote.address == address(2))
        pair.run(120)
        #expect(pair.nodes[1].endpoint.ikeSACount == 1)
        #expect(pair.problems == [])
    }

    @Test("replace: a peer that authenticates again and again keeps a few IKE SAs only")
    func surplus() {
        let pair = triple(.replace, seed: 905)
        var eager = pair.nodes[2].endpoint.connections.ids.compactMap {
            pair.nodes[2].endpoint.connections[$0]?.configuration
        }
        // It says no INITIAL_CONTACT, and never deletes anything.
        eager[0].unique = .never
        var most = 0
        for seed in 100..<112 {
            pair.nodes[2] = Node(
                "C", pair.nodes[2].address,
                IKEEndpoint(connections: eager, entropy: SeededEntropy(UInt64(seed)).source))
            pair.command(.initiate(connection: "c", child: nil), 2)
            pair.run(0.5)
            #expect(pair.nodes[2].established(), "\(pair.story)")
            most = max(most, pair.nodes[1].endpoint.ikeSACount)
        }
        #expect(most > 3 && most <= 6)
        // Those that are left only receive, and go.
        pair.run(120)
        #expect(pair.nodes[1].endpoint.ikeSACount == 1 && pair.nodes[1].children.count == 1)
    }

    @Test("keep: a second one is refused while the first lives, and told why")
    func keep() {
        let pair = triple(.keep, seed: 901)
        let first = Set(pair.nodes[1].children.keys)
        pair.command(.initiate(connection: "c", child: nil), 2)
        pair.run(5)
        #expect(!pair.nodes[2].established() && pair.codes(2) == [.authenticationFailed])
        #expect(pair.codes(1) == [.duplicatePeer], "\(pair.story)")
        #expect(Set(pair.nodes[1].children.keys) == first && pair.nodes[0].established())
        // The refusal asked the first one whether it lives: once it is dead, the second gets in.
        pair.nodes[0].isAlive = false
        pair.command(.initiate(connection: "c", child: nil), 2)
        pair.run(60)
        pair.command(.initiate(connection: "c", child: nil), 2)
        pair.run(5)
        #expect(pair.nodes[2].established(), "\(pair.story)")
        #expect(pair.problems == [])
    }

    @Test("keep: a gateway that was restarted at the same place gets in at once")
    func keepAfterRestart() {
        let pair = triple(.keep, seed: 902)
        let configuration = pair.nodes[0].endpoint.connections.ids.compactMap {
            pair.nodes[0].endpoint.connections[$0]?.configuration
        }
        pair.nodes[0] = Node(
            "A", pair.nodes[0].address, IKEEndpoint(connections: configuration, entropy: SeededEntropy(77).source))
        #expect(pair.connect(), "\(pair.story)")
        #expect(pair.nodes[1].endpoint.ikeSACount == 1)
    }

    @Test("never: both stay, and INITIAL_CONTACT is neither sent nor heeded (RFC 7296 §2.4)")
    func never() {
        let pair = triple(.never, seed: 903)
        pair.command(.initiate(connection: "c", child: nil), 2)
        pair.run(100)
        #expect(pair.nodes.map { $0.endpoint.ikeSACount } == [1, 2, 1], "\(pair.story)")
        #expect(pair.nodes.map { $0.children.count } == [1, 2, 1])
        // A peer that sends INITIAL_CONTACT changes nothing.
        var eager = pair.nodes[2].endpoint.connections.ids.compactMap {
            pair.nodes[2].endpoint.connections[$0]?.configuration
        }
        eager[0].unique = .replace
        pair.nodes[2] = Node(
            "C", pair.nodes[2].address, IKEEndpoint(connections: eager, entropy: SeededEntropy(78).source))
        pair.command(.initiate(connection: "c", child: nil), 2)
        pair.run(3)
        #expect(pair.nodes[2].established() && pair.nodes[1].endpoint.ikeSACount == 3)
        #expect(pair.nodes[0].established())
        #expect(pair.problems == [])
    }

    @Test(
        "a peer that asks for a connection that was taken down is refused, and the reason is told",
        arguments: [true, false])
    func takenDown(anyPeer: Bool) {
        let pair = IKEPair(
            seed: 904,
            Sides.pair {
                if anyPeer { $1.remoteAddresses = [] }
                _ = $0
            }
        ).connected()
        pair.command(.terminate(connection: "c"), 1)
        pair.run(60)
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(30)
        #expect(pair.codes(0) == [.noProposalChosen])
        #expect(Set(pair.codes(1)) == [.connectionDown])
        #expect(pair.nodes[1].failures.first?.connection == "c")
        #expect(pair.nodes[1].failures.first?.suggestion.contains("adit up c") == true)
        let status = pair.nodes[1].endpoint.status()[0]
        #expect(status.state == .down && status.lastFailure?.code == .connectionDown)
        pair.command(.initiate(connection: "c", child: nil), 1)
        #expect(pair.connect(), "\(pair.story)")
    }

    @Test("where another connection answers the first message, IKE_AUTH tells that the one meant was taken down")
    func takenDownBesideAnother() {
        var sides = Sides.pair {
            $1.remoteAddresses = []; _ = $0
        }
        var other = sides[1][0]
        other.name = "d"
        other.remoteID = .fqdn("d.example")
        other.children[0].remoteSelectors = [Sides.selector("10.9.0.0/16")]
        sides[1].append(other)
        let pair = IKEPair(seed: 905, sides)
        pair.command(.terminate(connection: "c"), 1)
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(10)
        #expect(pair.codes(0) == [.authenticationFailed])
        #expect(pair.codes(1) == [.connectionDown] && pair.nodes[1].failures[0].connection == "c", "\(pair.story)")
    }

    private func address(_ node: Int) -> IPAddress { IKEPair.address(node) }
}
