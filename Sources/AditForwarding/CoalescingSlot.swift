// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditLinux
internal import AditWire

/// What a device takes, as plain values: an option set's constants are looked up at each use.
struct CoalescingLimits {
    let takesTCP: Bool
    let takesUDP: Bool

    init(_ capabilities: DeviceCapabilities) {
        takesTCP = capabilities.contains([.checksum, .tcpSegmentation])
        takesUDP = capabilities.contains([.checksum, .udpSegmentation])
    }
}

/// A packet that may be merged with others of its flow: plain TCP data or UDP whose checksums hold.
struct CoalescingCandidate {
    /// The packet, exactly.
    let packet: PacketBytes
    let isIPv6: Bool
    let isTCP: Bool
    /// Where the TCP or UDP header begins.
    let transportOffset: Int
    /// All headers' length.
    let headerLength: Int
    /// TCP flags; 0 for UDP.
    let flags: UInt8

    var payloadLength: Int { packet.count &- headerLength }
    var sequence: UInt32 { packet.uint32(transportOffset &+ 4) }

    /// The candidate in `packet`; nil when it is to pass untouched.
    @inline(__always) init?(_ packet: PacketBytes, header: IPHeader, limits: CoalescingLimits) {
        // IPv4 options and IPv6 extension headers pass untouched: rare, and not worth proving equal.
        guard header.headerLength == (header.isIPv6 ? 40 : 20), !header.isFragment else { return nil }
        let transport = header.headerLength
        switch header.ipProtocol {
        case IPProtocol.tcp:
            guard limits.takesTCP, header.upperLength > 20 else { return nil }
            let transportHeader = Int(packet[transport &+ 12] >> 4) &* 4
            flags = packet[transport &+ 13]
            // RFC 9293 §3.1: SYN, RST and URG, and RFC 3168 §6.1.2 CWR, mark one segment and may not spread over
            // others.
            guard transportHeader >= 20, packet[transport &+ 12] & 0x0f == 0,
                flags & ~(TCPFlag.psh | TCPFlag.fin | TCPFlag.ece) == TCPFlag.ack
            else { return nil }
            headerLength = transport &+ transportHeader
            isTCP = true
        case IPProtocol.udp:
            guard limits.takesUDP, header.upperLength > 8,
                Int(packet.uint16(transport &+ 4)) == header.upperLength, packet.raw16(transport &+ 6) != 0
            else { return nil }
            flags = 0
            headerLength = transport &+ 8
            isTCP = false
        default: return nil
        }
        guard headerLength < header.totalLength else { return nil }
        self.packet = packet.slice(0, header.totalLength)
        isIPv6 = header.isIPv6
        transportOffset = transport
        guard checksumsHold(ipProtocol: header.ipProtocol) else { return nil }
    }

    /// A wrong checksum must reach the receiver as it is: a super-packet would get a right one.
    @inline(__always) private func checksumsHold(ipProtocol: UInt8) -> Bool {
        var sum = packet.pseudoHeaderSum(isIPv6: isIPv6, ipProtocol: ipProtocol)
        sum.add(packet.suffix(from: transportOffset))
        sum.add(UInt16(truncatingIfNeeded: packet.count &- transportOffset))
        guard sum.folded == 0xffff else { return false }
        return isIPv6 || MemoryOrderSum(packet.slice(0, 20)).folded == 0xffff
    }
}

/// A super-packet being collected: the first packet whole, the payloads of the others where they lie.
struct CoalescingSlot {
    /// The largest super-packet: what a total length field can say.
    static let lengthLimit = 65_535

    let first: CoalescingCandidate
    /// Equal flows have equal values; different flows seldom.
    let flow: UInt64
    /// Payload bytes of every packet but the last.
    let segmentSize: Int
    private(set) var payloadLength: Int
    private(set) var count = 1
    private var nextSequence: UInt32
    /// No further packet may follow: it was short, or carried PSH or FIN.
    private(set) var isClosed: Bool

    @inline(__always) init(_ candidate: CoalescingCandidate, flow: UInt64) {
        first = candidate
        self.flow = flow
        segmentSize = candidate.payloadLength
        payloadLength = candidate.payloadLength
        nextSequence =
            candidate.isTCP ? candidate.sequence &+ UInt32(truncatingIfNeeded: candidate.payloadLength) : 0
        isClosed = candidate.flags & (TCPFlag.psh | TCPFlag.fin) != 0
    }

    /// Whether `next` continues the super-packet so that splitting it again gives the same packets.
    @inline(__always) func takes(_ next: CoalescingCandidate) -> Bool {
        guard !isClosed, next.isTCP == first.isTCP, next.isIPv6 == first.isIPv6,
            next.headerLength == first.headerLength, next.payloadLength <= segmentSize,
            first.headerLength &+ payloadLength &+ next.payloadLength <= Self.lengthLimit,
            sameNetworkHeader(next)
        else { return false }
        return !first.isTCP || sameTCPHeader(next)
    }

    /// Adds `next`, which ``takes(_:)`` allowed; PSH and FIN move to the end of the super-packet.
    @inline(__always) mutating func append(_ next: CoalescingCandidate) {
        count &+= 1
        payloadLength &+= next.payloadLength
        nextSequence &+= UInt32(truncatingIfNeeded: next.payloadLength)
        if next.isTCP {
            let last = next.flags & (TCPFlag.psh | TCPFlag.fin)
            first.packet[first.transportOffset &+ 13] |= last
            if last != 0 { isClosed = true }
        }
        if next.payloadLength < segmentSize { isClosed = true }
    }

    @inline(__always) private func sameNetworkHeader(_ next: CoalescingCandidate) -> Bool {
        let left = first.packet
        let right = next.packet
        let transport = first.transportOffset
        guard left.raw32(transport) == right.raw32(transport) else { return false }
        guard !first.isIPv6 else {
            // Version, traffic class, flow label; next header, hop limit; addresses.
            return left.raw32(0) == right.raw32(0) && left.raw16(6) == right.raw16(6)
                && left.slice(8, 32).equals(right.slice(8, 32))
        }
        // Version, IHL, TOS; flags; TTL, protocol; addresses.
        guard left.raw16(0) == right.raw16(0), left.raw16(6) == right.raw16(6), left.raw16(8) == right.raw16(8),
            left.raw64(12) == right.raw64(12)
        else { return false }
        // RFC 6864 §4.1: with DF the identification means nothing; without, splitting must give the same again.
        return left.uint16(6) & 0x4000 != 0 || right.uint16(4) == left.uint16(4) &+ UInt16(truncatingIfNeeded: count)
    }

    @inline(__always) private func sameTCPHeader(_ next: CoalescingCandidate) -> Bool {
        let left = first.packet
        let right = next.packet
        let transport = first.transportOffset
        // Acknowledgement, data offset, window, urgent pointer, ECE and every option, timestamps too, are the same.
        return next.sequence == nextSequence && left.raw32(transport &+ 8) == right.raw32(transport &+ 8)
            && left[transport &+ 12] == right[transport &+ 12]
            && (first.flags ^ next.flags) & TCPFlag.ece == 0
            && left.raw16(transport &+ 14) == right.raw16(transport &+ 14)
            && left.raw16(transport &+ 18) == right.raw16(transport &+ 18)
            && left.slice(transport &+ 20, first.headerLength &- transport &- 20).equals(
                right.slice(transport &+ 20, first.headerLength &- transport &- 20))
    }

    /// Writes the headers of the whole, with the partial checksum that the kernel wants, and says what it is.
    @inline(__always) func finish() -> PacketOffload {
        let packet = first.packet
        let transport = first.transportOffset
        let transportLength = UInt16(truncatingIfNeeded: first.headerLength &- transport &+ payloadLength)
        var offload = PacketOffload()
        offload.needsChecksum = true
        offload.checksumStart = UInt16(truncatingIfNeeded: transport)
        offload.checksumOffset = first.isTCP ? 16 : 6
        if count > 1 {
            offload.segmentation = first.isTCP ? (first.isIPv6 ? .tcpV6 : .tcpV4) : .udp
            offload.segmentSize = UInt16(truncatingIfNeeded: segmentSize)
            offload.headerLength = UInt16(truncatingIfNeeded: first.headerLength)
            if first.isIPv6 {
                packet.set(transportLength, at: 4)
            } else {
                packet.set(UInt16(truncatingIfNeeded: transport) &+ transportLength, at: 2)
                packet.setIPv4Checksum(headerLength: 20)
            }
            if !first.isTCP { packet.set(transportLength, at: transport &+ 4) }
        }
        // virtio 1.2 §5.1.6.2: the field holds the pseudo-header's sum, not complemented.
        var sum = packet.pseudoHeaderSum(
            isIPv6: first.isIPv6, ipProtocol: first.isTCP ? IPProtocol.tcp : IPProtocol.udp)
        sum.add(transportLength)
        packet.setRaw(sum.folded, at: transport &+ Int(offload.checksumOffset))
        return offload
    }
}
