// SPDX-License-Identifier: Apache-2.0
// Adit: Simulation

import AditIKE
import AditWire

/// An inner packet of the simulated traffic: IPv4, UDP and a number.
struct ProbePacket {
    static let length = 20 + 8 + 8

    let bytes: [UInt8]

    /// Probe `number` from the first address of the one selector to the first of the other.
    init(_ number: UInt64, from local: [TrafficSelector], to remote: [TrafficSelector]) {
        var writer = ByteWriter(reservingCapacity: Self.length)
        writer.write(UInt32(0x4500_0000) | UInt32(Self.length))
        writer.write(UInt32(0))
        writer.write(UInt32(0x4011_0000))
        writer.write(contentsOf: Self.first(local))
        writer.write(contentsOf: Self.first(remote))
        writer.write(UInt32(0x1000_2000))
        writer.write(UInt32(16 << 16))
        writer.write(number)
        var packet = writer.bytes
        let sum = stride(from: 0, to: 20, by: 2).reduce(0) { $0 + Int(packet[$1]) << 8 + Int(packet[$1 + 1]) }
        let folded = (sum & 0xffff) + (sum >> 16)
        let checksum = ~UInt16(truncatingIfNeeded: (folded & 0xffff) + (folded >> 16))
        packet[10] = UInt8(checksum >> 8)
        packet[11] = UInt8(checksum & 0xff)
        bytes = packet
    }

    /// The number in a probe.
    static func number(_ packet: ArraySlice<UInt8>) -> UInt64? {
        packet.count == length ? packet.suffix(8).reduce(0) { $0 << 8 | UInt64($1) } : nil
    }

    private static func first(_ selectors: [TrafficSelector]) -> [UInt8] {
        selectors.first?.first.bytes ?? [0, 0, 0, 0]
    }
}
