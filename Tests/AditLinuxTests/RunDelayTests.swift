// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinuxTests

import Glibc
import Synchronization
import Testing

@testable import AditLinux

@Suite("How long a thread waits for a processor")
struct RunDelayTests {
    private func parse(_ text: String) -> RunDelay.Sample? {
        unsafe Array(text.utf8).withUnsafeBytes { unsafe RunDelay.parse($0) }
    }

    @Test("Three numbers are read, and nothing else")
    func parses() {
        #expect(parse("12 345 6\n") == RunDelay.Sample(ran: 12, waited: 345, turns: 6))
        #expect(parse("18446744073709551615 0 1\n") == RunDelay.Sample(ran: .max, waited: 0, turns: 1))
        for text in ["", "1 2\n", "1 2 3", "1 2 3 4\n", "1 -2 3\n", "a b c\n"] { #expect(parse(text) == nil) }
    }

    @Test("The mean is of the turns since, and there is none without one")
    func meanWait() {
        let first = RunDelay.Sample(ran: 5, waited: 1000, turns: 10)
        #expect(RunDelay.Sample(ran: 9, waited: 1600, turns: 12).meanWait(since: first) == 300)
        #expect(first.meanWait(since: first) == nil)
        #expect(RunDelay.Sample(ran: 0, waited: 0, turns: 12).meanWait(since: first) == nil)
    }

    @Test("A thread's own grow while it runs and sleeps")
    func ofAThread() throws {
        let seen = Mutex<[RunDelay.Sample?]>([])
        try PinnedThread(name: "delay") {
            guard let delay = RunDelay() else { return }
            let before = delay.sample()
            for _ in 0..<20 { PinnedThread.sleep(nanoseconds: 1_000_000) }
            let after = delay.sample()
            seen.withLock { $0 = [before, after] }
        }.join()
        let samples = seen.withLock { $0 }
        // A kernel without these counts has no file.
        guard access("/proc/thread-self/schedstat", R_OK) == 0 else { return }
        try #require(samples.count == 2)
        let before = try #require(samples[0]), after = try #require(samples[1])
        #expect(after.turns > before.turns)
        #expect(after.ran > before.ran)
        #expect(after.meanWait(since: before) != nil)
    }

    @Test("A patient thread is a batch thread with the nice value it had")
    func patience() throws {
        let seen = Mutex<[CInt]>([]), isUsual = Mutex<[Bool]>([])
        try PinnedThread(name: "patient", niceness: 5) {
            PinnedThread.setPatient(true)
            isUsual.withLock { $0.append(PinnedThread.hasUsualPolicy) }
            let patient = [sched_getscheduler(0), getpriority(CInt(PRIO_PROCESS.rawValue), 0)]
            PinnedThread.setPatient(false)
            isUsual.withLock { $0.append(PinnedThread.hasUsualPolicy) }
            let usual = [sched_getscheduler(0), getpriority(CInt(PRIO_PROCESS.rawValue), 0)]
            seen.withLock { $0 = patient + usual }
        }.join()
        #expect(isUsual.withLock { $0 } == [false, true])
        let (batch, other): (CInt, CInt) = (3, 0)  // SCHED_BATCH and SCHED_OTHER
        #expect(seen.withLock { $0 } == [batch, 5, other, 5])
    }
}
