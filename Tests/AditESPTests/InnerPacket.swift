// SPDX-License-Identifier: Apache-2.0
// Adit: AditESPTests

import AditWire

/// Inner packets for the tests.
enum InnerPacket {
    /// A UDP packet of `length` bytes or the least that holds its headers; the payload counts up.
    static func udp(
        from source: String, to destination: String, sourcePort: UInt16 = 1000, destinationPort: UInt16 = 2000,
        length: Int = 64, trafficClass: UInt8 = 0, ipProtocol: UInt8 = 17, fragmentOffset: UInt16 = 0
    ) -> [UInt8] {
        guard let source = IPAddress(source), let destination = IPAddress(destination) else { return [] }
        let header = source.family == .v4 ? 20 : 40
        let total = max(length, header + 8)
        var writer = ByteWriter()
        switch source.family {
        case .v4:
            writer.write(UInt8(0x45))
            writer.write(trafficClass)
            writer.write(UInt16(total))
            writer.write(UInt16(0x1234))
            writer.write(fragmentOffset)
            writer.write(UInt8(64))
            writer.write(ipProtocol)
            writer.write(UInt16(0))
            writer.write(contentsOf: source.bytes)
            writer.write(contentsOf: destination.bytes)
            writer.patch(checksum(writer.bytes), at: 10)
        case .v6:
            writer.write(UInt32(6) << 28 | UInt32(trafficClass) << 20)
            writer.write(UInt16(total - 40))
            writer.write(ipProtocol)
            writer.write(UInt8(64))
            writer.write(contentsOf: source.bytes)
            writer.write(contentsOf: destination.bytes)
        }
        writer.write(sourcePort)
        writer.write(destinationPort)
        writer.write(UInt16(total - header))
        writer.write(UInt16(0))
        writer.write(contentsOf: (0..<total - header - 8).map { UInt8(truncatingIfNeeded: $0) })
        return writer.bytes
    }

    /// A plain version of RFC 1071, to compare with: the checksum of `bytes`.
    static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[index]) << 8 | (index + 1 < bytes.count ? UInt32(bytes[index + 1]) : 0)
        }
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        return ~UInt16(sum)
    }
}
