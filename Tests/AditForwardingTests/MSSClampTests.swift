// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

import Testing

@testable import AditForwarding

@Suite struct MSSClampTests {
    static func clamp(_ bytes: [UInt8], mtu: Int, unfinished: Bool = false) -> [UInt8] {
        let memory = PacketMemory(bytes)
        if let header = memory.packet.ipHeader {
            MSSClamp.apply(to: memory.packet, header: header, mtu: mtu, checksumIsUnfinished: unfinished)
        }
        return memory.bytes
    }

    static func syn(options: [UInt8], isIPv6: Bool = false, flags: UInt8 = 2) -> InnerPacket {
        var packet = InnerPacket()
        packet.isIPv6 = isIPv6
        packet.flags = flags
        packet.tcpOptions = options
        return packet
    }

    @Test(arguments: [false, true], [UInt8(2), 0x12])
    func aLargerValueIsLowered(_ isIPv6: Bool, _ flags: UInt8) {
        let limit: [UInt8] = isIPv6 ? [0x05, 0x62] : [0x05, 0x76]  // 1438 - 60 = 1378, 1438 - 40 = 1398
        for before in [[], [1], [1, 1], [1, 1, 1], [3, 3, 7], [8, 10, 1, 2, 3, 4, 5, 6, 7, 8]] as [[UInt8]] {
            let pad = [UInt8](repeating: 0, count: (8 - (before.count + 4) % 4) % 4)
            let packet = Self.syn(options: before + [2, 4, 0x05, 0xb4] + pad, isIPv6: isIPv6, flags: flags)
            let expected = Self.syn(options: before + [2, 4] + limit + pad, isIPv6: isIPv6, flags: flags)
            #expect(Self.clamp(packet.bytes, mtu: 1438) == expected.bytes, "after \(before)")
        }
    }

    @Test func anUnfinishedChecksumStays() {
        let before = Self.syn(options: [2, 4, 0x05, 0xb4]).bytes
        var expected = before
        expected[42] = 0x05
        expected[43] = 0x76
        #expect(Self.clamp(before, mtu: 1438, unfinished: true) == expected)
    }

    @Test func nothingElseChanges() {
        let untouched: [[UInt8]] = [
            Self.syn(options: [2, 4, 0x05, 0x76]).bytes, Self.syn(options: [2, 4, 0x02, 0x00]).bytes,
            Self.syn(options: []).bytes, Self.syn(options: [2, 4, 0x05, 0xb4], flags: 0x10).bytes,
            Self.syn(options: [0, 0, 0, 0, 2, 4, 0x05, 0xb4]).bytes, Self.syn(options: [3, 0, 0, 0]).bytes,
            Self.syn(options: [3, 40, 0, 0]).bytes, Self.syn(options: [1, 1, 1, 2]).bytes,
            Self.syn(options: [2, 3, 9, 0]).bytes, Self.syn(options: [1, 2, 4, 0x05]).bytes,
        ]
        for bytes in untouched { #expect(Self.clamp(bytes, mtu: 1438) == bytes) }
        var fragment = Self.syn(options: [2, 4, 0x05, 0xb4]).bytes
        fragment[7] = 1
        #expect(Self.clamp(fragment, mtu: 1438) == fragment)
        var cut = Self.syn(options: [2, 4, 0x05, 0xb4]).bytes
        cut[32] = 0xf0
        #expect(Self.clamp(cut, mtu: 1438) == cut)
    }

    @Test func neverBelowTheDefault() {
        #expect(MSSClamp.largestSegment(mtu: 400, isIPv6: false) == 536)
        #expect(MSSClamp.largestSegment(mtu: 65_535, isIPv6: true) == 65_475)
    }
}
