// SPDX-License-Identifier: Apache-2.0
// Adit: AditWire

/// The Internet checksum (RFC 1071) as a running one's complement sum, and its incremental update (RFC 1624).
public struct InternetChecksum: Sendable {
    /// The sum so far, not yet folded, in network order of 16-bit words.
    @usableFromInline var sum: UInt64

    /// An empty sum.
    @inlinable public init() { sum = 0 }

    /// Goes on from a folded 16-bit sum.
    @inlinable public init(sum: UInt16) { self.sum = UInt64(sum) }

    /// Adds one 16-bit word.
    @inlinable public mutating func add(_ word: UInt16) { sum &+= UInt64(word) }

    /// Adds 32 bits.
    @inlinable public mutating func add(_ value: UInt32) { sum &+= UInt64(value >> 16) &+ UInt64(value & 0xffff) }

    /// Adds 64 bits.
    @inlinable public mutating func add(_ value: UInt64) {
        add(UInt32(truncatingIfNeeded: value >> 32))
        add(UInt32(truncatingIfNeeded: value))
    }

    /// Adds `count` bytes at `bytes`; an odd last byte is the high half of a word. At most 2^32 bytes in all.
    @inlinable public mutating func add(_ bytes: UnsafeRawPointer, count: Int) {
        // RFC 1071 §2 (B): the sum may be taken in any byte order and swapped at the end; (C) in wider words.
        var native: UInt64 = 0
        var offset = 0
        // SAFETY: each load is inside `count`, which the caller vouches for.
        while offset &+ 32 <= count {
            let a = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            let b = unsafe bytes.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self)
            let c = unsafe bytes.loadUnaligned(fromByteOffset: offset &+ 16, as: UInt64.self)
            let d = unsafe bytes.loadUnaligned(fromByteOffset: offset &+ 24, as: UInt64.self)
            native &+= (a & 0xffff_ffff) &+ (a >> 32) &+ (b & 0xffff_ffff) &+ (b >> 32)
            native &+= (c & 0xffff_ffff) &+ (c >> 32) &+ (d & 0xffff_ffff) &+ (d >> 32)
            offset &+= 32
        }
        while offset &+ 2 <= count {
            native &+= unsafe UInt64(bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
            offset &+= 2
        }
        if offset < count { native &+= unsafe UInt64(UInt16(littleEndian: UInt16(bytes.byte(at: offset)))) }
        add(UInt16(bigEndian: Self.fold(native)))
    }

    /// The sum folded to 16 bits, not complemented: what goes into a pseudo-header seed.
    @inlinable public var folded: UInt16 { Self.fold(sum) }

    /// The checksum as it stands in a header.
    @inlinable public var checksum: UInt16 { ~folded }

    /// Adds the TCP or UDP pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1).
    @inlinable public mutating func addPseudoHeader(of header: IPHeader, upperLength: Int) {
        add(header.sourceHigh)
        add(header.sourceLow)
        add(header.destinationHigh)
        add(header.destinationLow)
        add(UInt32(truncatingIfNeeded: upperLength))
        add(UInt16(header.ipProtocol))
    }

    /// The checksum of a header in which one 16-bit word changed from `old` to `new`.
    ///
    /// RFC 1624 §3 (eqn 3): HC' = ~(~HC + ~m + m'), which unlike RFC 1141's form gets zero right.
    @inlinable public static func updated(_ checksum: UInt16, from old: UInt16, to new: UInt16) -> UInt16 {
        ~fold(UInt64(~checksum) &+ UInt64(~old) &+ UInt64(new))
    }

    @inlinable @inline(__always) static func fold(_ value: UInt64) -> UInt16 {
        var value = (value & 0xffff_ffff) &+ (value >> 32)
        value = (value & 0xffff) &+ (value >> 16)
        value = (value & 0xffff) &+ (value >> 16)
        value = (value & 0xffff) &+ (value >> 16)
        return UInt16(truncatingIfNeeded: value)
    }
}
