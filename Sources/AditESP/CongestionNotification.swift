// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

internal import AditWire

/// The ECN field through a tunnel (RFC 6040).
public enum CongestionNotification {
    /// What the inner ECN field becomes on decapsulation (RFC 6040 §4.2, figure 4); nil when the packet must be
    /// dropped.
    @inline(__always) public static func decapsulated(inner: UInt8, outer: UInt8) -> UInt8? {
        let inner = inner & 3
        switch outer & 3 {
        case 0b11: return inner == 0b00 ? nil : 0b11
        case 0b01: return inner == 0b10 ? 0b01 : inner
        default: return inner
        }
    }

    /// Puts `ecn` into the traffic class of the IP header at `packet`; an IPv4 header's checksum is brought along.
    static func rewrite(_ packet: UnsafeMutableRawPointer, family: IPAddress.Family, ecn: UInt8) {
        // SAFETY: the caller parsed the header, so at least 20 bytes are there.
        let old = unsafe UnsafeRawPointer(packet).uint16(at: 0)
        switch family {
        case .v4:
            let new = old & ~3 | UInt16(ecn)
            unsafe packet.store(new, at: 0)
            let checksum = unsafe UnsafeRawPointer(packet).uint16(at: 10)
            unsafe packet.store(InternetChecksum.updated(checksum, from: old, to: new), at: 10)
        case .v6:
            unsafe packet.store(old & ~0x30 | UInt16(ecn) << 4, at: 0)
        }
    }
}
