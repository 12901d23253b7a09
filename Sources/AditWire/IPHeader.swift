// SPDX-License-Identifier: Apache-2.0
// Adit: AditWire

/// What the packet path needs of an IPv4 header with options, or an IPv6 header with its extension headers, as values.
///
/// One failable initializer checks every length; afterwards nothing can fail. Header checksums are not verified:
/// packets come from the kernel or from under an ICV.
public struct IPHeader: Sendable {
    /// Whether, and where, the packet is a fragment.
    public enum Fragment: UInt8, Sendable { case whole, first, later }

    /// The family.
    public let family: IPAddress.Family
    /// The upper-layer protocol, after all extension headers.
    public let ipProtocol: UInt8
    /// The traffic class byte: DSCP in the upper six bits, ECN in the lower two.
    public let trafficClass: UInt8
    /// Whether the packet is whole or a fragment.
    public let fragment: Fragment
    /// IPv4's DF; true for IPv6, which routers never fragment.
    public let dontFragment: Bool
    /// Bytes of the IPv4 header with options, or 40 for IPv6.
    public let baseLength: Int
    /// Where the upper-layer header begins: ``baseLength`` and IPv6 extension headers.
    public let headerLength: Int
    /// The packet's length as its header says; never more than what was available.
    public let totalLength: Int
    /// The source address's upper half; 0 for IPv4.
    public let sourceHigh: UInt64
    /// The source address's lower half.
    public let sourceLow: UInt64
    /// The destination address's upper half; 0 for IPv4.
    public let destinationHigh: UInt64
    /// The destination address's lower half.
    public let destinationLow: UInt64

    /// More extension headers than this make a packet malformed.
    public static let extensionHeaderLimit = 8

    /// Parses the header at `packet`, of which `available` bytes may be read; nil when it lies about a length.
    @inlinable public init?(_ packet: UnsafeRawPointer, available: Int) {
        guard available >= 20 else { return nil }
        // SAFETY: every load lies inside the length that the guard before it checked against `available`.
        switch unsafe packet.byte(at: 0) >> 4 {
        case 4: unsafe self.init(v4: packet, available: available)
        case 6: unsafe self.init(v6: packet, available: available)
        default: return nil
        }
    }

    /// RFC 791 §3.1.
    @inlinable @inline(__always) init?(v4 packet: UnsafeRawPointer, available: Int) {
        let length = unsafe Int(packet.byte(at: 0) & 0x0f) * 4
        let total = unsafe Int(packet.uint16(at: 2))
        guard length >= 20, total >= length, total <= available else { return nil }
        family = .v4
        baseLength = length
        headerLength = length
        totalLength = total
        trafficClass = unsafe packet.byte(at: 1)
        ipProtocol = unsafe packet.byte(at: 9)
        let fragmentation = unsafe packet.uint16(at: 6)
        dontFragment = fragmentation & 0x4000 != 0
        // RFC 791 §3.1: more-fragments is 0x2000, the low 13 bits are the offset.
        fragment = fragmentation & 0x1fff != 0 ? .later : fragmentation & 0x2000 != 0 ? .first : .whole
        sourceHigh = 0
        sourceLow = unsafe UInt64(packet.uint32(at: 12))
        destinationHigh = 0
        destinationLow = unsafe UInt64(packet.uint32(at: 16))
    }

    /// RFC 8200 §3 and §4.
    @inlinable init?(v6 packet: UnsafeRawPointer, available: Int) {
        guard available >= 40 else { return nil }
        let total = unsafe Int(packet.uint16(at: 4)) + 40
        guard total <= available else { return nil }
        var next = unsafe packet.byte(at: 6)
        var offset = 40
        var fragment = Fragment.whole
        if next == IPProtocol.hopByHopOptions || next == IPProtocol.routing || next == IPProtocol.fragment
            || next == IPProtocol.destinationOptions
        {
            guard let end = unsafe Self.skipExtensions(packet, total: total, next: &next, fragment: &fragment)
            else { return nil }
            offset = end
        }
        family = .v6
        baseLength = 40
        headerLength = offset
        totalLength = total
        trafficClass = unsafe UInt8(truncatingIfNeeded: packet.uint16(at: 0) >> 4)
        ipProtocol = next
        dontFragment = true
        self.fragment = fragment
        sourceHigh = unsafe packet.uint64(at: 8)
        sourceLow = unsafe packet.uint64(at: 16)
        destinationHigh = unsafe packet.uint64(at: 24)
        destinationLow = unsafe packet.uint64(at: 32)
    }

    /// Walks the extension headers; leaves the upper-layer protocol in `next` and returns where it begins.
    @usableFromInline static func skipExtensions(
        _ packet: UnsafeRawPointer, total: Int, next: inout UInt8, fragment: inout Fragment
    ) -> Int? {
        var offset = 40
        for _ in 0..<extensionHeaderLimit {
            switch next {
            case IPProtocol.hopByHopOptions, IPProtocol.routing, IPProtocol.destinationOptions:
                guard offset + 8 <= total else { return nil }
                next = unsafe packet.byte(at: offset)
                offset += unsafe Int(packet.byte(at: offset + 1)) * 8 + 8
            case IPProtocol.fragment:
                guard offset + 8 <= total else { return nil }
                next = unsafe packet.byte(at: offset)
                let field = unsafe packet.uint16(at: offset + 2)
                offset += 8
                // RFC 8200 §4.5: the offset is in the upper 13 bits; what follows in a later fragment is no header.
                if field & 0xfff8 != 0 {
                    fragment = .later
                    return offset
                }
                if field & 1 != 0 { fragment = .first }
            default: return offset <= total ? offset : nil
            }
        }
        return nil
    }

    /// The source address.
    @inlinable public var source: IPAddress {
        family == .v4
            ? IPAddress(v4: UInt32(truncatingIfNeeded: sourceLow)) : IPAddress(v6High: sourceHigh, low: sourceLow)
    }

    /// The destination address.
    @inlinable public var destination: IPAddress {
        family == .v4
            ? IPAddress(v4: UInt32(truncatingIfNeeded: destinationLow))
            : IPAddress(v6High: destinationHigh, low: destinationLow)
    }
}
