// SPDX-License-Identifier: Apache-2.0
// Adit: AditWire

// Unaligned loads and stores in network order for the packet path. Bounds are the caller's: each header view checks its
// whole length once, before its first load.

// SAFETY: the caller has checked that the offsets lie inside what the pointer may read or write.

extension UnsafeRawPointer {
    /// The byte at `offset`.
    @inlinable @inline(__always) public func byte(at offset: Int) -> UInt8 {
        unsafe load(fromByteOffset: offset, as: UInt8.self)
    }

    /// Two bytes at `offset` in network order.
    @inlinable @inline(__always) public func uint16(at offset: Int) -> UInt16 {
        unsafe UInt16(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    /// Four bytes at `offset` in network order.
    @inlinable @inline(__always) public func uint32(at offset: Int) -> UInt32 {
        unsafe UInt32(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    /// Eight bytes at `offset` in network order.
    @inlinable @inline(__always) public func uint64(at offset: Int) -> UInt64 {
        unsafe UInt64(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}

extension UnsafeMutableRawPointer {
    /// Stores one byte at `offset`.
    @inlinable @inline(__always) public func store(_ value: UInt8, at offset: Int) {
        unsafe storeBytes(of: value, toByteOffset: offset, as: UInt8.self)
    }

    /// Stores two bytes at `offset` in network order.
    @inlinable @inline(__always) public func store(_ value: UInt16, at offset: Int) {
        unsafe storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
    }

    /// Stores four bytes at `offset` in network order.
    @inlinable @inline(__always) public func store(_ value: UInt32, at offset: Int) {
        unsafe storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }

    /// Stores eight bytes at `offset` in network order.
    @inlinable @inline(__always) public func store(_ value: UInt64, at offset: Int) {
        unsafe storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt64.self)
    }
}
