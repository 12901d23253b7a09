// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditWire
import Simulation
import Testing

@testable import AditIKE

/// `dpd_action`, for children that come up by themselves.
@Suite struct DeadPeerTests {
    /// A, whose child comes up by itself, has noticed that B is dead; B is there again.
    private func dead(
        _ seed: UInt64, _ action: ConnectionConfiguration.DeadPeerAction,
        _ start: ChildConfiguration.StartAction = .start
    ) -> IKEPair {
        let sides = Sides.pair {
            $0.dpdDelay = .seconds(10)
            $0.dpdAction = action
            $0.children[0].startAction = start
            _ = $1
        }
        let pair = IKEPair(seed: seed, sides).connected()
        pair.run(10)
        pair.nodes[1].isAlive = false
        #expect(pair.run(120) { pair.codes(0).contains(.deadPeer) }, "\(pair.story)")
        pair.nodes[1] = Node(
            "B", pair.nodes[1].host, IKEEndpoint(connections: sides[1], entropy: SeededEntropy(seed + 1).source))
        return pair
    }

    private func state(_ pair: IKEPair) -> ConnectionStatus.State { pair.nodes[0].endpoint.status()[0].state }

    private func acquire(_ pair: IKEPair) {
        pair.event(.acquire(connection: "c", child: "n"), 0)
        pair.run(10)
    }

    @Test("trap: nothing is tried, and the state says so, until a packet comes")
    func trap() {
        let pair = dead(840, .trap)
        let sent = pair.nodes[0].sent.count
        pair.run(120)
        #expect(pair.nodes[0].sent.count == sent && state(pair) == .trap, "\(pair.story)")
        acquire(pair)
        #expect(pair.nodes[0].established() && pair.nodes[0].endpoint.status()[0].lastFailure == nil)
        // It is over with that: what is lost in another way comes up again by itself.
        pair.command(.terminate(connection: "c"), 1)
        pair.command(.initiate(connection: "c", child: nil), 1)
        pair.run(30)
        #expect(pair.nodes[0].established(), "\(pair.story)")
    }

    @Test("clear: nothing is tried, not even for packets", arguments: ChildConfiguration.StartAction.allCases)
    func clear(start: ChildConfiguration.StartAction) {
        let pair = dead(842, .clear, start)
        let sent = pair.nodes[0].sent.count
        pair.run(60)
        acquire(pair)
        let expected = start == .none ? ConnectionStatus.State.waiting : .failed
        #expect(pair.nodes[0].sent.count == sent && state(pair) == expected, "\(pair.story)")
        #expect(pair.nodes[0].endpoint.status()[0].lastFailure?.code == .deadPeer)
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(10)
        #expect(pair.nodes[0].established() && pair.nodes[0].endpoint.status()[0].lastFailure == nil)
    }

    @Test("clear: a reload that changes something brings it back")
    func byAReload() throws {
        let pair = dead(846, .clear)
        let id = try #require(pair.nodes[0].endpoint.connections.ids.first)
        var changed = try #require(pair.nodes[0].endpoint.connections[id]?.configuration)
        pair.command(.configure([changed]), 0)
        pair.run(10)
        #expect(!pair.nodes[0].established())
        changed.children[0].rekeyTime += .seconds(60)
        pair.command(.configure([changed]), 0)
        #expect(pair.run(10) { pair.nodes[0].established() }, "\(pair.story)")
    }

    @Test("clear: the peer brings it back")
    func byThePeer() {
        let pair = dead(844, .clear)
        pair.command(.initiate(connection: "c", child: nil), 1)
        pair.run(10)
        #expect(pair.nodes[0].established())
        pair.command(.terminate(connection: "c"), 1)
        pair.run(0.5)
        #expect(!pair.nodes[0].established() && state(pair) == .connecting, "\(pair.story)")
    }
}
