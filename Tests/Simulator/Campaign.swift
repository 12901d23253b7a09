// SPDX-License-Identifier: Apache-2.0
// Adit: Simulator

import Foundation
import Simulation

/// Seeds that several threads run, each the next one.
final class Campaign: @unchecked Sendable {
    /// What came out.
    struct Result {
        var failed = 0
        /// The first ones.
        var failures: [SeedRun.Failure] = []
        var totals = SeedRun.Totals()
    }

    private let condition = NSCondition()
    private var next: UInt64
    private let end: UInt64
    private var finished = 0
    private var collected = Result()

    init(first: UInt64, count: Int) {
        next = first
        end = first + UInt64(count)
    }

    /// What came out, once every worker is done.
    var result: Result { condition.withLock { collected } }

    /// Runs seeds until none is left.
    func work() {
        var totals = SeedRun.Totals()
        while let seed = take() {
            guard let failure = SeedRun.failure(of: seed, totals: &totals) else { continue }
            condition.withLock {
                collected.failed += 1
                if collected.failures.count < Self.shownFailures { collected.failures.append(failure) }
            }
        }
        condition.withLock {
            collected.totals.add(totals)
            finished += 1
            condition.signal()
        }
    }

    func waitForWorkers(_ count: Int) {
        condition.withLock { while finished < count { condition.wait() } }
    }

    private func take() -> UInt64? {
        condition.withLock {
            guard next < end else { return nil }
            defer { next += 1 }
            return next
        }
    }

    private static let shownFailures = 200
}

extension SeedRun.Totals {
    mutating func add(_ other: Self) {
        messages += other.messages
        probes += other.probes
        childSAs += other.childSAs
        ikeRekeys += other.ikeRekeys
    }
}
