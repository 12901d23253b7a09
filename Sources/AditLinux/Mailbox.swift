// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

public import AditWire

/// A bounded box from several producers to one consumer: datagrams and small hints.
///
/// Each producer has a ring of its own and is one thread; posting never waits, locks or allocates: a full ring refuses. The consumer is
/// woken by a descriptor.
public final class Mailbox: @unchecked Sendable {
    /// A small message.
    public struct Hint: Hashable, Sendable {
        /// What it means; chosen by the users of the mailbox.
        public var kind: UInt32
        /// Three values.
        public var first: UInt64
        public var second: UInt64
        public var third: UInt64
        /// A hint.
        public init(kind: UInt32, first: UInt64 = 0, second: UInt64 = 0, third: UInt64 = 0) {
            self.kind = kind
            self.first = first
            self.second = second
            self.third = third
        }
    }

    /// A box for `producers` threads, each with a ring of `ringSize` bytes (a power of two, at least 128 KiB).
    public init(producers: Int, ringSize: Int = 1 << 18) throws(SystemError) { fatalError("filled in by linux") }

    /// Readable when something was posted, for the consumer's EventPoll.
    public var descriptor: CInt { fatalError("filled in by linux") }

    /// Posts a datagram (up to 65,535 bytes); false when there is no room. Only producer `producer`'s thread calls this.
    public func post(_ datagram: UnsafeRawBufferPointer, local: Endpoint, remote: Endpoint, from producer: Int) -> Bool
    { fatalError("filled in by linux") }

    /// Posts a hint; false when there is no room. A part of the ring is kept for hints.
    public func post(_ hint: Hint, from producer: Int) -> Bool { fatalError("filled in by linux") }

    /// Takes out up to `limit` items of each producer, in each producer's order; the bytes are lent for the call. Only the consumer's thread
    /// calls this. Returns how many; the descriptor stays readable when some are left.
    @discardableResult
    public func drain(
        limit: Int = 1024, datagram: (UnsafeRawBufferPointer, _ local: Endpoint, _ remote: Endpoint) -> Void,
        hint: (Hint) -> Void
    ) -> Int { fatalError("filled in by linux") }
}
