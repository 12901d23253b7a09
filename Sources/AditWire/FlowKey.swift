// SPDX-License-Identifier: Apache-2.0
// Adit: AditWire

/// What policy looks at in a packet (RFC 4301 §4.4.1.1): addresses, protocol and ports, in 40 bytes that compare fast.
///
/// For ICMP, ICMPv6 and the mobility header both ports hold type (high byte) and code, as RFC 7296 §3.13.1 wants.
/// Ports that cannot be seen (later fragments, protocols without ports, cut headers) are OPAQUE: 0, ``portsVisible``
/// false.
public struct FlowKey: Hashable, Sendable {
    /// The source address's upper half; 0 for IPv4.
    public let sourceHigh: UInt64
    /// The source address's lower half.
    public let sourceLow: UInt64
    /// The destination address's upper half; 0 for IPv4.
    public let destinationHigh: UInt64
    /// The destination address's lower half.
    public let destinationLow: UInt64
    /// Source port, destination port, protocol, family, visibility: 16, 16, 8, 8, 8 bits from the top.
    public let tail: UInt64

    /// A key of given values.
    @inlinable public init(
        source: IPAddress, destination: IPAddress, ipProtocol: UInt8, sourcePort: UInt16, destinationPort: UInt16,
        portsVisible: Bool = true
    ) {
        sourceHigh = source.high
        sourceLow = source.low
        destinationHigh = destination.high
        destinationLow = destination.low
        tail = Self.pack(
            sourcePort, destinationPort, ipProtocol, source.family.rawValue, portsVisible)
    }

    /// The key of the packet that `header` was parsed from.
    @inlinable @inline(__always) public init(_ header: IPHeader, _ packet: UnsafeRawPointer) {
        sourceHigh = header.sourceHigh
        sourceLow = header.sourceLow
        destinationHigh = header.destinationHigh
        destinationLow = header.destinationLow
        var ports: UInt32 = 0
        var visible = false
        // SAFETY: `header` vouches for `totalLength` readable bytes; four are read only where they lie inside.
        if header.fragment != .later, header.totalLength &- header.headerLength >= 4 {
            switch header.ipProtocol {
            case IPProtocol.tcp, IPProtocol.udp, IPProtocol.sctp, IPProtocol.dccp, IPProtocol.udpLite:
                ports = unsafe packet.uint32(at: header.headerLength)
                visible = true
            case IPProtocol.icmp, IPProtocol.icmpV6:
                ports = unsafe UInt32(packet.uint16(at: header.headerLength)) &* 0x10001
                visible = true
            case IPProtocol.mobility:
                ports = unsafe UInt32(packet.byte(at: header.headerLength + 2)) &* 0x0100_0100
                visible = true
            default: break
            }
        }
        tail = Self.pack(
            UInt16(truncatingIfNeeded: ports >> 16), UInt16(truncatingIfNeeded: ports), header.ipProtocol,
            header.family.rawValue, visible)
    }

    /// The key of the packet at `packet`; nil when its header is malformed.
    @inlinable public init?(_ packet: UnsafeRawPointer, available: Int) {
        guard let header = unsafe IPHeader(packet, available: available) else { return nil }
        unsafe self.init(header, packet)
    }

    @inlinable @inline(__always) static func pack(
        _ sourcePort: UInt16, _ destinationPort: UInt16, _ ipProtocol: UInt8, _ family: UInt8, _ visible: Bool
    ) -> UInt64 {
        UInt64(sourcePort) << 48 | UInt64(destinationPort) << 32 | UInt64(ipProtocol) << 24 | UInt64(family) << 16
            | (visible ? 1 : 0)
    }

    /// The source port; 0 when it cannot be seen.
    @inlinable public var sourcePort: UInt16 { UInt16(truncatingIfNeeded: tail >> 48) }
    /// The destination port; 0 when it cannot be seen.
    @inlinable public var destinationPort: UInt16 { UInt16(truncatingIfNeeded: tail >> 32) }
    /// The upper-layer protocol.
    @inlinable public var ipProtocol: UInt8 { UInt8(truncatingIfNeeded: tail >> 24) }
    /// The family.
    @inlinable public var family: IPAddress.Family { tail & 0xff_0000 == 0x04_0000 ? .v4 : .v6 }
    /// Whether the ports were there to be seen.
    @inlinable public var portsVisible: Bool { tail & 1 != 0 }

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

    /// A well-mixed 64-bit hash, the same in every process; not secure against chosen keys.
    @inlinable public var mixed: UInt64 {
        var hash = sourceLow &* 0x9e37_79b9_7f4a_7c15
        hash = (hash ^ (hash >> 29) ^ destinationLow) &* 0xbf58_476d_1ce4_e5b9
        hash = (hash ^ (hash >> 32) ^ tail) &* 0x94d0_49bb_1331_11eb
        hash = (hash ^ (hash >> 29) ^ sourceHigh &* 0xd6e8_feb8_6659_fd93 ^ destinationHigh) &* 0x9e37_79b9_7f4a_7c15
        return hash ^ (hash >> 32)
    }
}
