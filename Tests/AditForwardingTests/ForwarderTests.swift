// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

import AditCrypto
import AditESP
import AditLinux
import AditWire
import Testing

@testable import AditForwarding

@Suite(.serialized) struct ForwarderTests {
    typealias Packet = MemoryDevice.Packet

    /// Gateways A and B joined; what A sends goes through `wire`.
    static func pair(
        suite: CipherSuite = .aesGCM16(.bits128), mtu: Int = 1438, deviceB: MemoryDevice? = nil,
        wire: @escaping @Sendable (MemoryTransport.Run) -> [MemoryTransport.Run] = { [$0] }
    ) throws -> (a: TestGateway, b: TestGateway) {
        let transportB = try MemoryTransport(local: TestSA.endpointB)
        let a = try TestGateway(
            transport: MemoryTransport(local: TestSA.endpointA, peer: transportB, wire: wire))
        let b = try TestGateway(device: deviceB, transport: transportB)
        try a.table.install(TestSA.parameters(isA: true, suite: suite))
        try b.table.install(TestSA.parameters(isA: false, suite: suite))
        try a.start(mtu: mtu)
        try b.start(mtu: mtu)
        return (a, b)
    }

    /// From gateway A's side to B's.
    static func packet(isTCP: Bool = true, isIPv6: Bool = false, payload: Int) -> InnerPacket {
        var packet = InnerPacket()
        packet.isTCP = isTCP
        packet.isIPv6 = isIPv6
        packet.payload = (0..<payload).map { UInt8(truncatingIfNeeded: $0) }
        return packet
    }

    /// What was written to the device, split as the kernel would; waits for `count` packets, as a packet is counted
    /// before it is written.
    static func received(_ gateway: TestGateway, count: Int) -> [[UInt8]] {
        var packets: [[UInt8]] = []
        _ = TestGateway.eventually {
            packets += gateway.device.fromWorker.take(100_000).flatMap {
                CoalescingTests.Written(bytes: $0.bytes, offload: $0.offload).packets
            }
            return packets.count >= count
        }
        return packets
    }

    @Test(arguments: [
        CipherSuite.aesGCM16(.bits128), .aesGCM16(.bits256), .chaCha20Poly1305, .aesCBC(.bits128, .hmacSHA1_96),
        .aesCBC(.bits256, .hmacSHA512_256),
    ])
    func packetsOfEveryKindArrive(_ suite: CipherSuite) throws {
        let (a, b) = try Self.pair(suite: suite)
        var expected: [[UInt8]] = []
        var input: [Packet] = []
        for isIPv6 in [false, true] {
            for length in [0, 1, 2, 3, 1300] {
                let udp = Self.packet(isTCP: false, isIPv6: isIPv6, payload: length)
                input.append(Packet(bytes: udp.bytes))
                expected.append(udp.bytes)
            }
            let tcp = Self.packet(isIPv6: isIPv6, payload: 50_000)
            input.append(Packet(bytes: tcp.bytes, offload: SegmentationTests.offload(tcp, size: 1300)))
            expected += tcp.segments(of: 1300)
        }
        a.device.toWorker.put(input)
        let received = Self.received(b, count: expected.count)
        // Order holds within a flow; flows here differ by family and protocol.
        #expect(Set(received) == Set(expected) && received.count == expected.count)
        #expect(b.counters.packetsIn == UInt64(expected.count))
        #expect(a.counters.drops.isEmpty && b.counters.drops.isEmpty)
        #expect(a.counters.packetsOut == UInt64(expected.count))
        #expect(a.counters.bytesOut == b.counters.bytesIn)
    }

    /// What is lost of a received run's end, in bytes, and what that costs its third datagram.
    @Test(arguments: [
        (1, DropReason.badICV), (1300, .badICV), (1303, .truncated), (1328, .truncated), (1332, .truncated),
        (1334, .malformed), (1335, .malformed),
    ])
    func aRunThatWasCutOffGivesWhatIsWhole(_ cut: Int, _ reason: DropReason) throws {
        let (a, b) = try Self.pair { run in
            var short = run
            short.bytes.removeLast(cut)
            return [short]
        }
        let tcp = Self.packet(payload: 3 * 1262)
        a.device.toWorker.put([Packet(bytes: tcp.bytes, offload: SegmentationTests.offload(tcp, size: 1262))])
        let whole = Array(tcp.segments(of: 1262).prefix(2))
        #expect(Self.received(b, count: whole.count) == whole)
        #expect(b.counters.drops == [reason: 1])
    }

    @Test func jumboPacketsPassATunnelThatLarge() throws {
        let (a, b) = try Self.pair(mtu: 8938)
        let udp = Self.packet(isTCP: false, payload: 8910)
        let tcp = Self.packet(payload: 60_000)
        let tooLarge = Self.packet(isTCP: false, payload: 8911)
        a.device.toWorker.put([
            Packet(bytes: udp.bytes), Packet(bytes: tcp.bytes, offload: SegmentationTests.offload(tcp, size: 8898)),
            Packet(bytes: tooLarge.bytes),
        ])
        let expected = [udp.bytes] + tcp.segments(of: 8898)
        #expect(Set(Self.received(b, count: expected.count)) == Set(expected))
        #expect(TestGateway.eventually { a.counters.drops == [.tooBig: 1] })
        #expect(b.counters.drops.isEmpty)
    }

    @Test func aSuperPacketLeavesInLargeRunsAndArrivesAsOne() throws {
        let (a, b) = try Self.pair()
        let tcp = Self.packet(payload: 40 * 1398)
        a.device.toWorker.put([Packet(bytes: tcp.bytes, offload: SegmentationTests.offload(tcp, size: 1398))])
        #expect(TestGateway.eventually { b.counters.deviceWrites > 0 })
        #expect(a.counters.runsSent == 1)
        #expect(b.counters.deviceWrites == 1)
        #expect(Self.received(b, count: tcp.segments(of: 1398).count) == tcp.segments(of: 1398))
    }

    @Test func theEndOfASuperPacketSharesTheSend() throws {
        let (a, b) = try Self.pair()
        let tcp = Self.packet(payload: 3 * 1398 + 10)
        a.device.toWorker.put([Packet(bytes: tcp.bytes, offload: SegmentationTests.offload(tcp, size: 1398))])
        #expect(TestGateway.eventually { b.counters.packetsIn == 4 })
        #expect(a.counters.runsSent == 1)
        #expect(Self.received(b, count: tcp.segments(of: 1398).count) == tcp.segments(of: 1398))
    }

    @Test func smallPacketsOfManyFlowsShareRunsAndLeaveInSequenceOrder() throws {
        let peer = try MemoryTransport(local: TestSA.endpointB)
        let a = try TestGateway(transport: MemoryTransport(local: TestSA.endpointA, peer: peer))
        try a.table.install(TestSA.parameters(isA: true))
        // All at once, so that one turn sees them.
        a.device.toWorker.put(
            (0..<60).map { number in
                var packet = Self.packet(isTCP: false, payload: number % 3 == 0 ? 1200 : 64)
                packet.sourcePort = UInt16(1000 + number % 7)
                packet.identification = UInt16(number)
                return Packet(bytes: packet.bytes)
            })
        try a.start()
        #expect(TestGateway.eventually { a.counters.packetsOut == 60 })
        let datagrams = peer.arriving.take(1000).flatMap(\.datagrams)
        let sequences = datagrams.map { InnerPacketReader.uint32($0, 4) }
        #expect(sequences == Array(1...60))
        #expect(a.counters.runsSent < 25)
    }

    @Test func flowsKeepTheirOrder() throws {
        let (a, b) = try Self.pair()
        var generator = SeededGenerator(seed: 11)
        var flows: [UInt16: [[UInt8]]] = [:]
        var input: [Packet] = []
        for number in 0..<3000 {
            var packet = Self.packet(isTCP: false, payload: [64, 65, 200, 600, 1300].randomElement(using: &generator)!)
            packet.sourcePort = UInt16.random(in: 1000..<1040, using: &generator)
            packet.dontFragment = false
            packet.identification = UInt16(number)
            flows[packet.sourcePort, default: []].append(packet.bytes)
            input.append(Packet(bytes: packet.bytes))
        }
        a.device.toWorker.put(input)
        #expect(TestGateway.eventually { b.counters.packetsIn == 3000 })
        var arrived: [UInt16: [[UInt8]]] = [:]
        for packet in Self.received(b, count: 3000) {
            arrived[InnerPacketReader.uint16(packet, 20), default: []].append(packet)
        }
        #expect(arrived == flows)
    }

    @Test func lossesAreCountedByReason() throws {
        let (a, b) = try Self.pair { run in
            var altered = run
            altered.bytes[run.bytes.count - 1] ^= 1
            return [run, run, altered]
        }
        let packet = Self.packet(payload: 10)
        var stranger = packet
        stranger.destination = 9
        var bytes = packet.bytes
        bytes[2] = 0xff
        var lying = SegmentationTests.offload(packet, size: 0)
        lying.segmentSize = 0
        a.device.toWorker.put([
            Packet(bytes: packet.bytes), Packet(bytes: stranger.bytes), Packet(bytes: bytes),
            Packet(bytes: packet.bytes, offload: lying),
        ])
        b.transport.arriving.put([
            MemoryTransport.Run(bytes: [0, 0, 1, 1, 0, 0, 0, 1, 5], segmentSize: 9, remote: TestSA.endpointA),
            MemoryTransport.Run(bytes: [0, 0, 0x20, 0, 0, 0, 0, 9], segmentSize: 8, remote: TestSA.endpointA),
            MemoryTransport.Run(bytes: [1, 2], segmentSize: 2, remote: TestSA.endpointA),
            MemoryTransport.Run(bytes: [0xff], segmentSize: 1, remote: TestSA.endpointA),
        ])
        #expect(TestGateway.eventually { b.counters.packetsIn == 1 && b.counters.runsReceived == 7 })
        #expect(a.counters.drops == [.noPolicy: 1, .malformed: 1, .badOffload: 1])
        // A copy is a replay whatever its ICV: the number is looked at first (RFC 4303 §3.4.3).
        #expect(b.counters.drops == [.replayed: 2, .unknownSPI: 1, .truncated: 1, .malformed: 1])
    }

    @Test func aDeviceThatRefusesIsCounted() throws {
        let (a, b) = try Self.pair(deviceB: try MemoryDevice(refusesWrites: true))
        a.device.toWorker.put([Packet(bytes: Self.packet(payload: 10).bytes)])
        #expect(TestGateway.eventually { b.counters.drops == [.deviceFull: 1] })
    }

    /// As a TUN queue whose interface was removed: a read fails, and the descriptor always wants to be read.
    @Test func aDeviceThatIsGoneIsToldOfOnceAndLeftAlone() throws {
        let device = try MemoryDevice(readError: 77)
        let a = try TestGateway(device: device, transport: MemoryTransport(local: TestSA.endpointA))
        device.toWorker.put([Packet(bytes: [0])])
        try a.start()
        var hints: [ForwardingHint] = []
        let isTold = TestGateway.eventually {
            a.mailbox.drain(datagram: { _, _, _ in }, hint: { hints += [ForwardingHint($0)].compactMap { $0 } })
            return !hints.isEmpty
        }
        #expect(isTold)
        let reads = device.reads.load(ordering: .relaxed)
        // The worker goes on with what its peers send.
        a.transport.arriving.put([MemoryTransport.Run(bytes: [1, 2], segmentSize: 2, remote: TestSA.endpointB)])
        #expect(TestGateway.eventually { a.counters.drops == [.malformed: 1] })
        a.mailbox.drain(datagram: { _, _, _ in }, hint: { hints += [ForwardingHint($0)].compactMap { $0 } })
        #expect(hints == [.deviceFailed(code: 77)])
        #expect(device.reads.load(ordering: .relaxed) == reads)
    }

    @Test func whatCannotBeReadIsCounted() throws {
        let (a, b) = try Self.pair()
        a.device.toWorker.put([Packet(bytes: []), Packet(bytes: Self.packet(payload: 10).bytes), Packet(bytes: [])])
        b.transport.arriving.put([MemoryTransport.Run(bytes: [], segmentSize: 1, remote: TestSA.endpointA)])
        #expect(TestGateway.eventually { b.counters.packetsIn == 1 && b.counters.drops == [.malformed: 1] })
        #expect(TestGateway.eventually { a.counters.drops == [.malformed: 2] })
    }

    @Test func ikeThatTheMailboxDoesNotTakeIsCounted() throws {
        let b = try TestGateway(transport: MemoryTransport(local: TestSA.endpointB))
        try b.start()
        let message = [UInt8](repeating: 0, count: 4) + [UInt8](repeating: 7, count: 40_000)
        let count = 20
        b.transport.arriving.put(
            (0..<count).map { _ in
                MemoryTransport.Run(bytes: message, segmentSize: message.count, remote: TestSA.endpointA)
            })
        #expect(TestGateway.eventually { b.counters.runsReceived == UInt64(count) && b.counters.mailboxFull > 0 })
        b.forwarder?.stop()
        var taken = 0
        b.mailbox.drain(datagram: { _, _, _ in taken += 1 }, hint: { _ in })
        #expect(b.counters.drops == [.queueFull: UInt64(count - taken)])
    }

    /// Two IKE SAs of one peer: its kernel, or ours, joins their datagrams into one run.
    @Test func aRunOfTwoSAsIsOpened() throws {
        let sent = try TestQueue<MemoryTransport.Run>()
        let (a, b) = try Self.pair { run in
            sent.put([run])
            return []
        }
        var other = TestSA.parameters(isA: true)
        (other.inboundSPI, other.outboundSPI) = (SPI(rawValue: 0x3000), SPI(rawValue: 0x4000))
        let numbers = 0..<4
        for number in numbers {
            // What is sent from now on is the newer SA's.
            if number == 2 { try a.table.install(other) }
            var packet = Self.packet(payload: 10)
            packet.identification = UInt16(number)
            a.device.toWorker.put([Packet(bytes: packet.bytes)])
            #expect(TestGateway.eventually { sent.count == number + 1 })
        }
        (other.inboundSPI, other.outboundSPI) = (other.outboundSPI, other.inboundSPI)
        (other.inboundKey, other.outboundKey) = (other.outboundKey, other.inboundKey)
        (other.localSelectors, other.remoteSelectors) = (other.remoteSelectors, other.localSelectors)
        (other.local, other.remote) = (other.remote, other.local)
        try b.table.install(other)
        let runs = sent.take(numbers.count)
        #expect(Set(runs.map { $0.bytes.prefix(4) }).count == 2)
        var joined = runs[0]
        joined.bytes = [0, 2, 1, 3].flatMap { runs[$0].bytes }
        b.transport.arriving.put([joined])
        #expect(Self.received(b, count: numbers.count).count == numbers.count)
        #expect(b.counters.packetsIn == UInt64(numbers.count) && b.counters.drops.isEmpty)
    }

    @Test func packetsWaitForTheirSA() throws {
        let transportB = try MemoryTransport(local: TestSA.endpointB)
        let a = try TestGateway(transport: MemoryTransport(local: TestSA.endpointA, peer: transportB))
        try a.table.setPolicies([TestSA.policy(isA: true)])
        try a.start()
        let packets = (0..<HoldQueue.policyLimit + 4).map { number in
            var packet = Self.packet(payload: 10)
            packet.identification = UInt16(number)
            return packet.bytes
        }
        a.device.toWorker.put(packets.map { Packet(bytes: $0) })
        #expect(TestGateway.eventually { a.counters.drops == [.noSA: 4] })
        var hints: [ForwardingHint] = []
        a.mailbox.drain(datagram: { _, _, _ in }, hint: { hints += [ForwardingHint($0)].compactMap { $0 } })
        let flow = try #require(
            Self.packet(payload: 10).bytes.withUnsafeBytes { bytes in
                bytes.baseAddress.flatMap { FlowKey($0, available: bytes.count) }
            })
        #expect(hints == [.acquire(policy: 7, packet: flow)])

        let b = try TestGateway(transport: transportB)
        try b.table.install(TestSA.parameters(isA: false))
        try b.start()
        try a.table.install(TestSA.parameters(isA: true))
        a.forwarder?.wake()
        #expect(TestGateway.eventually { b.counters.packetsIn == UInt64(HoldQueue.policyLimit) })
        let released = Self.received(b, count: HoldQueue.policyLimit)
        #expect(released == Array(packets.suffix(HoldQueue.policyLimit)))
    }

    @Test func packetsOfALargeTunnelWaitAndSuperPacketsAreCountedBySegments() throws {
        let transportB = try MemoryTransport(local: TestSA.endpointB)
        let a = try TestGateway(transport: MemoryTransport(local: TestSA.endpointA, peer: transportB))
        try a.table.setPolicies([TestSA.policy(isA: true)])
        try a.start(mtu: 8938)
        let large = Self.packet(isTCP: false, payload: 8910)
        let tcp = Self.packet(payload: 50_000)
        a.device.toWorker.put([
            Packet(bytes: tcp.bytes, offload: SegmentationTests.offload(tcp, size: 5000)), Packet(bytes: large.bytes),
        ])
        #expect(TestGateway.eventually { a.counters.drops == [.noSA: 10] && a.device.toWorker.count == 0 })
        let b = try TestGateway(transport: transportB)
        try b.table.install(TestSA.parameters(isA: false))
        try b.start(mtu: 8938)
        try a.table.install(TestSA.parameters(isA: true))
        a.forwarder?.wake()
        #expect(Self.received(b, count: 1) == [large.bytes])
        #expect(a.counters.drops == [.noSA: 10])
    }

    @Test func ikeGoesToTheMailboxWithItsAddresses() throws {
        let b = try TestGateway(transport: MemoryTransport(local: TestSA.endpointB))
        try b.start()
        let message = (0..<40).map { UInt8($0) }
        b.transport.arriving.put([
            MemoryTransport.Run(bytes: [0, 0, 0, 0] + message, segmentSize: 44, remote: TestSA.endpointA)
        ])
        var arrived: [([UInt8], Endpoint, Endpoint)] = []
        #expect(
            TestGateway.eventually {
                b.mailbox.drain(datagram: { arrived.append((Array($0), $1, $2)) }, hint: { _ in })
                return !arrived.isEmpty
            })
        #expect(arrived.count == 1 && arrived[0].0 == message)
        #expect(arrived[0].1 == TestSA.endpointB && arrived[0].2 == TestSA.endpointA)
    }

    @Test func aPeerThatMovedAndLivesIsTold() throws {
        let moved = Endpoint(IPAddress(v4: 0xc633_6401), port: 1234)
        let (a, b) = try Self.pair { run in
            var run = run
            run.remote = moved
            return [run]
        }
        a.device.toWorker.put([Packet(bytes: Self.packet(payload: 10).bytes)])
        #expect(TestGateway.eventually { b.counters.packetsIn == 1 })
        var told: [ForwardingHint] = []
        #expect(
            TestGateway.eventually {
                b.mailbox.drain(datagram: { _, _, _ in }, hint: { told += [ForwardingHint($0)].compactMap { $0 } })
                return told.count == 2
            })
        // At once: until then what is sent to the peer is lost.
        #expect(told == [.peerMoved(inboundSPI: TestSA.spiB, to: moved), .firstPacket(inboundSPI: TestSA.spiB)])
        // A peer that goes on moving is followed with the next drain.
        a.device.toWorker.put([Packet(bytes: Self.packet(payload: 10).bytes)])
        var hints: [SAHint] = []
        #expect(
            TestGateway.eventually {
                b.table.drainHints { hints.append($0) }
                return hints.contains(.peerMoved(inboundSPI: TestSA.spiB, to: moved))
            })
    }

    /// RFC 7296 §2.23: neither what is sent again, nor what is older than the newest, nor what is forged moves a peer.
    @Test func repeatedOldAndForgedPacketsMoveNobody() throws {
        let sent = try TestQueue<MemoryTransport.Run>()
        let (a, b) = try Self.pair { run in
            sent.put([run])
            return []
        }
        for count in 1...2 {
            a.device.toWorker.put([Packet(bytes: Self.packet(payload: 10).bytes)])
            #expect(TestGateway.eventually { sent.count == count })
        }
        let runs = sent.take(2)
        b.transport.arriving.put([runs[1]])
        #expect(TestGateway.eventually { b.counters.packetsIn == 1 })
        let elsewhere = Endpoint(IPAddress(v4: 0xc633_6401), port: 1234)
        var (late, repeated) = (runs[0], runs[1])
        late.remote = elsewhere
        repeated.remote = elsewhere
        var forged = repeated
        forged.bytes[forged.bytes.count - 1] ^= 1
        // A number that is new, and an ICV that is not its own.
        forged.bytes[7] = 200
        b.transport.arriving.put([late, repeated, forged])
        #expect(TestGateway.eventually { b.counters.drops == [.replayed: 1, .badICV: 1] && b.counters.packetsIn == 2 })
        var told: [ForwardingHint] = []
        b.mailbox.drain(datagram: { _, _, _ in }, hint: { told += [ForwardingHint($0)].compactMap { $0 } })
        var hints: [SAHint] = []
        b.table.drainHints { hints.append($0) }
        #expect(told == [.firstPacket(inboundSPI: TestSA.spiB)])
        #expect(hints == [.inboundActivity(inboundSPI: TestSA.spiB)])
    }

    @Test func largePacketsAreAnsweredOrFragmented() throws {
        let (a, b) = try Self.pair(mtu: 1300)
        let refused = Self.packet(isTCP: false, payload: 1300)
        let refusedV6 = Self.packet(isTCP: false, isIPv6: true, payload: 1300)
        var fragmented = Self.packet(isTCP: false, payload: 3000)
        fragmented.dontFragment = false
        var superPacket = Self.packet(payload: 8000)
        superPacket.dontFragment = false
        a.device.toWorker.put([
            Packet(bytes: refused.bytes), Packet(bytes: refusedV6.bytes), Packet(bytes: fragmented.bytes),
            Packet(bytes: superPacket.bytes, offload: SegmentationTests.offload(superPacket, size: 4000)),
        ])
        // 3008 bytes of UDP make 3 fragments, two segments of 4020 bytes of TCP 4 each.
        #expect(TestGateway.eventually { b.counters.packetsIn == 11 })
        #expect(a.counters.drops == [.tooBig: 2])
        let answers = a.device.fromWorker.take(10).map(\.bytes)
        #expect(answers.count == 2)
        #expect(answers.map { $0[0] >> 4 } == [4, 6])
        let arrived = Self.received(b, count: 11)
        // Order holds within a flow only.
        let udp = FragmentationTests.reassembled(arrived.filter { $0[9] == 17 }, mtu: 1300)
        let tcpFragments = arrived.filter { $0[9] == 6 }
        #expect(udp.payload == Array(fragmented.bytes[20...]) && !udp.hasMore)
        let segments = superPacket.segments(of: 4000)
        for (index, segment) in segments.enumerated() {
            let tcp = FragmentationTests.reassembled(Array(tcpFragments[index * 4..<index * 4 + 4]), mtu: 1300)
            #expect(tcp.payload == Array(segment[20...]) && !tcp.hasMore)
        }
    }

    @Test func maximumSegmentSizeIsClampedBothWays() throws {
        for (mtuA, mtuB) in [(1438, 1500), (1500, 1438)] {
            let (a, b) = try Self.pair()
            a.forwarder?.mtu = mtuA
            b.forwarder?.mtu = mtuB
            let syn = MSSClampTests.syn(options: [2, 4, 0x05, 0xb4])
            a.device.toWorker.put([Packet(bytes: syn.bytes)])
            #expect(TestGateway.eventually { b.device.fromWorker.count == 1 })
            #expect(Self.received(b, count: 1) == [MSSClampTests.syn(options: [2, 4, 0x05, 0x76]).bytes])
        }
    }

    @Test func stoppingTwiceIsHarmlessAndEndsTheThreads() throws {
        let (a, _) = try Self.pair()
        a.forwarder?.stop()
        a.forwarder?.stop()
        a.device.toWorker.put([Packet(bytes: Self.packet(payload: 10).bytes)])
        #expect(a.counters.packetsOut == 0)
    }
}

/// Integers in network order.
enum InnerPacketReader {
    static func uint16(_ bytes: [UInt8], _ offset: Int) -> UInt16 {
        UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
    }
    static func uint32(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        UInt32(uint16(bytes, offset)) << 16 | UInt32(uint16(bytes, offset + 2))
    }
}
