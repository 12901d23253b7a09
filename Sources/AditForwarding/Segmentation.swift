// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditLinux
internal import AditWire

/// How one super-packet is split into packets, as the kernel's own segmentation would.
///
/// 1. ``init(_:header:offload:)`` checks every length and computes what all segments share: header sums without the
///    changing fields.
/// 2. ``write(_:from:to:)`` copies one segment to its place in the outgoing run and sums its payload in the same pass.
///
/// Nothing is allocated; segments may be written in several turns. The super-packet itself is not changed.
struct Segmentation {
    /// The most segments: a super-packet of 65,535 bytes less 20 and 60 of headers at Linux's smallest send MSS
    /// (`tcp_min_snd_mss`, 48), which counts up to 40 bytes of TCP options and then leaves 8 of payload.
    static let segmentLimit = (65_535 - 20 - 60 + 7) / 8

    /// How many segments there are.
    let count: Int
    private let header: IPHeader
    private let headerLength: Int
    private let payloadLength: Int
    private let segmentSize: Int
    private let isTCP: Bool
    private let sequence: UInt32
    private let flags: UInt8
    private let identification: UInt16
    private let ipSum: MemoryOrderSum
    private let transportSum: MemoryOrderSum

    /// The plan for `packet` with `header`; nil when its headers do not say what `offload` says.
    init?(_ packet: PacketBytes, header: IPHeader, offload: PacketOffload) {
        guard header.totalLength == packet.count, !header.isFragment else { return nil }
        switch offload.segmentation {
        case .none: return nil
        case .tcpV4: guard !header.isIPv6, header.ipProtocol == IPProtocol.tcp else { return nil }
        case .tcpV6: guard header.isIPv6, header.ipProtocol == IPProtocol.tcp else { return nil }
        case .udp: guard header.ipProtocol == IPProtocol.udp else { return nil }
        }
        let transport = header.headerLength
        isTCP = offload.segmentation != .udp
        let transportHeader: Int
        if isTCP {
            guard header.upperLength >= 20 else { return nil }
            // RFC 9293 §3.1: the data offset is at least 5 words and ends within the packet.
            transportHeader = Int(packet[transport &+ 12] >> 4) &* 4
            guard transportHeader >= 20 else { return nil }
            flags = packet[transport &+ 13]
            sequence = packet.uint32(transport &+ 4)
            guard flags & (TCPFlag.syn | TCPFlag.rst) == 0 else { return nil }
        } else {
            transportHeader = 8
            flags = 0
            sequence = 0
        }
        headerLength = transport &+ transportHeader
        payloadLength = packet.count &- headerLength
        segmentSize = Int(offload.segmentSize)
        guard segmentSize > 0, payloadLength > 0, Int(offload.headerLength) <= packet.count else { return nil }
        count = (payloadLength &+ segmentSize &- 1) / segmentSize
        guard count <= Self.segmentLimit else { return nil }
        self.header = header
        identification = header.isIPv6 ? 0 : packet.uint16(4)
        ipSum = header.isIPv6 ? MemoryOrderSum() : Self.ipv4Sum(packet, headerLength: transport)
        transportSum = Self.transportSum(packet, header: header, headerLength: headerLength, isTCP: isTCP)
    }

    /// The bytes of every segment but the last, headers included.
    var largestSegment: Int { headerLength &+ min(segmentSize, payloadLength) }

    /// The bytes of segment `index`, headers included.
    @inline(__always) func length(_ index: Int) -> Int {
        headerLength &+ min(segmentSize, payloadLength &- index &* segmentSize)
    }

    /// Writes segment `index` of `packet` to the beginning of `destination`, which has room for it.
    @inline(__always) func write(_ index: Int, from packet: PacketBytes, to destination: PacketBytes) {
        let offset = index &* segmentSize
        let payload = min(segmentSize, payloadLength &- offset)
        let transport = header.headerLength
        let transportLength = UInt16(truncatingIfNeeded: headerLength &- transport &+ payload)
        destination.copy(packet.slice(0, headerLength), to: 0)
        var sum = transportSum
        sum.addCopying(packet.slice(headerLength &+ offset, payload), to: destination.suffix(from: headerLength))
        sum.add(transportLength)
        writeIPHeader(index, length: headerLength &+ payload, to: destination)
        guard isTCP else {
            sum.add(transportLength)
            destination.set(transportLength, at: transport &+ 4)
            destination.setRaw(sum.udpChecksum, at: transport &+ 6)
            return
        }
        let sequence = sequence &+ UInt32(truncatingIfNeeded: offset)
        var flags = flags
        // RFC 9293 §3.8.6.3 and §3.6: PSH and FIN belong to the last byte. RFC 3168 §6.1.2: CWR to the first segment.
        if index &+ 1 < count { flags &= ~(TCPFlag.fin | TCPFlag.psh) }
        if index > 0 { flags &= ~TCPFlag.cwr }
        destination.set(sequence, at: transport &+ 4)
        destination[transport &+ 13] = flags
        sum.add(sequence)
        sum.add(UInt16(flags))
        destination.setRaw(sum.checksum, at: transport &+ 16)
    }

    @inline(__always) private func writeIPHeader(_ index: Int, length: Int, to destination: PacketBytes) {
        guard !header.isIPv6 else {
            destination.set(UInt16(truncatingIfNeeded: length &- 40), at: 4)
            return
        }
        let length = UInt16(truncatingIfNeeded: length)
        let identification = identification &+ UInt16(truncatingIfNeeded: index)
        var sum = ipSum
        sum.add(length)
        sum.add(identification)
        destination.set(length, at: 2)
        destination.set(identification, at: 4)
        destination.setRaw(sum.checksum, at: 10)
    }

    /// The IPv4 header's sum without total length, identification and checksum.
    private static func ipv4Sum(_ packet: PacketBytes, headerLength: Int) -> MemoryOrderSum {
        var sum = MemoryOrderSum(packet.slice(0, 2))
        sum.add(packet.slice(6, 4))
        sum.add(packet.slice(12, headerLength &- 12))
        return sum
    }

    /// The sum of pseudo-header and transport header without lengths, sequence number, flags and checksum.
    private static func transportSum(
        _ packet: PacketBytes, header: IPHeader, headerLength: Int, isTCP: Bool
    ) -> MemoryOrderSum {
        let transport = header.headerLength
        var sum = packet.pseudoHeaderSum(isIPv6: header.isIPv6, ipProtocol: header.ipProtocol)
        sum.add(packet.slice(transport, 4))
        guard isTCP else { return sum }
        sum.add(packet.slice(transport &+ 8, 4))
        sum.add(UInt16(packet[transport &+ 12]) << 8)
        sum.add(packet.slice(transport &+ 14, 2))
        sum.add(packet.slice(transport &+ 18, headerLength &- transport &- 18))
        return sum
    }
}
