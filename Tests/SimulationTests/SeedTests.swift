// SPDX-License-Identifier: Apache-2.0
// Adit: SimulationTests

import Simulation
import Testing

/// Whole runs of two gateways over a bad network, each seed with its own mixture of disturbances.
@Suite struct SeedTests {
    @Test("a seed ends established, mirrored and without a gap", arguments: 0..<4)
    func seeds(part: UInt64) {
        var totals = SeedRun.Totals()
        for seed in part * 10..<(part + 1) * 10 {
            let failure = SeedRun.failure(of: seed, totals: &totals)
            #expect(failure == nil, "\(failure?.description ?? "")")
        }
        #expect(totals.childSAs >= 20 && totals.messages > 100)
    }
}
