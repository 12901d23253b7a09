// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

public import AditWire
internal import CLinux
internal import Glibc

/// epoll, level-triggered. Used by one thread; nothing is allocated after the initialiser.
@safe public final class EventPoll: @unchecked Sendable {
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

    /// The most events that one wait reports.
    public static let capacityLimit = 1024

    private let owned: OwnedDescriptor
    private let events: UnsafeMutablePointer<epoll_event>
    private let capacity: Int
    private var count = 0

    /// At most `capacity` (1 to ``capacityLimit``) events are reported at once.
    public init(capacity: Int = 32) throws(SystemError) {
        owned = OwnedDescriptor(try SystemCall.check("create an epoll") { epoll_create1(CInt(EPOLL_CLOEXEC)) })
        self.capacity = min(max(capacity, 1), Self.capacityLimit)
        // SAFETY: lives as long as the object and is freed only in deinit.
        unsafe events = .allocate(capacity: self.capacity)
        unsafe events.initialize(repeating: epoll_event(), count: self.capacity)
    }

    deinit { unsafe events.deallocate() }

    /// Watches `descriptor`.
    public func add(_ descriptor: CInt, token: UInt64, writable: Bool = false) throws(SystemError) {
        try control(EPOLL_CTL_ADD, descriptor, token: token, writable: writable)
    }

    /// Watches for room to write too, or no longer.
    public func modify(_ descriptor: CInt, token: UInt64, writable: Bool) throws(SystemError) {
        try control(EPOLL_CTL_MOD, descriptor, token: token, writable: writable)
    }

    /// Watches `descriptor` no longer; one that is not watched is ignored.
    public func remove(_ descriptor: CInt) {
        try? control(EPOLL_CTL_DEL, descriptor, token: 0, writable: false)
    }

    /// Sleeps until something is ready or `deadline` (of ``MonotonicClock``) has passed, rounded up to a millisecond;
    /// returns how many events there are. An interrupted wait returns 0.
    public func wait(until deadline: Timestamp?) -> Int {
        var timeout: CInt = -1
        if let deadline {
            let now = MonotonicClock.now().nanoseconds
            let left = deadline.nanoseconds > now ? deadline.nanoseconds - now : 0
            timeout = CInt(clamping: left / 1_000_000 + (left % 1_000_000 == 0 ? 0 : 1))
        }
        count = unsafe max(0, Int(epoll_wait(owned.value, events, CInt(capacity), timeout)))
        return count
    }

    /// The events of the last ``wait(until:)``.
    public subscript(position: Int) -> Event {
        precondition(position >= 0 && position < count, "an event of the last wait")
        let event = unsafe events[position]
        let mask = unsafe event.events
        return Event(
            token: unsafe event.data.u64, isReadable: mask & EPOLLIN.rawValue != 0,
            isWritable: mask & EPOLLOUT.rawValue != 0, isBroken: mask & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0)
    }

    private func control(
        _ operation: CInt, _ descriptor: CInt, token: UInt64, writable: Bool
    ) throws(SystemError) {
        var event = unsafe epoll_event()
        unsafe event.events = EPOLLIN.rawValue | (writable ? EPOLLOUT.rawValue : 0)
        unsafe event.data.u64 = token
        try SystemCall.check("watch descriptor \(descriptor)") {
            unsafe epoll_ctl(owned.value, operation, descriptor, &event)
        }
    }
}
