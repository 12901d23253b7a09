// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

import AditWire
import Testing

@testable import AditForwarding

@Suite struct HintLimiterTests {
    @Test func onceASecondForEachNumber() {
        var limiter = HintLimiter()
        func verdict(_ number: UInt32, _ milliseconds: UInt64) -> HintLimiter.Verdict {
            limiter.verdict(number, now: Timestamp(nanoseconds: milliseconds * 1_000_000))
        }
        #expect(verdict(0, 0) == .first)
        #expect(verdict(7, 0) == .first)
        #expect(verdict(7, 999) == .quiet)
        #expect(verdict(7, 1000) == .again)
        #expect(verdict(7, 1999) == .quiet)
        #expect(verdict(0, 999) == .quiet)
    }

    @Test func boundedInAll() {
        var limiter = HintLimiter()
        var told = 0
        for number in 1...5000 as ClosedRange<UInt32> {
            if limiter.verdict(number, now: Timestamp(nanoseconds: 5)) != .quiet { told += 1 }
        }
        #expect(told == HintLimiter.rateLimit)
        let later = limiter.verdict(77_777, now: Timestamp(nanoseconds: 1_000_000_000))
        #expect(later == .first)
    }
}
