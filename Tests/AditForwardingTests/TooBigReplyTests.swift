// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

import AditWire
import Testing

@testable import AditForwarding

@Suite struct TooBigReplyTests {
    static func answers(_ bytes: [UInt8], mtu: Int = 1400, times: Int = 1, at: UInt64 = 0) -> [[UInt8]] {
        let memory = PacketMemory(bytes)
        guard let header = memory.packet.ipHeader else { return [] }
        var reply = TooBigReply()
        var all: [[UInt8]] = []
        for _ in 0..<times {
            reply.answer(memory.packet, header: header, mtu: mtu, now: Timestamp(nanoseconds: at))
            for index in 0..<reply.count {
                let packet = reply.packet(index)
                all.append((0..<packet.count).map { packet[$0] })
            }
            reply.clear()
        }
        #expect(memory.bytes == bytes)
        return all
    }

    @Test func fragmentationNeeded() throws {
        var packet = InnerPacket()
        packet.payload = [UInt8](repeating: 1, count: 1500)
        let bytes = packet.bytes
        let answer = try #require(Self.answers(bytes).first)
        #expect(answer.count == 576)
        #expect(InnerPacket.checksum(Array(answer[0..<20])) == 0)
        #expect(InnerPacket.checksum(Array(answer[20...])) == 0)
        #expect(answer[9] == 1 && answer[20] == 3 && answer[21] == 4)
        #expect(Array(answer[26..<28]) == [0x05, 0x78], "RFC 1191 §4: next-hop MTU 1400")
        #expect(answer[12..<16] == bytes[16..<20] && answer[16..<20] == bytes[12..<16])
        #expect(Array(answer[28...]) == Array(bytes.prefix(548)))
    }

    @Test func packetTooBig() throws {
        var packet = InnerPacket()
        packet.isIPv6 = true
        packet.payload = [UInt8](repeating: 1, count: 1500)
        let bytes = packet.bytes
        let answer = try #require(Self.answers(bytes).first)
        #expect(answer.count == 1280)
        let pseudo = Array(answer[8..<40]) + [0, 0, 4, 216, 0, 0, 0, 58]
        #expect(InnerPacket.checksum(pseudo + Array(answer[40...])) == 0)
        #expect(answer[6] == 58 && answer[40] == 2 && answer[41] == 0)
        #expect(Array(answer[44..<48]) == [0, 0, 0x05, 0x78])
        #expect(answer[8..<24] == bytes[24..<40] && answer[24..<40] == bytes[8..<24])
        #expect(Array(answer[48...]) == Array(bytes.prefix(1232)))
    }

    @Test func shortPacketsAreQuotedWhole() {
        let bytes = InnerPacket().bytes
        #expect(Self.answers(bytes).first.map { Array($0[28...]) } == bytes)
    }

    @Test func errorsLaterFragmentsAndMulticastGetNone() {
        var bytes = InnerPacket().bytes
        bytes[7] = 1
        #expect(Self.answers(bytes).isEmpty, "a later fragment")
        for type in 0...20 as ClosedRange<UInt8> {
            var icmp = InnerPacket().bytes
            icmp[9] = 1
            icmp[20] = type
            #expect(Self.answers(icmp).isEmpty != [0, 8, 13, 14, 15, 16].contains(type), "ICMP type \(type)")
        }
        for (offset, value) in [(12, UInt8(224)), (16, 239), (16, 255)] {
            var multicast = InnerPacket().bytes
            multicast[offset] = value
            #expect(Self.answers(multicast).isEmpty)
        }
        var v6 = InnerPacket()
        v6.isIPv6 = true
        var icmp = v6.bytes
        icmp[6] = 58
        icmp[40] = 127
        #expect(Self.answers(icmp).isEmpty)
        icmp[40] = 128
        #expect(Self.answers(icmp).count == 1)
        icmp[8] = 0xff
        #expect(Self.answers(icmp).isEmpty)
    }

    @Test func limitedInNumber() {
        #expect(Self.answers(InnerPacket().bytes, times: TooBigReply.rateLimit + 50).count == TooBigReply.rateLimit)
        let memory = PacketMemory(InnerPacket().bytes)
        var reply = TooBigReply()
        guard let header = memory.packet.ipHeader else { return }
        for _ in 0..<TooBigReply.capacity + 3 {
            reply.answer(memory.packet, header: header, mtu: 1400, now: Timestamp(nanoseconds: 0))
        }
        let count = reply.count
        #expect(count == TooBigReply.capacity)
    }
}
