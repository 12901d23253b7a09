// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditWire

/// Lowers the maximum segment size that a TCP SYN announces to what the tunnel carries, so that no end sends too much.
enum MSSClamp {
    /// RFC 9293 §3.7.1: MTU less the fixed headers of IP and TCP.
    @inline(__always) static func largestSegment(mtu: Int, isIPv6: Bool) -> UInt16 {
        UInt16(clamping: max(mtu &- (isIPv6 ? 60 : 40), smallestSegment))
    }

    /// Never below what every host sends anyway (RFC 9293 §3.7.1).
    private static let smallestSegment = 536

    /// Changes `packet` where it is a SYN with a larger MSS option; its checksum is updated unless it `isUnfinished`.
    @inline(__always)
    static func apply(to packet: PacketBytes, header: IPHeader, mtu: Int, checksumIsUnfinished isUnfinished: Bool) {
        guard header.ipProtocol == IPProtocol.tcp, header.fragment != .later, header.upperLength >= 20,
            packet[header.headerLength &+ 13] & TCPFlag.syn != 0
        else { return }
        applyToSYN(packet, header: header, mtu: mtu, isUnfinished: isUnfinished)
    }

    @inline(never)
    private static func applyToSYN(_ packet: PacketBytes, header: IPHeader, mtu: Int, isUnfinished: Bool) {
        let transport = header.headerLength
        let end = transport &+ Int(packet[transport &+ 12] >> 4) &* 4
        guard end <= header.totalLength else { return }
        let limit = largestSegment(mtu: mtu, isIPv6: header.isIPv6)
        var offset = transport &+ 20
        while offset < end {
            let kind = packet[offset]
            // RFC 9293 §3.1: kind 0 ends the options, kind 1 is one byte, all others have a length.
            if kind == 0 { return }
            if kind == 1 {
                offset &+= 1
                continue
            }
            guard offset &+ 2 <= end else { return }
            let size = Int(packet[offset &+ 1])
            guard size >= 2, offset &+ size <= end else { return }
            if kind == 2, size == 4 {
                lower(packet, at: offset &+ 2, to: limit, transport: transport, isUnfinished: isUnfinished)
                return
            }
            offset &+= size
        }
    }

    private static func lower(
        _ packet: PacketBytes, at offset: Int, to limit: UInt16, transport: Int, isUnfinished: Bool
    ) {
        let old = packet.uint16(offset)
        guard old > limit else { return }
        packet.set(limit, at: offset)
        guard !isUnfinished else { return }
        let checksum = packet.uint16(transport &+ 16)
        // RFC 1624 §3 works on aligned words; an option at an odd offset counts with its bytes swapped.
        let isOdd = (offset &- transport) & 1 != 0
        packet.set(
            InternetChecksum.updated(
                checksum, from: isOdd ? old.byteSwapped : old, to: isOdd ? limit.byteSwapped : limit),
            at: transport &+ 16)
    }
}
