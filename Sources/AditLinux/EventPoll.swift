// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

public import AditWire

/// epoll, level-triggered. Owned by one thread.
public final class EventPoll: @unchecked Sendable {
    /// Why a descriptor was reported.
    public struct Event: Sendable {
        /// The token it was added with.
        public let token: UInt64
        /// Reading would not block.
        public let isReadable: Bool
        /// Writing would not block.
        public let isWritable: Bool
        /// The other side is gone or an error is pending.
        public let isBroken: Bool
    }

    /// At most `capacity` events are reported at once.
    public init(capacity: Int = 32) throws(SystemError) { fatalError("filled in by linux") }

    /// Watches `descriptor`.
    public func add(_ descriptor: CInt, token: UInt64, writable: Bool = false) throws(SystemError) {
        fatalError("filled in by linux")
    }

    /// Watches for room to write too, or no longer.
    public func modify(_ descriptor: CInt, token: UInt64, writable: Bool) throws(SystemError) {
        fatalError("filled in by linux")
    }

    /// Watches `descriptor` no longer.
    public func remove(_ descriptor: CInt) { fatalError("filled in by linux") }

    /// Sleeps until something is ready or `deadline` (of MonotonicClock) has passed; returns how many events there are. Never throws:
    /// an interrupted wait returns 0.
    public func wait(until deadline: Timestamp?) -> Int { fatalError("filled in by linux") }

    /// The events of the last wait(until:).
    public subscript(position: Int) -> Event { fatalError("filled in by linux") }
}

/// An eventfd that wakes a thread out of its EventPoll. Thread-safe.
public final class WakeUp: Sendable {
    /// Readable after signal() until acknowledge().
    public let descriptor: CInt
    /// An unsignalled one.
    public init() throws(SystemError) { fatalError("filled in by linux") }
    /// Makes the descriptor readable.
    public func signal() { fatalError("filled in by linux") }
    /// Makes it unreadable.
    public func acknowledge() { fatalError("filled in by linux") }
}

/// CLOCK_MONOTONIC.
public enum MonotonicClock {
    /// Now.
    public static func now() -> Timestamp { fatalError("filled in by linux") }
}
