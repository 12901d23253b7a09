// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinuxTests

import AditWire
import Glibc
import Synchronization
import Testing

@testable import AditLinux

@Suite struct PinnedThreadTests {
    @Test func theBodyRunsUnderItsNameAndJoinWaits() throws {
        let seen = Mutex("")
        let thread = try PinnedThread(name: "adit-worker-with-a-long-name", processor: 0) {
            usleep(50_000)
            let file = open("/proc/thread-self/comm", O_RDONLY)
            var name = [UInt8](repeating: 0, count: 32)
            let length = max(0, read(file, &name, 32))
            close(file)
            seen.withLock { $0 = String(decoding: name[..<length], as: UTF8.self) }
        }
        thread.join()
        #expect(seen.withLock { $0 } == "adit-worker-wit\n")
        thread.join()
        #expect(PinnedThread.processorCount >= 1)
    }

    @Test func aProcessorThatIsNotThereIsIgnored() throws {
        for processor in [-1, 1_000_000] {
            let ran = Mutex(false)
            try PinnedThread(name: "lost", processor: processor) { ran.withLock { $0 = true } }.join()
            #expect(ran.withLock { $0 })
        }
    }

    /// The threads' own value, not the process's. Only a privileged one may go below 0.
    @Test func aThreadHasANicenessOfItsOwn() throws {
        for (wanted, isPrivileged) in [(5, false), (-10, true)] where !isPrivileged || geteuid() == 0 {
            let seen = Mutex<CInt?>(nil)
            try PinnedThread(name: "nice", niceness: wanted) {
                seen.withLock { $0 = getpriority(CInt(PRIO_PROCESS.rawValue), 0) }
            }.join()
            // A container's root may lack CAP_SYS_NICE; then the value stays.
            let before = getpriority(CInt(PRIO_PROCESS.rawValue), 0)
            #expect(seen.withLock { $0 } == CInt(wanted) || (isPrivileged && seen.withLock { $0 } == before))
            #expect(wanted == 5 || getpriority(CInt(PRIO_PROCESS.rawValue), 0) == before)
        }
    }
}

@Suite struct EventPollTests {
    @Test func onlyWhatIsReadyIsReported() throws {
        let poll = try EventPoll(capacity: 4)
        let first = try WakeUp(), second = try WakeUp()
        try poll.add(first.descriptor, token: 11)
        try poll.add(second.descriptor, token: .max)
        #expect(poll.wait(until: MonotonicClock.now()) == 0)
        second.signal()
        second.signal()
        #expect(poll.wait(until: nil) == 1)
        #expect(poll[0].token == .max)
        #expect(poll[0].isReadable && !poll[0].isWritable && !poll[0].isBroken)
        // Level-triggered: still there until acknowledged.
        #expect(poll.wait(until: nil) == 1)
        second.acknowledge()
        #expect(poll.wait(until: MonotonicClock.now()) == 0)
        try poll.modify(first.descriptor, token: 12, writable: true)
        #expect(poll.wait(until: nil) == 1)
        #expect(poll[0].token == 12 && poll[0].isWritable && !poll[0].isReadable)
        poll.remove(first.descriptor)
        poll.remove(first.descriptor)
        #expect(poll.wait(until: MonotonicClock.now()) == 0)
        let error = #expect(throws: SystemError.self) { try poll.add(-1, token: 0) }
        #expect(error?.code == EBADF)
    }

    @Test func aDeadlineIsNotMissedAndNotEarly() throws {
        let poll = try EventPoll()
        let start = MonotonicClock.now()
        #expect(poll.wait(until: start + .milliseconds(30)) == 0)
        #expect(MonotonicClock.now() - start >= .milliseconds(30))
        #expect(poll.wait(until: start) == 0)
    }

    @Test func anotherThreadWakesIt() throws {
        let poll = try EventPoll()
        let wakeUp = try WakeUp()
        try poll.add(wakeUp.descriptor, token: 1)
        let thread = try PinnedThread(name: "waker") {
            usleep(20_000)
            wakeUp.signal()
        }
        #expect(poll.wait(until: MonotonicClock.now() + .seconds(10)) == 1)
        thread.join()
    }
}

@Suite struct SignalsTests {
    @Test func aSignalComesByItsDescriptor() throws {
        let outcome = Mutex<[Signals.Signal?]>([])
        let thread = try PinnedThread(name: "signals") {
            guard let signals = try? Signals([.user1, .hangUp]) else { return }
            var seen = [signals.next()]
            pthread_kill(pthread_self(), SIGUSR1)
            var request = pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0)
            _ = Glibc.poll(&request, 1, 1000)
            seen += [signals.next(), signals.next()]
            outcome.withLock { [seen] in $0 = seen }
        }
        thread.join()
        #expect(outcome.withLock { $0 } == [nil, .user1, nil])
    }
}

@Suite struct SystemErrorTests {
    @Test func theSentenceNamesOperationCauseAndRemedy() {
        let denied = SystemError("open interface adit0", code: EPERM)
        #expect(denied.description.hasPrefix("open interface adit0: Operation not permitted; "))
        #expect(denied.description.contains("CAP_NET_ADMIN"))
        let own = SystemError("x", code: ENOENT, remedy: "do y")
        #expect(own.description == "x: No such file or directory; do y")
        #expect(SystemError("x", code: EIO).description == "x: Input/output error")
        #expect(SystemError("x", code: EADDRINUSE).remedy?.contains("another program") == true)
    }

    @Test func anInterruptedCallIsMadeAgainButNotForEver() throws {
        var calls = 0
        let value = try SystemCall.check("x") { () -> CInt in
            calls += 1
            errno = EINTR
            return calls < 3 ? -1 : 5
        }
        #expect(value == 5)
        #expect(calls == 3)
        calls = 0
        let error = #expect(throws: SystemError.self) {
            try SystemCall.check("x") { () -> CInt in
                calls += 1
                errno = EINTR
                return -1
            }
        }
        #expect(error?.code == EINTR)
        #expect(calls == SystemCall.interruptionLimit)
    }
}
