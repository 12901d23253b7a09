// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

import AditWire
import Testing

@testable import AditForwarding

@Suite("What arrives so often that a worker pauses between its turns")
struct ArrivalRateTests {
    /// Arrivals of `perSecond` in turns of 100 µs for 20 ms; how often ``ArrivalRate/isCrowded`` has changed.
    private func run(_ rate: inout ArrivalRate, from start: inout UInt64, perSecond: Int) -> Int {
        var changes = 0
        for turn in 1...200 {
            start += 100_000
            rate.add(perSecond * turn / 10_000 - perSecond * (turn - 1) / 10_000)
            let was = rate.isCrowded
            let hasChanged = rate.hasChanged(at: Timestamp(nanoseconds: start))
            #expect(hasChanged == (rate.isCrowded != was))
            if hasChanged { changes += 1 }
        }
        return changes
    }

    @Test("A stream of super-packets and its acknowledgements are not crowded; datagrams one by one are")
    func crowds() {
        var (rate, time) = (ArrivalRate(), UInt64(1_000_000_000))
        var changes = run(&rate, from: &time, perSecond: 30_000)
        #expect(changes == 0)
        #expect(!rate.isCrowded)
        changes = run(&rate, from: &time, perSecond: 200_000)
        #expect(changes == 1)
        #expect(rate.isCrowded)
    }

    @Test("Between the two bounds it stays what it was, below the lower it ends")
    func hysteresis() {
        var (rate, time) = (ArrivalRate(), UInt64(1_000_000_000))
        var changes = run(&rate, from: &time, perSecond: 45_000)
        #expect(changes == 0)
        #expect(!rate.isCrowded)
        _ = run(&rate, from: &time, perSecond: 100_000)
        changes = run(&rate, from: &time, perSecond: 45_000)
        #expect(changes == 0)
        #expect(rate.isCrowded)
        changes = run(&rate, from: &time, perSecond: 20_000)
        #expect(changes == 1)
        #expect(!rate.isCrowded)
    }

    @Test("The first packet after a silence ends it")
    func silence() {
        var (rate, time) = (ArrivalRate(), UInt64(1_000_000_000))
        _ = run(&rate, from: &time, perSecond: 200_000)
        rate.add(64)
        #expect(rate.isCrowded)
        let hasChanged = rate.hasChanged(at: Timestamp(nanoseconds: time + 60_000_000_000))
        #expect(hasChanged && !rate.isCrowded)
    }
}
