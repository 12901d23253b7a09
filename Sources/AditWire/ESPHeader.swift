// SPDX-License-Identifier: Apache-2.0
// Adit: AditWire

/// The cleartext beginning of an ESP packet.
///
///     0                   1                   2                   3
///     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
///    +---------------------------------------------------------------+
///    |               Security Parameters Index (SPI)                 |
///    +---------------------------------------------------------------+
///    |                 Sequence Number (low 32 bits)                 |
///    +---------------------------------------------------------------+
///    |   IV, payload, padding, pad length, next header, ICV …        |
public struct ESPHeader: Hashable, Sendable {
    /// The SPI.
    public let spi: SPI
    /// The sequence number, or its low half with ESN.
    public let sequence: UInt32

    /// SPI and sequence number in bytes (RFC 4303 §2).
    public static let length = 8

    /// A header of given values.
    @inlinable public init(spi: SPI, sequence: UInt32) {
        self.spi = spi
        self.sequence = sequence
    }

    /// Parses the header at `packet`; nil when fewer than ``length`` of `available` bytes are there.
    @inlinable @inline(__always) public init?(_ packet: UnsafeRawPointer, available: Int) {
        guard available >= Self.length else { return nil }
        // SAFETY: eight bytes were checked.
        unsafe spi = SPI(rawValue: packet.uint32(at: 0))
        unsafe sequence = packet.uint32(at: 4)
    }

    /// Writes the header at `packet`, which has room for ``length`` bytes.
    @inlinable @inline(__always) public func write(to packet: UnsafeMutableRawPointer) {
        unsafe packet.store(UInt64(spi.rawValue) << 32 | UInt64(sequence), at: 0)
    }
}
