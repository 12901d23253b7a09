// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

/// A lent run of bytes that holds one packet: every access is checked against its length, integers are in network
/// order.
///
/// It owns nothing. Whoever makes one guarantees that the memory outlives it and that no other thread touches it; the
/// packet paths make them over a batch's memory for the time of one packet. An access past the end is our bug and
/// traps: the parsers check every length from the network first.
@safe struct PacketBytes {
    /// Where the first byte lies.
    let start: UnsafeMutableRawPointer
    /// How many bytes there are.
    let count: Int

    /// SAFETY: the caller lends `count` bytes at `start` for as long as the value is used.
    @inline(__always) init(_ start: UnsafeMutableRawPointer, count: Int) {
        unsafe self.start = start
        self.count = count
    }

    /// The byte at `offset`.
    @inline(__always) subscript(offset: Int) -> UInt8 {
        get {
            check(offset, 1)
            return unsafe start.load(fromByteOffset: offset, as: UInt8.self)
        }
        nonmutating set {
            check(offset, 1)
            unsafe start.storeBytes(of: newValue, toByteOffset: offset, as: UInt8.self)
        }
    }

    /// The 16-bit integer at `offset`.
    @inline(__always) func uint16(_ offset: Int) -> UInt16 { UInt16(bigEndian: raw16(offset)) }

    /// The 32-bit integer at `offset`.
    @inline(__always) func uint32(_ offset: Int) -> UInt32 { UInt32(bigEndian: raw32(offset)) }

    /// Two bytes as they lie, for comparisons and checksums.
    @inline(__always) func raw16(_ offset: Int) -> UInt16 {
        check(offset, 2)
        return unsafe start.loadUnaligned(fromByteOffset: offset, as: UInt16.self)
    }

    /// Four bytes as they lie, for comparisons and checksums.
    @inline(__always) func raw32(_ offset: Int) -> UInt32 {
        check(offset, 4)
        return unsafe start.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
    }

    /// Eight bytes as they lie, for comparisons and checksums.
    @inline(__always) func raw64(_ offset: Int) -> UInt64 {
        check(offset, 8)
        return unsafe start.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }

    /// Stores a 16-bit integer at `offset`.
    @inline(__always) func set(_ value: UInt16, at offset: Int) { setRaw(value.bigEndian, at: offset) }

    /// Stores a 32-bit integer at `offset`.
    @inline(__always) func set(_ value: UInt32, at offset: Int) {
        check(offset, 4)
        unsafe start.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }

    /// Stores two bytes as they are, such as a checksum that was summed in memory order.
    @inline(__always) func setRaw(_ value: UInt16, at offset: Int) {
        check(offset, 2)
        unsafe start.storeBytes(of: value, toByteOffset: offset, as: UInt16.self)
    }

    /// The bytes `offset ..< offset + length`.
    @inline(__always) func slice(_ offset: Int, _ length: Int) -> PacketBytes {
        check(offset, length)
        return unsafe PacketBytes(start + offset, count: length)
    }

    /// The bytes from `offset` to the end.
    @inline(__always) func suffix(from offset: Int) -> PacketBytes { slice(offset, count &- offset) }

    /// Copies all of `source` to `offset`; the two may overlap.
    @inline(__always) func copy(_ source: PacketBytes, to offset: Int) {
        check(offset, source.count)
        // SAFETY: both ranges were checked against their lengths.
        unsafe (start + offset).copyMemory(from: source.start, byteCount: source.count)
    }

    /// Whether both hold the same bytes.
    @inline(__always) func equals(_ other: PacketBytes) -> Bool {
        guard count == other.count else { return false }
        var offset = 0
        while offset &+ 4 <= count {
            guard raw32(offset) == other.raw32(offset) else { return false }
            offset &+= 4
        }
        while offset < count {
            guard self[offset] == other[offset] else { return false }
            offset &+= 1
        }
        return true
    }

    @inline(__always) private func check(_ offset: Int, _ length: Int) {
        precondition(offset >= 0 && length >= 0 && offset &+ length <= count, "packet access out of bounds")
    }
}
