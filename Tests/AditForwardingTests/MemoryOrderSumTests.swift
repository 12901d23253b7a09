// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

import Testing

@testable import AditForwarding

@Suite struct MemoryOrderSumTests {
    @Test func agreesWithTheSlowWayAtEveryLength() {
        var generator = SeededGenerator(seed: 1)
        for length in Array(0...200) + [1399, 1400, 1401, 65_534, 65_535] {
            let bytes = InnerPacket.randomBytes(length, using: &generator)
            let memory = PacketMemory(bytes)
            var sum = MemoryOrderSum()
            sum.add(memory.packet)
            #expect(sum.checksum.bigEndian == InnerPacket.checksum(bytes), "\(length) bytes")
            let copy = PacketMemory(room: length)
            var copying = MemoryOrderSum()
            copying.addCopying(memory.packet, to: copy.packet)
            #expect(copying.checksum == sum.checksum, "\(length) bytes")
            #expect(copy.bytes == bytes && copy.isGuardIntact, "\(length) bytes")
        }
    }

    @Test func allOnesNeverOverflow() {
        let bytes = [UInt8](repeating: 0xff, count: 65_534)
        var sum = MemoryOrderSum()
        PacketMemory.lend(bytes) { sum.add($0) }
        #expect(sum.checksum == 0)
        #expect(sum.udpChecksum == 0xffff)
    }

    @Test func fieldsCountAsTheirBytes() {
        var sum = MemoryOrderSum()
        sum.add(UInt16(0x1234))
        sum.add(UInt32(0x5678_9abc))
        #expect(sum.checksum.bigEndian == InnerPacket.checksum([0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc]))
    }
}
