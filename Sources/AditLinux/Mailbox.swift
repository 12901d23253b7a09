// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

public import AditWire
internal import Synchronization

/// A bounded box from several producers to one consumer: datagrams and small hints.
///
/// Each producer has a ring of its own and is one thread; posting never waits, locks or allocates: a full ring refuses
/// and the caller counts the loss. The consumer is woken by a descriptor.
///
/// A producer signals only when the consumer has not been signalled since it last looked: it publishes, then reads
/// `isSignalled`; the consumer clears `isSignalled`, then reads the rings. All four are sequentially consistent, so one
/// of the two sees the other.
@safe public final class Mailbox: Sendable {
    /// A small message.
    public struct Hint: Hashable, Sendable {
        /// What it means; chosen by the users of the mailbox.
        public var kind: UInt32
        /// The first of five values, whose meaning depends on the kind.
        public var first: UInt64
        /// The second value.
        public var second: UInt64
        /// The third value.
        public var third: UInt64
        /// The fourth value.
        public var fourth: UInt64 = 0
        /// The fifth value.
        public var fifth: UInt64 = 0
        /// A hint.
        public init(kind: UInt32, first: UInt64 = 0, second: UInt64 = 0, third: UInt64 = 0) {
            self.kind = kind
            self.first = first
            self.second = second
            self.third = third
        }
    }

    /// The largest datagram.
    public static let datagramLimit = 65_535
    /// The smallest and largest ring: the smallest holds one datagram at any place, and hints.
    public static let ringSizes = 1 << 18...1 << 26
    /// The most producers.
    public static let producerLimit = 1024

    private let rings: [MailboxRing]
    private let wakeUp: WakeUp
    private let isSignalled = Atomic(false)

    /// A box for `producers` threads, each with a ring of `ringSize` bytes (rounded up to a power of two within
    /// ``ringSizes``).
    public init(producers: Int, ringSize: Int = 1 << 18) throws(SystemError) {
        precondition((1...Self.producerLimit).contains(producers), "1 to \(Self.producerLimit) producers")
        var size = Self.ringSizes.lowerBound
        while size < ringSize, size < Self.ringSizes.upperBound { size *= 2 }
        let rounded = size
        rings = (0..<producers).map { _ in MailboxRing(size: rounded) }
        wakeUp = try WakeUp()
    }

    /// Readable when something was posted, for the consumer's ``EventPoll``.
    public var descriptor: CInt { wakeUp.descriptor }

    /// Posts a datagram (up to ``datagramLimit`` bytes); false when there is no room. Only producer `producer`'s thread
    /// calls this.
    public func post(
        _ datagram: UnsafeRawBufferPointer, local: Endpoint, remote: Endpoint, from producer: Int
    ) -> Bool {
        guard datagram.count <= Self.datagramLimit else { return false }
        let header = MailboxRing.Header(
            kind: .datagram, length: UInt32(datagram.count), local: local, remote: remote, hint: Hint(kind: 0))
        return unsafe append(header, datagram, producer)
    }

    /// Posts a hint; false when there is no room. A part of the ring is kept for hints. Only producer `producer`'s
    /// thread calls this.
    public func post(_ hint: Hint, from producer: Int) -> Bool {
        let nowhere = Endpoint(IPAddress(v4: 0), port: 0)
        let header = MailboxRing.Header(kind: .hint, length: 0, local: nowhere, remote: nowhere, hint: hint)
        return unsafe append(header, UnsafeRawBufferPointer(start: nil, count: 0), producer)
    }

    /// Takes out up to `limit` items of each producer, in each producer's order; the bytes are lent for the call. Only
    /// the consumer's thread calls this. Returns how many; the descriptor stays readable when some are left.
    @discardableResult
    public func drain(
        limit: Int = 1024, datagram: (UnsafeRawBufferPointer, _ local: Endpoint, _ remote: Endpoint) -> Void,
        hint: (Hint) -> Void
    ) -> Int {
        wakeUp.acknowledge()
        isSignalled.store(false, ordering: .sequentiallyConsistent)
        var count = 0
        var isLeft = false
        for ring in rings {
            count += unsafe ring.drain(limit: limit) { header, payload in
                if header.kind == .hint {
                    hint(header.hint)
                } else {
                    unsafe datagram(payload, header.local, header.remote)
                }
            }
            if !ring.isEmpty { isLeft = true }
        }
        if isLeft { signal() }
        return count
    }

    // SAFETY: the payload is lent for the call; the ring copies it before it returns.
    private func append(_ header: MailboxRing.Header, _ payload: UnsafeRawBufferPointer, _ producer: Int) -> Bool {
        guard unsafe rings[producer].append(header, payload) else { return false }
        if !isSignalled.load(ordering: .sequentiallyConsistent) { signal() }
        return true
    }

    private func signal() {
        isSignalled.store(true, ordering: .sequentiallyConsistent)
        wakeUp.signal()
    }
}
