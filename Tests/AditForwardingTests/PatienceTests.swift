// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

import AditLinux
import AditWire
import Testing

@testable import AditForwarding

@Suite("Whether a worker lets who woke it go on")
struct PatienceTests {
    private var patience = Patience()
    private var time: UInt64 = 1_000_000_000
    private var sample = RunDelay.Sample(ran: 0, waited: 0, turns: 0)

    /// A look after an interval of 10 turns; whether it is patient now.
    private mutating func look(wait: UInt64 = 10_000, run: UInt64 = 30_000, isCrowded: Bool = false) -> Bool {
        time += Patience.interval
        sample.turns += 10
        sample.waited += 10 * wait
        sample.ran += 10 * run
        let now = Timestamp(nanoseconds: time)
        #expect(patience.isDue(at: now))
        let was = patience.isPatient
        let hasChanged = patience.hasChanged(at: now, sample, isCrowded: isCrowded)
        #expect(hasChanged == (patience.isPatient != was))
        #expect(!patience.isDue(at: now))
        return patience.isPatient
    }

    /// How many calm looks it takes to become patient.
    private mutating func looksUntilPatient() -> Int {
        for count in 1...1000 where look() { return count }
        return .max
    }

    @Test("It is earned by lone packets")
    mutating func isEarned() {
        #expect(!patience.isPatient)
        #expect(looksUntilPatient() == Patience.firstNeed)
    }

    @Test("A stream ends it, and so do packets by the ten thousand; it costs no more than before afterwards")
    mutating func streamsEndIt() {
        #expect(looksUntilPatient() == Patience.firstNeed)
        // 20 ms of 100, and waits that a stream's programs cause.
        #expect(!look(wait: 400_000, run: 2_000_000))
        #expect(looksUntilPatient() == Patience.firstNeed)
        #expect(!look(wait: 400_000, isCrowded: true))
        #expect(looksUntilPatient() == Patience.firstNeed)
        patience.giveUp()
        #expect(!patience.isPatient)
        #expect(looksUntilPatient() == Patience.firstNeed)
    }

    @Test("A long wait ends it, and each time it takes twice as many calm looks")
    mutating func longWaitsEndIt() {
        for repetition in 0..<5 {
            #expect(looksUntilPatient() == Patience.firstNeed << repetition)
            #expect(!look(wait: Patience.longWait + 1))
        }
        // A long wait without patience is nobody's fault.
        #expect(!look(wait: Patience.longWait + 1))
        #expect(looksUntilPatient() == Patience.firstNeed << 5)
    }

    @Test("Where it went well for as long as it was earned, a long wait is the first again")
    mutating func isForgiven() {
        #expect(looksUntilPatient() == Patience.firstNeed)
        #expect(!look(wait: Patience.longWait + 1))
        #expect(looksUntilPatient() == 2 * Patience.firstNeed)
        for _ in 0..<2 * Patience.firstNeed { #expect(look()) }
        #expect(!look(wait: Patience.longWait + 1))
        #expect(looksUntilPatient() == Patience.firstNeed)
    }

    @Test("What it takes has a limit")
    mutating func needIsLimited() {
        var count = 0
        for _ in 0..<20 {
            count = 0
            while !patience.isPatient, count <= Patience.largestNeed {
                time += Patience.interval
                sample.turns += 1
                _ = patience.hasChanged(at: Timestamp(nanoseconds: time), sample, isCrowded: false)
                count += 1
            }
            #expect(!look(wait: Patience.longWait + 1))
        }
        #expect(count == Patience.largestNeed)
    }

    @Test("Without figures, or with ones that mean nothing, there is none, and nothing traps")
    mutating func withoutFigures() {
        for figures in [nil, RunDelay.Sample(ran: 0, waited: 0, turns: 0)] {
            #expect(looksUntilPatient() == Patience.firstNeed)
            time += Patience.interval
            let hasChanged = patience.hasChanged(at: Timestamp(nanoseconds: time), figures, isCrowded: false)
            #expect(hasChanged && !patience.isPatient)
            patience = Patience()
            sample = RunDelay.Sample(ran: 0, waited: 0, turns: 0)
        }
        _ = look()
        let huge = RunDelay.Sample(ran: .max, waited: .max, turns: .max)
        _ = patience.hasChanged(at: Timestamp(nanoseconds: .max), huge, isCrowded: false)
        #expect(!patience.isPatient)
    }
}
