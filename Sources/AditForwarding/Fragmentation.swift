// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditWire

/// How an IPv4 packet without DF is fragmented before encryption (RFC 791 §3.2, RFC 4301 §8.2).
///
/// Fragments may be fragmented again. Nothing is allocated; the packet itself is not changed.
struct Fragmentation {
    /// A packet of 65,535 bytes at an MTU of ``smallestMTU`` has this many fragments.
    static let fragmentLimit = 128
    /// RFC 791 §3.1: every host takes 576 bytes; a smaller tunnel MTU is not used.
    static let smallestMTU = 576

    /// How many fragments there are.
    let count: Int
    private let headerLength: Int
    private let laterHeaderLength: Int
    private let payloadLength: Int
    private let payloadStep: Int
    private let fragmentField: UInt16

    /// The plan for `packet` with `header`; nil for IPv6, with DF, or where an option lies.
    init?(_ packet: PacketBytes, header: IPHeader, mtu: Int) {
        guard !header.isIPv6, !header.dontFragment, mtu >= Self.smallestMTU,
            let later = Self.laterHeaderLength(packet, headerLength: header.baseLength)
        else { return nil }
        headerLength = header.baseLength
        laterHeaderLength = later
        payloadLength = header.totalLength &- headerLength
        payloadStep = (mtu &- headerLength) & ~7
        fragmentField = packet.uint16(6)
        count = (payloadLength &+ payloadStep &- 1) / payloadStep
        let lastOffset = Int(fragmentField & 0x1fff) &* 8 &+ payloadLength
        guard payloadLength > 0, count <= Self.fragmentLimit, lastOffset <= 65_535 else { return nil }
    }

    /// The bytes of fragment `index`, header included.
    func length(_ index: Int) -> Int {
        (index == 0 ? headerLength : laterHeaderLength)
            &+ min(payloadStep, payloadLength &- index &* payloadStep)
    }

    /// Writes fragment `index` of `packet` to the beginning of `destination`, which has room for it.
    func write(_ index: Int, from packet: PacketBytes, to destination: PacketBytes) {
        let offset = index &* payloadStep
        let payload = min(payloadStep, payloadLength &- offset)
        let header = index == 0 ? headerLength : laterHeaderLength
        destination.copy(packet.slice(0, index == 0 ? headerLength : 20), to: 0)
        if index > 0 { Self.writeCopiedOptions(packet, headerLength: headerLength, to: destination, end: header) }
        destination.copy(packet.slice(headerLength &+ offset, payload), to: header)
        destination[0] = 0x40 | UInt8(truncatingIfNeeded: header / 4)
        destination.set(UInt16(truncatingIfNeeded: header &+ payload), at: 2)
        // RFC 791 §3.2: more-fragments in all but the last, which keeps the bit of the packet.
        let more: UInt16 = index &+ 1 < count ? 0x2000 : fragmentField & 0x2000
        let position = (fragmentField & 0x1fff) &+ UInt16(truncatingIfNeeded: offset / 8)
        destination.set(more | position, at: 6)
        destination.setIPv4Checksum(headerLength: header)
    }

    /// RFC 791 §3.1: only options with the copied bit go into later fragments. Nil when an option's length lies.
    private static func laterHeaderLength(_ packet: PacketBytes, headerLength: Int) -> Int? {
        var length = 20
        var offset = 20
        while offset < headerLength {
            let kind = packet[offset]
            if kind == 0 { break }
            if kind == 1 {
                offset &+= 1
                continue
            }
            guard offset &+ 2 <= headerLength else { return nil }
            let size = Int(packet[offset &+ 1])
            guard size >= 2, offset &+ size <= headerLength else { return nil }
            if kind & 0x80 != 0 { length &+= size }
            offset &+= size
        }
        return (length &+ 3) & ~3
    }

    /// Writes the copied options and ends them with zeros (RFC 791 §3.1: End of Option List) up to `end`.
    private static func writeCopiedOptions(
        _ packet: PacketBytes, headerLength: Int, to destination: PacketBytes, end: Int
    ) {
        for position in 20..<max(end, 20) { destination[position] = 0 }
        var written = 20
        var offset = 20
        while offset < headerLength, packet[offset] != 0 {
            let size = packet[offset] == 1 ? 1 : Int(packet[offset &+ 1])
            if packet[offset] & 0x80 != 0 {
                destination.copy(packet.slice(offset, size), to: written)
                written &+= size
            }
            offset &+= size
        }
    }
}
