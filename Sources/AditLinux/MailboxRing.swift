// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

internal import AditWire
internal import Synchronization

// One producer, one consumer, one ring of bytes. Positions count up for ever; a position modulo the size is a place.
//
//      head (consumer)                tail (producer)
//        |                              |
//   ...  | record | record | … | record |  free …
//
// A record is never split by the ring's end: one that does not fit before it is preceded by a filler up to the end. The
// producer writes the record, then publishes it by storing `tail`; the consumer reads it, then gives the room back by
// storing `head`.

/// The ring of one producer of a ``Mailbox``.
@safe final class MailboxRing: @unchecked Sendable {
    /// What precedes each record's payload; plain values without references.
    struct Header {
        enum Kind: UInt32 { case filler, datagram, hint }
        var kind: Kind
        /// Bytes of the payload, without header and padding.
        var length: UInt32
        var local: Endpoint
        var remote: Endpoint
        var hint: Mailbox.Hint
    }

    /// Records begin at multiples of this, so that a header, a filler's too, always fits before the ring's end.
    static let alignment = 128
    /// The room that only hints may take.
    static let hintReserve = 4096
    static let headerSize = (MemoryLayout<Header>.size + alignment - 1) & ~(alignment - 1)

    private let size: Int
    private let memory: UnsafeMutableRawPointer
    private let head = Atomic<Int>(0)
    private let tail = Atomic<Int>(0)

    /// A ring of `size` bytes, a power of two.
    init(size: Int) {
        precondition(MemoryLayout<Header>.size <= Self.alignment, "a header fits the smallest piece of the ring")
        self.size = size
        // SAFETY: lives as long as the ring and is freed only in deinit. Bytes between head and tail belong to the
        // consumer, the others to the producer.
        unsafe memory = .allocate(byteCount: size, alignment: Self.alignment)
    }

    deinit { unsafe memory.deallocate() }

    /// Appends a record; false when there is no room. The producer's thread only.
    func append(_ header: Header, _ payload: UnsafeRawBufferPointer) -> Bool {
        let position = tail.load(ordering: .relaxed)
        let used = position - head.load(ordering: .acquiring)
        let length = Self.recordSize(payload.count)
        let place = position & (size - 1)
        let filler = place + length > size ? size - place : 0
        let reserve = header.kind == .hint ? 0 : Self.hintReserve
        guard used + filler + length + reserve <= size else { return false }
        if filler > 0 {
            var mark = header
            mark.kind = .filler
            mark.length = UInt32(filler)
            unsafe (memory + place).initializeMemory(as: Header.self, to: mark)
        }
        // SAFETY: the room check left `length` bytes from here, and the record does not cross the end.
        let start = unsafe memory + ((position + filler) & (size - 1))
        unsafe start.initializeMemory(as: Header.self, to: header)
        if let source = payload.baseAddress {
            unsafe (start + Self.headerSize).copyMemory(from: source, byteCount: payload.count)
        }
        // Sequentially consistent, as the producer looks at the consumer's flag next (see ``Mailbox``).
        tail.store(position + filler + length, ordering: .sequentiallyConsistent)
        return true
    }

    /// Hands out up to `limit` records in order and takes them away; returns how many. The consumer's thread only.
    func drain(limit: Int, _ body: (Header, UnsafeRawBufferPointer) -> Void) -> Int {
        let end = tail.load(ordering: .sequentiallyConsistent)
        var position = head.load(ordering: .relaxed)
        var count = 0
        while position != end, count < limit {
            // SAFETY: between head and tail lie whole records, written before tail was stored.
            let start = unsafe memory + (position & (size - 1))
            let header = unsafe start.assumingMemoryBound(to: Header.self).pointee
            if header.kind == .filler {
                position += Int(header.length)
            } else {
                unsafe body(header, UnsafeRawBufferPointer(start: start + Self.headerSize, count: Int(header.length)))
                position += Self.recordSize(Int(header.length))
                count += 1
            }
            head.store(position, ordering: .releasing)
        }
        return count
    }

    /// Whether nothing is left. The consumer's thread only.
    var isEmpty: Bool { tail.load(ordering: .sequentiallyConsistent) == head.load(ordering: .relaxed) }

    private static func recordSize(_ length: Int) -> Int {
        headerSize + ((length + alignment - 1) & ~(alignment - 1))
    }
}
