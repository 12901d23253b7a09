// SPDX-License-Identifier: Apache-2.0
// Adit: Simulator

import Foundation
import Simulation

// simulate [--seeds COUNT] [--first SEED] [--jobs COUNT]: see scripts/simulate.

var seeds = 10_000
var first: UInt64 = 0
var jobs = ProcessInfo.processInfo.activeProcessorCount
var arguments = Array(CommandLine.arguments.dropFirst())
while let option = arguments.first {
    guard arguments.count > 1, let value = UInt64(arguments[1]) else {
        print("\(option) takes a number")
        exit(2)
    }
    switch option {
    case "--seeds": seeds = Int(clamping: value)
    case "--first": first = value
    case "--jobs": jobs = max(1, min(Int(clamping: value), 64))
    default:
        print("unknown argument \(option)")
        exit(2)
    }
    arguments.removeFirst(2)
}

/// Failures that are told with their whole story.
let tracedFailures = 3
let start = Date()
let campaign = Campaign(first: first, count: seeds)
let threads = (0..<jobs).map { _ in Thread { campaign.work() } }
for thread in threads {
    thread.stackSize = 8 << 20
    thread.start()
}
campaign.waitForWorkers(jobs)
let result = campaign.result
for failure in result.failures.prefix(tracedFailures) { print(failure) }
for failure in result.failures.dropFirst(tracedFailures) { print(failure.summary) }
let totals = result.totals
let seconds = Date().timeIntervalSince(start)
print(
    "simulated \(seeds) seeds from \(first) in \(Int(seconds)) s: "
        + "\(totals.messages) IKE messages, \(totals.childSAs) Child SAs, \(totals.ikeRekeys) rekeyed IKE SAs, "
        + "\(totals.probes) probes; \(result.failed) failed")

/// 10,000 seeds take two minutes of two processors at most. It is the processors' time that is held, as others may have
/// them as well; the first seeds alone say nothing.
let budget = (secondsASeed: 120.0 * 2 / 10_000, leastSeeds: 1_000)
let used = Double(clock()) / Double(CLOCKS_PER_SEC)
let allowed = Double(seeds) * budget.secondsASeed
let isLate = seeds >= budget.leastSeeds && used > allowed
print("\(Int(used)) s of processor time, of \(Int(allowed)) s that it may take\(isLate ? ": too long" : "")")
exit(result.failed == 0 && !isLate ? 0 : 1)
