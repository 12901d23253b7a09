// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

import AditLinux
import Testing

@testable import AditForwarding

@Suite struct SegmentationTests {
    static func offload(_ packet: InnerPacket, size: Int) -> PacketOffload {
        var offload = PacketOffload()
        offload.segmentation = packet.isTCP ? (packet.isIPv6 ? .tcpV6 : .tcpV4) : .udp
        offload.segmentSize = UInt16(size)
        offload.headerLength = UInt16(packet.headerLength)
        offload.needsChecksum = true
        return offload
    }

    static func split(_ bytes: [UInt8], _ offload: PacketOffload) -> [[UInt8]]? {
        let memory = PacketMemory(bytes)
        guard let header = memory.packet.ipHeader,
            let segmentation = Segmentation(memory.packet, header: header, offload: offload)
        else { return nil }
        let segments = (0..<segmentation.count).map { index in
            let place = PacketMemory(room: segmentation.length(index))
            segmentation.write(index, from: memory.packet, to: place.packet)
            #expect(place.isGuardIntact)
            return place.bytes
        }
        #expect(memory.bytes == bytes, "the super-packet must stay")
        return segments
    }

    @Test func randomFlowsAgreeWithTheSlowWay() {
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<300 {
            var packet = InnerPacket.random(using: &generator)
            packet.flags = [0x10, 0x18, 0x11, 0x90, 0x99, 0x50].randomElement(using: &generator)!
            packet.payload = InnerPacket.randomBytes(.random(in: 1...9000, using: &generator), using: &generator)
            let size = Int.random(in: 1...1500, using: &generator)
            guard (packet.payload.count + size - 1) / size <= Segmentation.segmentLimit else { continue }
            #expect(Self.split(packet.bytes, Self.offload(packet, size: size)) == packet.segments(of: size))
        }
    }

    @Test(arguments: [1, 1399, 1400, 1401, 2799, 2800, 2801, 65_400])
    func boundarySizes(_ payload: Int) {
        var packet = InnerPacket()
        packet.payload = (0..<payload).map { UInt8(truncatingIfNeeded: $0) }
        #expect(Self.split(packet.bytes, Self.offload(packet, size: 1400)) == packet.segments(of: 1400))
    }

    @Test func ipv4OptionsAndIPv6ExtensionHeadersStay() {
        var options = InnerPacket()
        options.networkOptions = [0x94, 4, 0, 0, 1, 1, 1, 0]
        options.payload = [UInt8](repeating: 7, count: 3000)
        #expect(Self.split(options.bytes, Self.offload(options, size: 1000)) == options.segments(of: 1000))
        var extensions = InnerPacket()
        extensions.isIPv6 = true
        extensions.isTCP = false
        extensions.extensionKinds = [0, 60]
        extensions.networkOptions = [60, 0, 1, 4, 0, 0, 0, 0] + [17, 1, 1, 12] + [UInt8](repeating: 0, count: 12)
        extensions.payload = [UInt8](repeating: 7, count: 3001)
        #expect(Self.split(extensions.bytes, Self.offload(extensions, size: 999)) == extensions.segments(of: 999))
    }

    @Test func identificationAndSequenceWrapAround() {
        var packet = InnerPacket()
        packet.identification = 0xffff
        packet.sequence = 0xffff_ff00
        packet.payload = [UInt8](repeating: 1, count: 1000)
        #expect(Self.split(packet.bytes, Self.offload(packet, size: 300)) == packet.segments(of: 300))
    }

    @Test func congestionWindowReducedIsOnTheFirstAndPushAndFinOnTheLastSegment() {
        var packet = InnerPacket()
        packet.flags = 0x99
        packet.payload = [UInt8](repeating: 1, count: 300)
        let flags = Self.split(packet.bytes, Self.offload(packet, size: 100))?.map { $0[33] }
        #expect(flags == [0x90, 0x10, 0x19])
    }

    /// `tcp_min_snd_mss` is 48 and counts the options: with 12 bytes of them 36 of payload are left, with 40 only 8.
    @Test(arguments: [12, 40])
    func theSmallestSegmentsOfLinuxAreSplit(_ options: Int) {
        var packet = InnerPacket()
        packet.tcpOptions = [UInt8](repeating: 1, count: options)
        packet.payload = (0..<65_495 - options).map { UInt8(truncatingIfNeeded: $0) }
        #expect(packet.bytes.count == 65_535)
        let size = 48 - options
        #expect(Self.split(packet.bytes, Self.offload(packet, size: size)) == packet.segments(of: size))
    }

    @Test func lyingHeadersAreRefused() {
        var packet = InnerPacket()
        packet.payload = [UInt8](repeating: 1, count: 3000)
        let bytes = packet.bytes
        let good = Self.offload(packet, size: 1000)
        #expect(Self.split(bytes, good)?.count == 3)
        var offload = good
        offload.segmentSize = 0
        #expect(Self.split(bytes, offload) == nil, "gso_size 0")
        offload = good
        offload.headerLength = UInt16(bytes.count + 1)
        #expect(Self.split(bytes, offload) == nil, "header past the end")
        for wrong in [PacketOffload.Segmentation.none, .tcpV6, .udp] {
            offload = good
            offload.segmentation = wrong
            #expect(Self.split(bytes, offload) == nil, "\(wrong)")
        }
        var large = packet
        large.payload = [UInt8](repeating: 1, count: 65_455)
        #expect(Self.split(large.bytes, Self.offload(large, size: 7)) == nil, "9351 segments")
        #expect(Self.split(Array(bytes.dropLast()), good) == nil, "shorter than its total length")
        #expect(Self.split(bytes + [0], good) == nil, "longer than its total length")
    }

    @Test(arguments: [
        (6, UInt8(0x20)), (7, 1), (9, 17), (32, 0x40), (32, 0xf0), (33, 0x12), (33, 0x14), (0, 0x44), (0, 0x65),
        (0, 0x4f),
    ])
    func alteredHeadersAreRefused(_ position: Int, _ value: UInt8) {
        var packet = InnerPacket()
        packet.payload = position == 32 && value == 0xf0 ? [1, 2, 3] : [UInt8](repeating: 1, count: 30)
        var bytes = packet.bytes
        bytes[position] = value
        // An IHL of 15 words puts the TCP header into the payload, where no data offset is right.
        #expect(Self.split(bytes, Self.offload(packet, size: 10)) == nil)
    }

    @Test func headersWithoutPayloadAreRefused() {
        #expect(Self.split(InnerPacket().bytes, Self.offload(InnerPacket(), size: 10)) == nil)
        var empty = InnerPacket()
        empty.isTCP = false
        #expect(Self.split(empty.bytes, Self.offload(empty, size: 10)) == nil, "zero-length UDP")
    }

    @Test func everyTruncationIsRefusedOrHarmless() {
        var packet = InnerPacket()
        packet.payload = [UInt8](repeating: 1, count: 100)
        let bytes = packet.bytes
        for length in 0..<bytes.count {
            #expect(Self.split(Array(bytes.prefix(length)), Self.offload(packet, size: 10)) == nil)
        }
    }

    @Test func randomGarbageNeverTraps() {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<3000 {
            var packet = InnerPacket.random(using: &generator)
            packet.payload = InnerPacket.randomBytes(.random(in: 0...200, using: &generator), using: &generator)
            var bytes = packet.bytes
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[.random(in: 0..<min(bytes.count, 64), using: &generator)] = UInt8(
                    truncatingIfNeeded: generator.next())
            }
            var offload = Self.offload(packet, size: .random(in: 0...200, using: &generator))
            offload.headerLength = .random(in: 0...300, using: &generator)
            for segment in Self.split(bytes, offload) ?? [] { #expect(segment.count <= bytes.count) }
        }
    }

    @Test func unfinishedChecksumsAreFinished() {
        for isTCP in [true, false] {
            var packet = InnerPacket()
            packet.isTCP = isTCP
            packet.payload = [1, 2, 3, 4, 5]
            let finished = packet.bytes
            var bytes = finished
            let start = packet.transportOffset
            let field = start + (isTCP ? 16 : 6)
            let length = UInt16(bytes.count - start)
            let pseudo = Array(bytes[12..<20]) + [0, isTCP ? 6 : 17] + InnerPacket.big(length)
            let partial = ~InnerPacket.checksum(pseudo)
            bytes[field] = UInt8(partial >> 8)
            bytes[field + 1] = UInt8(partial & 0xff)
            var offload = PacketOffload()
            offload.needsChecksum = true
            offload.checksumStart = UInt16(start)
            offload.checksumOffset = isTCP ? 16 : 6
            let copy = PacketMemory(room: bytes.count)
            let memory = PacketMemory(bytes)
            memory.packet.writeFinished(offload, to: copy.packet)
            #expect(copy.bytes == finished)
            #expect(memory.packet.finishChecksum(offload) && memory.bytes == finished)
            offload.checksumStart = UInt16(bytes.count - 2)
            #expect(!memory.packet.finishChecksum(offload), "past the end")
            offload.checksumStart = 4
            #expect(!memory.packet.finishChecksum(offload), "inside the IP header")
        }
    }
}
