// SPDX-License-Identifier: Apache-2.0
// Adit: AditWire

/// Appends fields in network order; lengths that are known only later are patched.
public struct ByteWriter: Sendable {
    /// What was written so far.
    public private(set) var bytes: [UInt8]

    /// An empty writer with room for `capacity` bytes.
    public init(reservingCapacity capacity: Int = 0) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    /// How many bytes were written.
    public var count: Int { bytes.count }

    /// Appends one byte.
    public mutating func write(_ value: UInt8) { bytes.append(value) }

    /// Appends two bytes in network order.
    public mutating func write(_ value: UInt16) { writeInteger(UInt64(value), 2) }

    /// Appends four bytes in network order.
    public mutating func write(_ value: UInt32) { writeInteger(UInt64(value), 4) }

    /// Appends eight bytes in network order.
    public mutating func write(_ value: UInt64) { writeInteger(value, 8) }

    /// Appends bytes as they are.
    public mutating func write(contentsOf values: some Sequence<UInt8>) { bytes.append(contentsOf: values) }

    /// Replaces the two bytes at `offset`, which were written before.
    public mutating func patch(_ value: UInt16, at offset: Int) {
        bytes[offset] = UInt8(value >> 8)
        bytes[offset + 1] = UInt8(value & 0xff)
    }

    /// Replaces the four bytes at `offset`, which were written before.
    public mutating func patch(_ value: UInt32, at offset: Int) {
        patch(UInt16(value >> 16), at: offset)
        patch(UInt16(value & 0xffff), at: offset + 2)
    }

    private mutating func writeInteger(_ value: UInt64, _ count: Int) {
        for shift in stride(from: (count - 1) * 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
        }
    }
}
