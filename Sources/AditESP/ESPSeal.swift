// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

internal import AditCrypto
internal import AditWire
internal import Synchronization

// 1. The caller found the SA by policy (RFC 4301 §5.1) and reserved a sequence number.
// 2. ESP header right before the inner packet, with room for the IV (RFC 4303 §2).
// 3. Padding, pad length, next header right after it (RFC 4303 §2.4 to §2.6).
// 4. AEAD or cipher and HMAC in place (RFC 4303 §3.3.2).
// 5. Counters of this worker's lane.
// Threading: the worker of `reader`, and its lane of the SA only. No allocation, lock or reference counting.

/// Seals inner packets where they lie.
public enum ESPSeal {
    /// The most that is written before the inner packet: ESP header and the longest IV.
    public static let headRoom = ESPHeader.length + 16
    /// The most that is written after it: padding to a 16-byte block, trailer and the longest ICV.
    public static let tailRoom = 15 + 2 + 32

    /// Seals the inner IP packet of `length` bytes at `packet` in place; 0 means that libcrypto refused.
    ///
    /// The ESP packet begins `sa.headerLength` bytes before `packet`, and its length is returned. `headRoom` bytes
    /// before and `tailRoom` after the inner packet belong to the caller. `sequence` came from
    /// ``OutboundSA/reserve(_:bytes:reader:)`` and is used once.
    public static func seal(
        _ packet: UnsafeMutableRawPointer, length: Int, sequence: UInt64, sa: UnsafeMutablePointer<OutboundSA>,
        reader: SAReader
    ) -> Int {
        // SAFETY: the caller owns head-room, packet and tail-room; the SA outlives the batch by the reader's epoch.
        let header = unsafe sa.pointee.headerLength
        let start = unsafe packet - header
        let low = UInt32(truncatingIfNeeded: sequence)
        unsafe ESPHeader(spi: sa.pointee.spi, sequence: low).write(to: start)

        let mask = unsafe sa.pointee.padMask
        let textLength = (length &+ 2 &+ mask) & ~mask
        unsafe writeTrailer(packet, length: length, textLength: textLength)

        let extended = unsafe sa.pointee.esn ? UInt32(truncatingIfNeeded: sequence >> 32) : nil
        let lane = unsafe sa.pointee.lanes.lane(reader.worker)
        let isSealed = unsafe lane.pointee.sealer._withUnsafeGuaranteedRef {
            unsafe $0.seal(start, prefixLength: ESPHeader.length, textLength: textLength, extended: extended)
        }
        guard isSealed else { return 0 }

        let packets = unsafe lane.pointee.packets.load(ordering: .relaxed)
        unsafe lane.pointee.packets.store(packets &+ 1, ordering: .relaxed)
        let bytes = unsafe lane.pointee.bytes.load(ordering: .relaxed)
        unsafe lane.pointee.bytes.store(bytes &+ UInt64(truncatingIfNeeded: length), ordering: .relaxed)
        return unsafe header &+ textLength &+ sa.pointee.icvLength
    }

    /// RFC 4303 §2.4: padding 1, 2, 3, …; then its length and the next header.
    @inline(__always) private static func writeTrailer(
        _ packet: UnsafeMutableRawPointer, length: Int, textLength: Int
    ) {
        let padLength = textLength &- length &- 2
        if padLength <= 3 {
            // Four bytes at once: what is too many is overwritten by trailer and ICV.
            unsafe packet.store(0x0102_0304 as UInt32, at: length)
        } else {
            var index = 0
            while index < padLength {
                unsafe packet.store(UInt8(truncatingIfNeeded: index &+ 1), at: length &+ index)
                index &+= 1
            }
        }
        let isV6 = unsafe UnsafeRawPointer(packet).byte(at: 0) >> 4 == 6
        let nextHeader = isV6 ? IPProtocol.ipv6 : IPProtocol.ipv4
        unsafe packet.store(UInt16(truncatingIfNeeded: padLength) << 8 | UInt16(nextHeader), at: textLength &- 2)
    }
}
