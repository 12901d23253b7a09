// SPDX-License-Identifier: Apache-2.0
// Adit: SimulationTests

import Simulation
import Testing

/// Addresses that change among other things: what random runs have found, each as a run of its own.
@Suite struct RoamingTests {
    private func expectClean(_ seed: UInt64, _ disturbances: [Scenario.Disturbance], _ change: (inout Scenario) -> Void)
    {
        var scenario = Scenario(calm: seed)
        scenario.isRoaming = true
        scenario.disturbances = disturbances
        change(&scenario)
        var run = SeedRun(scenario, isTraced: true)
        run.perform()
        #expect(run.problems == [], "\(run.simulation.trace.joined(separator: "\n"))")
    }

    @Test("either side, both, behind a NAT and not", arguments: [[0], [1], [0, 1]], [false, true])
    func moves(sides: [Int], isBehindNAT: Bool) {
        expectClean(1, [.roam(sides, places: [1]), .pause(50), .roam(sides, places: [2, 0])]) {
            $0.isBehindNAT = isBehindNAT
            $0.isFiltering = true
        }
    }

    @Test("from one NAT to another, to none, and back", arguments: [0, 1])
    func changesNAT(place: Int) {
        expectClean(
            2, [.changeNAT(1, place: place), .pause(5), .changeNAT(nil, place: 2), .pause(5), .changeNAT(2, place: 0)]
        ) { $0.isBehindNAT = true }
    }

    @Test("nowhere for a while, and a first address that carries nothing", arguments: [0, 1])
    func vanishes(side: Int) {
        expectClean(3, [.vanish(side, seconds: 30, places: [1, 0]), .deafen(side, seconds: 60)]) { $0.children = 2 }
    }

    /// A goes on writing to the address that B has again, and its NAT takes answers from nowhere else.
    @Test("the responder lost an address for a moment, and its peer's NAT asks who sends (RFC 4555 §3.5)")
    func addressOfAMoment() {
        for seed in 0..<24 as Range<UInt64> {
            expectClean(
                seed, [.roam([0, 1], places: [2, 0]), .roam([1], places: [2]), .roam([1], places: [2, 0])]
            ) {
                $0.isBehindNAT = true
                $0.isFiltering = true
                $0.conditions.loss = 0.4
            }
        }
    }

    /// What arrives from B's new address is no evidence that B is still at the old one.
    @Test("a responder without MOBIKE moves away from a peer behind a NAT, which does not follow (RFC 7296 §2.23)")
    func leavesWithoutMobility() {
        expectClean(5, [.bothRekeyIKE, .roam([1], places: [1])]) {
            $0.isBehindNAT = true
            $0.mobike = [false, true]
        }
    }
}
