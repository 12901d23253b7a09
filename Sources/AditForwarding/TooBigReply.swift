// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditWire

/// The ICMP answers to packets that are larger than the tunnel and must not be fragmented (RFC 1191 §4, RFC 8201 §4).
///
/// The answer seems to come from the packet's destination, because the tunnel has no address of its own that is sure
/// to be known to the sender. Answers are limited in number, as RFC 4443 §2.4(f) and RFC 1812 §4.3.2.8 ask. One
/// worker's.
@safe struct TooBigReply: ~Copyable {
    /// Answers that can wait to be written.
    static let capacity = 8
    /// Answers a second.
    static let rateLimit = 100
    /// RFC 4443 §2.4(c): as much of the packet as fits 1,280 bytes. RFC 1812 §4.3.2.3: 576 for IPv4.
    static let lengthLimitV6 = 1280
    static let lengthLimitV4 = 576

    private let memory: UnsafeMutableRawPointer
    private let lengths: UnsafeMutablePointer<Int>
    private(set) var count = 0
    private var second: UInt64 = 0
    private var thisSecond = 0
    private var identification: UInt16 = 0

    init() {
        // SAFETY: both blocks are this value's alone and freed in deinit; all indices are below the capacity.
        unsafe memory = .allocate(byteCount: Self.capacity * Self.lengthLimitV6, alignment: 64)
        unsafe lengths = .allocate(capacity: Self.capacity)
        unsafe lengths.initialize(repeating: 0, count: Self.capacity)
    }

    deinit {
        unsafe memory.deallocate()
        unsafe lengths.deallocate()
    }

    /// The answers to be written to the device.
    func packet(_ index: Int) -> PacketBytes {
        precondition(index >= 0 && index < count, "no such answer")
        return unsafe PacketBytes(memory + index * Self.lengthLimitV6, count: lengths[index])
    }

    /// Forgets the answers.
    mutating func clear() { count = 0 }

    /// Makes an answer to `packet`, which says that `mtu` bytes fit; or none when the rules or the limits forbid one.
    mutating func answer(_ packet: PacketBytes, header: IPHeader, mtu: Int, now: Timestamp) {
        let second = now.nanoseconds / 1_000_000_000
        if second != self.second {
            self.second = second
            thisSecond = 0
        }
        guard count < Self.capacity, thisSecond < Self.rateLimit, Self.deserves(packet, header: header) else { return }
        thisSecond += 1
        count += 1
        let limit = header.isIPv6 ? Self.lengthLimitV6 : Self.lengthLimitV4
        let quoted = min(packet.count, limit - (header.isIPv6 ? 48 : 28))
        unsafe lengths[count - 1] = quoted + (header.isIPv6 ? 48 : 28)
        let answer = self.packet(count - 1)
        if header.isIPv6 {
            writeV6(answer, packet.slice(0, quoted), mtu: mtu)
        } else {
            writeV4(answer, packet.slice(0, quoted), mtu: mtu)
        }
    }

    /// RFC 1122 §3.2.2, RFC 4443 §2.4(e): none about ICMP errors, later fragments, multicast, or senders that are no
    /// host.
    private static func deserves(_ packet: PacketBytes, header: IPHeader) -> Bool {
        guard header.fragment != .later, !header.source.isUnspecified else { return false }
        let hasType = header.upperLength >= 1
        if header.isIPv6 {
            guard packet[8] != 0xff else { return false }
            return header.ipProtocol != IPProtocol.icmpV6 || (hasType && packet[header.headerLength] >= 128)
        }
        guard packet[12] < 224, packet[16] < 224 else { return false }
        guard header.ipProtocol == IPProtocol.icmp else { return true }
        // Echo and echo reply, timestamp and information are no errors.
        return hasType && [0, 8, 13, 14, 15, 16].contains(packet[header.headerLength])
    }

    private mutating func writeV4(_ answer: PacketBytes, _ quoted: PacketBytes, mtu: Int) {
        identification &+= 1
        for offset in 0..<28 { answer[offset] = 0 }
        answer[0] = 0x45
        answer.set(UInt16(answer.count), at: 2)
        answer.set(identification, at: 4)
        answer[8] = 64
        answer[9] = IPProtocol.icmp
        answer.copy(quoted.slice(16, 4), to: 12)
        answer.copy(quoted.slice(12, 4), to: 16)
        answer.setIPv4Checksum(headerLength: 20)
        // RFC 1191 §4: destination unreachable, fragmentation needed, next-hop MTU in the low half of the second word.
        answer[20] = 3
        answer[21] = 4
        answer.set(UInt16(clamping: mtu), at: 26)
        answer.copy(quoted, to: 28)
        answer.setRaw(MemoryOrderSum(answer.suffix(from: 20)).checksum, at: 22)
    }

    private func writeV6(_ answer: PacketBytes, _ quoted: PacketBytes, mtu: Int) {
        for offset in 0..<48 { answer[offset] = 0 }
        answer[0] = 0x60
        answer.set(UInt16(answer.count - 40), at: 4)
        answer[6] = IPProtocol.icmpV6
        answer[7] = 64
        answer.copy(quoted.slice(24, 16), to: 8)
        answer.copy(quoted.slice(8, 16), to: 24)
        // RFC 4443 §3.2: packet too big.
        answer[40] = 2
        answer.set(UInt32(mtu), at: 44)
        answer.copy(quoted, to: 48)
        var sum = answer.pseudoHeaderSum(isIPv6: true, ipProtocol: IPProtocol.icmpV6)
        sum.add(UInt16(answer.count - 40))
        sum.add(answer.suffix(from: 40))
        answer.setRaw(sum.checksum, at: 42)
    }
}
