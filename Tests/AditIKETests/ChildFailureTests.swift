// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditWire
import Testing

@testable import AditIKE

/// Children that cannot be made while their IKE SA stands.
@Suite struct ChildFailureTests {
    /// A wants two children, of which B has one.
    private func refused(_ seed: UInt64) -> IKEPair {
        let pair = IKEPair(
            seed: seed,
            Sides.pair {
                $0.children.append(Sides.child("two", "10.3.0.0/16", "10.4.0.0/16"))
                $0.children[1].startAction = .none
                _ = $1
            }
        ).connected()
        pair.run(5) { !pair.codes(0).isEmpty }
        #expect(pair.codes(0) == [.trafficSelectorsUnacceptable], "\(pair.story)")
        return pair
    }

    private func shown(_ pair: IKEPair) -> FailureReport.Code? { pair.nodes[0].endpoint.status()[0].lastFailure?.code }

    /// B has both children, and its IKE SAs.
    private func correct(_ pair: IKEPair) {
        var right = Sides.pair()[1][0]
        right.children[0].startAction = .none
        right.children.append(Sides.child("two", "10.4.0.0/16", "10.3.0.0/16"))
        right.children[1].startAction = .none
        pair.nodes[1].endpoint.connections = ConnectionTable()
        _ = pair.nodes[1].endpoint.connections.add(right)
    }

    @Test("the failure of a child is over when the child comes up", arguments: [0, 1])
    func cleared(by node: Int) {
        let pair = refused(850)
        #expect(shown(pair) == .trafficSelectorsUnacceptable)
        // Another child's success says nothing of it.
        pair.command(.rekeyChildren(connection: "c"), 0)
        pair.run(10)
        #expect(shown(pair) == .trafficSelectorsUnacceptable && pair.nodes[0].children.count == 1)
        correct(pair)
        if node == 0 {
            pair.command(.initiate(connection: "c", child: "two"), 0)
        } else if let owner = pair.nodes[1].endpoint.ikeSAs.spis.first,
            let two = pair.nodes[1].endpoint.connections.ids.first
                .flatMap({ pair.nodes[1].endpoint.connections[$0]?.children.ids.last })
        {
            pair.nodes[1].endpoint.addTask(.createChild(two), to: owner)
            var effects: [IKEEffect] = []
            swap(&effects, &pair.nodes[1].endpoint.effects)
            pair.perform(effects, 1)
        }
        #expect(pair.run(5) { pair.nodes[0].children.count == 2 }, "\(pair.story)")
        #expect(shown(pair) == nil)
        let id = pair.nodes[0].endpoint.connections.ids[0]
        #expect(pair.nodes[0].endpoint.connections[id]?.failures == 0)
        #expect(pair.nodes[0].endpoint.connections[id]?.notBefore == nil)
    }

    @Test("a child that the data plane never takes is tried less and less often")
    func neverInstalled() {
        let pair = IKEPair(
            seed: 851,
            Sides.pair {
                $0.children.append(Sides.child("two", "10.3.0.0/16", "10.4.0.0/16"))
                $1.children.append(Sides.child("two", "10.4.0.0/16", "10.3.0.0/16"))
                $0.children[1].startAction = .start
                $1.children[1].startAction = .none
            })
        #expect(pair.connect(children: 2), "\(pair.story)")
        var tries = 0
        for _ in 0..<120 {
            for (spi, child) in pair.nodes[0].children where child.sa.child == "two" {
                tries += 1
                pair.event(.installationFailed(inboundSPI: spi, reason: "test"), 0)
            }
            pair.run(1)
        }
        #expect((3...10).contains(tries), "\(tries) \(pair.story)")
        #expect(shown(pair) == .limitReached)
    }
}
