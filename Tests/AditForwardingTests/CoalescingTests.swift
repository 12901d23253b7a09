// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

import AditLinux
import Testing

@testable import AditForwarding

@Suite struct CoalescingTests {
    static let all: DeviceCapabilities = [.checksum, .tcpSegmentation, .udpSegmentation]

    struct Written {
        var bytes: [UInt8]
        var offload: PacketOffload

        /// What the kernel makes of it: the packets, with finished checksums.
        var packets: [[UInt8]] {
            guard offload.segmentation != .none else {
                let memory = PacketMemory(bytes)
                if offload.needsChecksum { #expect(memory.packet.finishChecksum(offload)) }
                return [memory.bytes]
            }
            return SegmentationTests.split(bytes, offload) ?? []
        }
    }

    /// Feeds `packets` in batches, as a worker does, and gives what is written.
    static func coalesce(_ packets: [[UInt8]], capabilities: DeviceCapabilities = all) -> [Written] {
        let memories = packets.map { PacketMemory($0) }
        var coalescing = Coalescing(capabilities: capabilities)
        var written: [Written] = []
        func drain(_ coalescing: inout Coalescing) {
            for index in 0..<coalescing.readyCount {
                let (pieces, offload) = coalescing.ready(index)
                let bytes = pieces.flatMap { Array(UnsafeRawBufferPointer(start: $0.start, count: $0.length)) }
                written.append(Written(bytes: bytes, offload: offload))
            }
            coalescing.clear()
        }
        for memory in memories {
            guard let header = memory.packet.ipHeader else { continue }
            if !coalescing.hasRoom { drain(&coalescing) }
            coalescing.add(memory.packet, header: header)
        }
        coalescing.finish()
        drain(&coalescing)
        #expect(memories.allSatisfy { $0.isGuardIntact })
        return written
    }

    @Test func segmentsOfRandomFlowsComeTogetherAgain() {
        var generator = SeededGenerator(seed: 4)
        for _ in 0..<200 {
            var packet = InnerPacket.random(using: &generator)
            packet.flags = [0x10, 0x18, 0x11, 0x50].randomElement(using: &generator)!
            packet.payload = InnerPacket.randomBytes(.random(in: 2...20_000, using: &generator), using: &generator)
            let size = max(
                Int.random(in: 200...1400, using: &generator), packet.payload.count / Coalescing.pieceLimit + 1)
            let segments = packet.segments(of: size)
            let written = Self.coalesce(segments)
            #expect(written.count == 1)
            #expect(written.first?.packets == segments)
            #expect(written.first?.offload.segmentation != PacketOffload.Segmentation.none || segments.count == 1)
        }
    }

    @Test func interleavedFlowsKeepTheirOrderAndLoseNothing() {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<60 {
            var queues: [[[UInt8]]] = (0..<Int.random(in: 2...14, using: &generator)).map { number in
                var packet = InnerPacket.random(using: &generator)
                packet.sourcePort = UInt16(1000 + number)
                packet.dontFragment = false
                packet.flags = [0x10, 0x18, 0x11, 0x50, 0x90, 0x30].randomElement(using: &generator)!
                packet.payload = InnerPacket.randomBytes(.random(in: 1...8000, using: &generator), using: &generator)
                return packet.segments(of: .random(in: 100...1400, using: &generator))
            }
            let flows = queues
            var mixed: [[UInt8]] = []
            while let index = queues.indices.filter({ !queues[$0].isEmpty }).randomElement(using: &generator) {
                mixed.append(queues[index].removeFirst())
            }
            let packets = Self.coalesce(mixed).flatMap(\.packets)
            #expect(packets.count == mixed.count)
            for flow in flows {
                let mine = Set(flow)
                #expect(packets.filter { mine.contains($0) } == flow)
            }
        }
    }

    @Test func parallelStreamsEachMakeOneSuperPacket() {
        let flows = (0..<Coalescing.flowLimit).map { number in
            var packet = InnerPacket()
            packet.sourcePort = UInt16(5000 + number)
            packet.payload = [UInt8](repeating: UInt8(number), count: 5000)
            return packet.segments(of: 1000)
        }
        let mixed = (0..<5).flatMap { index in flows.map { $0[index] } }
        #expect(Self.coalesce(mixed).count == Coalescing.flowLimit)
    }

    /// Two segments of which the second was changed by `change` stay two packets, in order and unchanged.
    private func expectApart(_ first: InnerPacket, _ second: InnerPacket, _ why: Comment) {
        let packets = [first.bytes, second.bytes]
        let written = Self.coalesce(packets)
        #expect(written.count == 2, why)
        #expect(written.flatMap(\.packets) == packets, why)
    }

    @Test func whatDiffersStaysApart() {
        for isIPv6 in [false, true] {
            var first = InnerPacket()
            first.isIPv6 = isIPv6
            first.tcpOptions = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]
            first.payload = [UInt8](repeating: 1, count: 100)
            var next = first
            next.sequence += 100
            next.identification += 1
            #expect(Self.coalesce([first.bytes, next.bytes]).count == 1)
            let changes: [(Comment, (inout InnerPacket) -> Void)] = [
                ("gap", { $0.sequence += 1 }), ("overlap", { $0.sequence -= 1 }),
                ("acknowledgement", { $0.acknowledgement += 1 }), ("window", { $0.window += 1 }),
                ("hop limit", { $0.hopLimit -= 1 }), ("traffic class", { $0.trafficClass = 4 }),
                ("congestion experienced", { $0.trafficClass = 3 }), ("timestamp", { $0.tcpOptions[7] = 9 }),
                ("no options", { $0.tcpOptions = [] }), ("longer", { $0.payload.append(1) }),
                ("urgent", { $0.flags |= 0x20 }), ("syn", { $0.flags |= 2 }), ("rst", { $0.flags |= 4 }),
                ("cwr", { $0.flags |= 0x80 }), ("ece", { $0.flags |= 0x40 }), ("no ack", { $0.flags = 0 }),
                ("pure acknowledgement", { $0.payload = [] }), ("port", { $0.sourcePort += 1 }),
                ("address", { $0.source += 1 }), ("udp", { $0.isTCP = false }),
            ]
            for (why, change) in changes {
                var second = next
                change(&second)
                expectApart(first, second, why)
            }
        }
    }

    @Test func identificationMatters() {
        var first = InnerPacket()
        first.dontFragment = false
        first.payload = [UInt8](repeating: 1, count: 100)
        var second = first
        second.sequence += 100
        second.identification += 2
        expectApart(first, second, "not consecutive, may be fragmented")
        second.identification -= 1
        #expect(Self.coalesce([first.bytes, second.bytes]).count == 1)
        second.dontFragment = true
        expectApart(first, second, "DF differs")
    }

    @Test func pushFinAndShortSegmentsClose() {
        var first = InnerPacket()
        first.payload = [UInt8](repeating: 1, count: 100)
        for (flags, length) in [(UInt8(0x18), 100), (0x11, 100), (0x10, 99)] {
            var second = first
            second.sequence += 100
            second.identification += 1
            second.flags = flags
            second.payload = [UInt8](repeating: 2, count: length)
            var third = first
            third.sequence += UInt32(100 + length)
            third.identification += 2
            let packets = [first, second, third].map(\.bytes)
            let written = Self.coalesce(packets)
            #expect(written.count == 2)
            #expect(written.flatMap(\.packets) == packets)
        }
    }

    @Test func wrongChecksumsPassUntouched() {
        var packet = InnerPacket()
        packet.payload = [UInt8](repeating: 1, count: 300)
        var segments = packet.segments(of: 100)
        segments[1][40] ^= 1
        let written = Self.coalesce(segments)
        #expect(written.count == 3)
        #expect(written.flatMap(\.packets) == segments)
        segments = packet.segments(of: 100)
        segments[1][11] ^= 1
        #expect(Self.coalesce(segments).flatMap(\.packets) == segments)
    }

    @Test func udpWithoutChecksumOrWithALyingLengthPassesUntouched() {
        var packet = InnerPacket()
        packet.isTCP = false
        packet.payload = [UInt8](repeating: 1, count: 300)
        for (offset, value) in [(24, UInt8(9)), (26, 0)] {
            var segments = packet.segments(of: 100)
            for index in segments.indices {
                segments[index][offset] = value
                if offset == 26 { segments[index][27] = 0 }
            }
            let written = Self.coalesce(segments)
            #expect(written.count == 3)
            #expect(written.flatMap(\.packets) == segments)
        }
        packet.payload = []
        #expect(Self.coalesce([packet.bytes, packet.bytes]).flatMap(\.packets) == [packet.bytes, packet.bytes])
    }

    @Test func fragmentsOptionsAndOtherProtocolsPassInOrder() {
        var packet = InnerPacket()
        packet.payload = [UInt8](repeating: 1, count: 300)
        let segments = packet.segments(of: 100)
        var fragment = packet.bytes
        fragment[6] = 0x20
        let mixed = [segments[0], segments[1], fragment, segments[2]]
        let written = Self.coalesce(mixed)
        #expect(written.flatMap(\.packets) == mixed)
        packet.networkOptions = [1, 1, 1, 1]
        #expect(Self.coalesce(packet.segments(of: 100)).count == 3)
        var icmp = packet.bytes
        icmp[9] = 1
        #expect(Self.coalesce([icmp]).flatMap(\.packets) == [icmp])
    }

    @Test func superPacketsStayBelowTheLimits() {
        var packet = InnerPacket()
        packet.payload = [UInt8](repeating: 1, count: 65_490)
        let large = (packet.segments(of: 1400) + packet.segments(of: 1400)).enumerated().map { index, bytes in
            var bytes = bytes
            bytes[33] &= ~8
            return bytes
        }
        for written in Self.coalesce(large) { #expect(written.bytes.count <= 65_535) }
        packet.payload = [UInt8](repeating: 1, count: Coalescing.pieceLimit * 2 + 1)
        let small = packet.segments(of: 1)
        let written = Self.coalesce(small)
        #expect(written.map(\.packets.count) == [Coalescing.pieceLimit, Coalescing.pieceLimit, 1])
        #expect(written.flatMap(\.packets) == small)
    }

    @Test func withoutCapabilitiesEverythingPassesUntouched() {
        var packet = InnerPacket()
        packet.payload = [UInt8](repeating: 1, count: 300)
        let tcp = packet.segments(of: 100)
        packet.isTCP = false
        let udp = packet.segments(of: 100)
        let written = Self.coalesce(tcp + udp, capabilities: [])
        #expect(written.map(\.bytes) == tcp + udp)
        #expect(written.allSatisfy { !$0.offload.needsChecksum })
        #expect(Self.coalesce(tcp + udp, capabilities: [.checksum, .tcpSegmentation]).count == 4)
        #expect(Self.coalesce(tcp + udp, capabilities: [.checksum, .udpSegmentation]).count == 4)
    }

    @Test func randomGarbageNeverTraps() {
        var generator = SeededGenerator(seed: 6)
        var packets: [[UInt8]] = []
        for _ in 0..<3000 {
            var packet = InnerPacket.random(using: &generator)
            packet.payload = InnerPacket.randomBytes(.random(in: 0...200, using: &generator), using: &generator)
            var bytes = packet.bytes
            for _ in 0..<Int.random(in: 0...3, using: &generator) {
                bytes[.random(in: 0..<min(bytes.count, 64), using: &generator)] = UInt8(
                    truncatingIfNeeded: generator.next())
            }
            let memory = PacketMemory(bytes)
            guard let header = memory.packet.ipHeader else { continue }
            packets.append(Array(bytes.prefix(header.totalLength)))
        }
        #expect(Self.coalesce(packets).flatMap(\.packets).count == packets.count)
    }
}
