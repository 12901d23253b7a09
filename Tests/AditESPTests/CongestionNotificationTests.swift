// SPDX-License-Identifier: Apache-2.0
// Adit: AditESPTests

import AditWire
import Testing

@testable import AditESP

/// RFC 6040.
@Suite struct CongestionNotificationTests {
    /// Figure 4: rows are the inner field, columns the outer one; both in the order Not-ECT, ECT(0), ECT(1), CE.
    @Test func figure4() {
        let order: [UInt8] = [0b00, 0b10, 0b01, 0b11]
        let table: [[UInt8?]] = [
            [0b00, 0b00, 0b00, nil],
            [0b10, 0b10, 0b01, 0b11],
            [0b01, 0b01, 0b01, 0b11],
            [0b11, 0b11, 0b11, 0b11],
        ]
        for (inner, row) in zip(order, table) {
            for (outer, wanted) in zip(order, row) {
                // The DSCP above the field changes nothing.
                #expect(CongestionNotification.decapsulated(inner: 0xb8 | inner, outer: 0x28 | outer) == wanted)
            }
        }
    }

    @Test(arguments: ["10.2.0.1", "fd02::1"], [UInt8(0), 1, 2, 3])
    func rewritingKeepsTheHeaderValid(source: String, ecn: UInt8) throws {
        let destination = source.contains(":") ? "fd01::1" : "10.1.0.1"
        for old in UInt8(0)...255 {
            var packet = InnerPacket.udp(from: source, to: destination, trafficClass: old)
            let wanted = InnerPacket.udp(from: source, to: destination, trafficClass: old & ~3 | ecn)
            packet.withUnsafeMutableBytes {
                CongestionNotification.rewrite(
                    $0.baseAddress!, family: source.contains(":") ? .v6 : .v4, ecn: ecn)
            }
            #expect(packet == wanted)
        }
    }
}
