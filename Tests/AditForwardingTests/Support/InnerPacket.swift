// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

/// Inner packets made and checked the slow way, byte by byte, independent of the code under test.
struct InnerPacket {
    var isIPv6 = false
    var isTCP = true
    var source: UInt8 = 1
    var destination: UInt8 = 2
    var trafficClass: UInt8 = 0
    var hopLimit: UInt8 = 64
    var identification: UInt16 = 0x1234
    var dontFragment = true
    /// IPv4 options, a multiple of 4 bytes, or IPv6 extension headers, whole, whose kinds ``extensionKinds`` names.
    var networkOptions: [UInt8] = []
    /// The first is the IPv6 header's next header; the last extension's own next header is the transport.
    var extensionKinds: [UInt8] = []
    var sourcePort: UInt16 = 40_000
    var destinationPort: UInt16 = 443
    var sequence: UInt32 = 1000
    var acknowledgement: UInt32 = 77
    var flags: UInt8 = 0x10
    var window: UInt16 = 500
    /// A multiple of 4 bytes.
    var tcpOptions: [UInt8] = []
    var payload: [UInt8] = []

    /// The finished packet.
    var bytes: [UInt8] {
        let transport = transportBytes
        var packet: [UInt8] = []
        if isIPv6 {
            packet = [0x60 | trafficClass >> 4, trafficClass << 4 | 0x5, 0x43, 0x21]
            packet += Self.big(UInt16(networkOptions.count + transport.count))
            packet += [extensionKinds.first ?? transportProtocol, hopLimit]
            packet += address(source) + address(destination) + networkOptions
        } else {
            packet = [0x45 + UInt8(networkOptions.count / 4), trafficClass]
            packet += Self.big(UInt16(20 + networkOptions.count + transport.count)) + Self.big(identification)
            packet += [dontFragment ? 0x40 : 0, 0, hopLimit, transportProtocol, 0, 0]
            packet += address(source) + address(destination) + networkOptions
            let checksum = Self.checksum(packet)
            packet[10] = UInt8(checksum >> 8)
            packet[11] = UInt8(checksum & 0xff)
        }
        return packet + transport
    }

    var transportOffset: Int { (isIPv6 ? 40 : 20) + networkOptions.count }
    var headerLength: Int { transportOffset + (isTCP ? 20 + tcpOptions.count : 8) }
    private var transportProtocol: UInt8 { isTCP ? 6 : 17 }

    private func address(_ last: UInt8) -> [UInt8] {
        isIPv6 ? [0x20, 0x01, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [last] : [10, 1, 0, last]
    }

    private var transportBytes: [UInt8] {
        var header = Self.big(sourcePort) + Self.big(destinationPort)
        if isTCP {
            header += Self.big(sequence) + Self.big(acknowledgement)
            header += [UInt8(20 + tcpOptions.count) << 2, flags] + Self.big(window) + [0, 0, 0, 0] + tcpOptions
        } else {
            header += Self.big(UInt16(8 + payload.count)) + [0, 0]
        }
        let length = UInt16(header.count + payload.count)
        let pseudo = address(source) + address(destination) + [0, transportProtocol] + Self.big(length)
        var checksum = Self.checksum(pseudo + header + payload)
        if !isTCP, checksum == 0 { checksum = 0xffff }
        let offset = isTCP ? 16 : 6
        header[offset] = UInt8(checksum >> 8)
        header[offset + 1] = UInt8(checksum & 0xff)
        return header + payload
    }

    /// The packets that this one, as a super-packet, is split into.
    func segments(of size: Int) -> [[UInt8]] {
        let count = (payload.count + size - 1) / size
        return (0..<count).map { index in
            var segment = self
            segment.payload = Array(payload[index * size..<min((index + 1) * size, payload.count)])
            segment.sequence = sequence &+ UInt32(index * size)
            segment.identification = identification &+ UInt16(truncatingIfNeeded: index)
            if index + 1 < count { segment.flags &= ~0x09 }
            if index > 0 { segment.flags &= ~0x80 }
            return segment.bytes
        }
    }

    static func big(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xff)] }
    static func big(_ value: UInt32) -> [UInt8] { big(UInt16(value >> 16)) + big(UInt16(value & 0xffff)) }

    /// RFC 1071 word by word, folding at once.
    static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            let low = index + 1 < bytes.count ? UInt32(bytes[index + 1]) : 0
            sum += UInt32(bytes[index]) << 8 | low
            if sum > 0xffff { sum = (sum & 0xffff) + 1 }
        }
        return ~UInt16(sum)
    }

    /// A packet of random shape without a payload.
    static func random(using generator: inout SeededGenerator) -> InnerPacket {
        var packet = InnerPacket()
        packet.isIPv6 = Bool.random(using: &generator)
        packet.isTCP = Bool.random(using: &generator)
        packet.trafficClass = .random(in: 0...255, using: &generator)
        packet.identification = .random(in: 0...65_535, using: &generator)
        packet.sequence = .random(in: 0...UInt32.max, using: &generator)
        packet.acknowledgement = .random(in: 0...UInt32.max, using: &generator)
        packet.window = .random(in: 0...65_535, using: &generator)
        packet.dontFragment = Bool.random(using: &generator)
        packet.sourcePort = .random(in: 1...65_535, using: &generator)
        if packet.isTCP, Bool.random(using: &generator) {
            packet.tcpOptions = [1, 1, 8, 10] + (0..<8).map { _ in UInt8.random(in: 0...255, using: &generator) }
        }
        return packet
    }

    static func randomBytes(_ count: Int, using generator: inout SeededGenerator) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    }
}
