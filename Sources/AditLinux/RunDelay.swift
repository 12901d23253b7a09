// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

internal import Glibc

/// How long the kernel let one thread wait for a processor: proc_pid_schedstat(5).
///
/// One thread's, not thread-safe. Every sample is a system call.
public final class RunDelay {
    /// What a thread has had since it began.
    public struct Sample: Equatable, Sendable {
        /// Nanoseconds in which it ran.
        public var ran: UInt64
        /// Nanoseconds in which it was ready and did not run: another thread did, or its processor had to wake up.
        public var waited: UInt64
        /// How often it got a processor.
        public var turns: UInt64

        /// One of these figures.
        public init(ran: UInt64, waited: UInt64, turns: UInt64) {
            self.ran = ran
            self.waited = waited
            self.turns = turns
        }

        /// Nanoseconds for which it waited each time since `earlier`, on average; nil when it was given no processor
        /// since, or the kernel does not count.
        public func meanWait(since earlier: Sample) -> UInt64? {
            guard turns > earlier.turns, waited >= earlier.waited else { return nil }
            return (waited - earlier.waited) / (turns - earlier.turns)
        }
    }

    private let file: OwnedDescriptor

    /// That of the calling thread; nil where the kernel does not tell.
    public init?() {
        // SAFETY: the path is a literal, and the call has no other effect than to open it.
        let (opened, code) = SystemCall.attempt { unsafe open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC) }
        guard code == 0 else { return nil }
        file = OwnedDescriptor(opened)
        guard let sample = sample(), sample.turns > 0 else { return nil }
    }

    /// What the thread has had so far.
    public func sample() -> Sample? {
        unsafe withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { text in
            // SAFETY: the kernel writes no more than `text` has, and only so much of it is read.
            let length = unsafe pread(file.value, text.baseAddress, text.count, 0)
            return length > 0 ? unsafe Self.parse(UnsafeRawBufferPointer(rebasing: text[..<length])) : nil
        }
    }

    /// Three decimal numbers, in the order of ``Sample``.
    static func parse(_ text: UnsafeRawBufferPointer) -> Sample? {
        var (number, field) = (UInt64(0), 0)
        var sample = Sample(ran: 0, waited: 0, turns: 0)
        for index in text.indices {
            let byte = unsafe text[index]
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                number = number &* 10 &+ UInt64(byte - UInt8(ascii: "0"))
            case UInt8(ascii: " "), UInt8(ascii: "\n"):
                if field == 0 { sample.ran = number }
                if field == 1 { sample.waited = number }
                if field == 2 { sample.turns = number }
                field += 1
                number = 0
            default: return nil
            }
        }
        return field == 3 ? sample : nil
    }
}
