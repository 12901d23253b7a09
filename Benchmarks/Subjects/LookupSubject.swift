// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks

import AditESP
import AditWire
import CBaseline

/// A table with many SAs, and keys to look up in it.
public final class LookupSubject {
    /// Which of the entries are asked for.
    public enum Traffic: String, CaseIterable, Sendable {
        /// Ten SAs in turn, as many as carry packets at one moment.
        case active
        /// Any of all, so that every lookup may miss the caches.
        case scattered
    }

    private let table: SATable
    private let reader: SAReader
    private let count: Int

    /// A table of `count` SA pairs.
    public init(_ count: Int) throws {
        self.count = count
        table = try Fixture.table(count)
        reader = table.reader(worker: 0)
        reader.leaveIdle()
    }

    private func numbers(_ traffic: Traffic) -> [Int] {
        (0..<4096).map { index in
            switch traffic {
            case .active: index % 10 * (count / 10)
            case .scattered: Int((UInt64(index) &* 0x9e37_79b9_7f4a_7c15) >> 20 % UInt64(count))
            }
        }
    }

    /// Nanoseconds of one lookup by SPI.
    public func inbound(_ traffic: Traffic, rounds: Int) -> Double {
        let keys = numbers(traffic).map { Fixture.spi($0, towardsA: true) }
        return median(rounds) {
            for key in keys where reader.inbound(key) == nil { fatalError("not found") }
            return keys.count
        }
    }

    /// Nanoseconds of one policy decision for packets of flows that were seen before.
    public func outbound(_ traffic: Traffic, rounds: Int) -> Double {
        let keys = numbers(traffic).map { Fixture.flow($0) }
        return decide(keys, rounds)
    }

    /// The same for flows that are new each time, so that the policies are searched.
    public func newFlows(_ traffic: Traffic, rounds: Int) -> Double {
        let few = numbers(traffic)
        let keys = (0..<65_536).map { Fixture.flow(few[$0 % few.count], sourcePort: UInt16(truncatingIfNeeded: $0)) }
        return decide(keys, max(rounds / 16, 5))
    }

    private func decide(_ keys: [FlowKey], _ rounds: Int) -> Double {
        median(rounds) {
            for key in keys { if case .protect = reader.outbound(for: key) { continue } else { fatalError("no SA") } }
            return keys.count
        }
    }

    private func median(_ rounds: Int, _ body: () -> Int) -> Double {
        var times: [Double] = []
        for _ in 0..<rounds {
            let begun = baseline_now()
            let count = body()
            times.append(Double(baseline_now() - begun) / Double(count))
        }
        return SealSubject.median(times)
    }
}
