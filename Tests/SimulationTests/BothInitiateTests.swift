// SPDX-License-Identifier: Apache-2.0
// Adit: SimulationTests

import AditWire
import Testing

@testable import AditIKE
@testable import Simulation

/// Both sides make an IKE SA at once: one stays, and what the other one carries is not lost for a moment.
@Suite struct BothInitiateTests {
    /// Two gateways that both start, over a network with this delay in ms; packets flow from the moment they can.
    private func pair(
        _ seed: UInt64, children: Int, loss: Double = 0, delay: ClosedRange<Int> = 1...60,
        _ change: (inout ConnectionConfiguration, inout ConnectionConfiguration) -> Void = { _, _ in }
    ) -> Simulation {
        let simulation = Simulation(
            seed: seed,
            Sites.pair(children: children) { left, right in
                for index in 0..<children {
                    (left.children[index].startAction, right.children[index].startAction) = (.start, .start)
                }
                change(&left, &right)
            })
        simulation.isTraced = true
        simulation.network.conditions.delay = delay
        simulation.network.conditions.loss = loss
        for side in 0..<2 { simulation.schedule(.deadline, gateway: side, after: .milliseconds(side * 7)) }
        return simulation
    }

    /// Whether every child is up, and nobody sends where the other one does not receive.
    private func isUp(_ simulation: Simulation, _ children: Int) -> Bool {
        simulation.gateways.allSatisfy { gateway in
            let sending = gateway.dataPlane.pairs.values.filter(\.isActive).map(\.installation)
            let peer = simulation.gateways[1 - gateway.index].dataPlane.pairs
            return Set(sending.map(\.child)).count == children && sending.allSatisfy { peer[$0.outboundSPI] != nil }
        }
    }

    private func expectSettled(_ simulation: Simulation, _ children: Int) {
        let story = simulation.trace.joined(separator: "\n")
        for gateway in simulation.gateways {
            #expect(gateway.endpoint.ikeSACount == 1 && gateway.endpoint.childSACount == children, "\(story)")
        }
        #expect(Agreement.difference(simulation.gateways[0], simulation.gateways[1]) == nil, "\(story)")
        #expect(simulation.problems == [], "\(story)")
    }

    @Test("nothing is lost from the moment on when everything is up", arguments: 1...3, 0..<6 as Range<UInt64>)
    func noGap(children: Int, seed: UInt64) {
        let simulation = pair(3000 + seed, children: children, loss: seed < 3 ? 0 : 0.2, delay: 5...300)
        #expect(simulation.run(.seconds(300)) { isUp(simulation, children) })
        simulation.probeInterval = .milliseconds(50)
        simulation.traffic.demand()
        simulation.run(.seconds(40))
        simulation.network.conditions = VirtualNetwork.Conditions()
        simulation.probeInterval = .seconds(1)
        simulation.run(.seconds(170))
        expectSettled(simulation, children)
    }

    @Test("one side alone wants a child, and its IKE SA goes: it is made on the other one", arguments: [0, 1])
    func childOfTheLoser(side: Int) {
        var crossed = 0
        for seed in 3100..<3106 as Range<UInt64> {
            let simulation = pair(seed, children: 2) { left, right in
                if side == 1 { left.children[1].startAction = .trap }
                if side == 0 { right.children[1].startAction = .trap }
            }
            #expect(simulation.run(.seconds(300)) { isUp(simulation, 2) })
            let isCrossed = simulation.gateways.contains { $0.endpoint.ikeSACount > 1 }
            crossed += isCrossed ? 1 : 0
            simulation.probeInterval = .milliseconds(50)
            simulation.traffic.demand()
            simulation.run(.seconds(40))
            expectSettled(simulation, 2)
        }
        #expect(crossed > 0)
    }

    @Test("`never` keeps both", arguments: [0, 1] as [UInt64])
    func bothStay(seed: UInt64) {
        let simulation = pair(3200 + seed, children: 1, delay: 50...60) { left, right in
            (left.unique, right.unique) = (.never, .never)
        }
        #expect(simulation.run(.seconds(300)) { isUp(simulation, 1) })
        simulation.probeInterval = .milliseconds(50)
        simulation.traffic.demand()
        simulation.run(.seconds(100))
        #expect(simulation.gateways.allSatisfy { $0.endpoint.ikeSACount == 2 && $0.dataPlane.pairs.count == 2 })
        #expect(simulation.problems == [])
    }

    @Test("a peer that closes the older one at once, by a policy of its own: the other one stays, with every child")
    func peerClosesTheOlder() {
        var closedWinner = 0
        for seed in 3300..<3308 as Range<UInt64> {
            let simulation = pair(seed, children: 2, delay: 20...60) { left, right in
                // What B does is done from outside; it has no preference.
                (left.unique, right.unique) = (.replace, .never)
            }
            let gateway = simulation.gateways[1]
            let hasBoth = simulation.run(.seconds(10)) { gateway.endpoint.status()[0].state == .established }
            #expect(hasBoth)
            let isCrossed = simulation.run(.seconds(5)) { sessions(gateway).count == 2 }
            guard isCrossed, let older = sessions(gateway).first else { continue }
            if older.initiatorSPI.rawValue > sessions(gateway)[1].initiatorSPI.rawValue { closedWinner += 1 }
            gateway.endpoint.withIKESA(older.spi) { $0.close(&$1, .delete, reason: "a duplicate") }
            var effects: [IKEEffect] = []
            swap(&effects, &gateway.endpoint.effects)
            simulation.perform(effects, gateway)
            simulation.run(.seconds(120))
            expectSettled(simulation, 2)
        }
        #expect(closedWinner > 0)
    }

    /// The authenticated IKE SAs of a gateway, the oldest first.
    private func sessions(_ gateway: SimulatedGateway) -> [IKESA] {
        let connection = gateway.endpoint.connections.ids.first.flatMap { gateway.endpoint.connections[$0] }
        return (connection?.ikeSAs ?? []).compactMap { gateway.endpoint.ikeSAs[$0] }
    }
}
