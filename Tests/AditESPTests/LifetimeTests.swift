// SPDX-License-Identifier: Apache-2.0
// Adit: AditESPTests

import AditCrypto
import AditWire
import Testing

@testable import AditESP

/// RFC 4303 §3.3.3, RFC 4301 §4.4.2.1: numbers and bytes end.
@Suite struct LifetimeTests {
    private let packet = InnerPacket.udp(from: "10.1.0.1", to: "10.2.0.1", length: 100)
    private let spi = SPI(rawValue: 0x1000)

    /// Puts the counter where a long life would have brought it.
    private func advance(_ gateway: TestGateway, to sequence: UInt64) throws {
        let sa = try gateway.outbound(packet)
        sa.pointee.lanes.sequence.pointee.store(sequence, ordering: .relaxed)
    }

    @Test func withoutESNTheLastNumberIsTheLast() throws {
        let gateway = try TestGateway(.sample())
        let sa = try gateway.outbound(packet)
        try advance(gateway, to: UInt64(UInt32.max) - 3)
        #expect(sa.pointee.reserve(10, bytes: 0, reader: gateway.reader) == SequenceBlock(first: 0xffff_fffd, count: 3))
        #expect(sa.pointee.reserve(1, bytes: 0, reader: gateway.reader).count == 0)
        #expect(sa.pointee.reserve(1, bytes: 0, reader: gateway.reader).count == 0, "and stays so")
        #expect(try gateway.seal(packet) == nil)
        #expect(gateway.hints() == [.lifetimeReached(inboundSPI: spi)])
    }

    @Test func withESNNumbersGoOn() throws {
        let gateway = try TestGateway(.sample(esn: true))
        let sa = try gateway.outbound(packet)
        try advance(gateway, to: UInt64(UInt32.max) - 3)
        #expect(
            sa.pointee.reserve(10, bytes: 0, reader: gateway.reader) == SequenceBlock(first: 0xffff_fffd, count: 10))
        #expect(gateway.hints() == [])
        try advance(gateway, to: .max - 3)
        #expect(sa.pointee.reserve(10, bytes: 0, reader: gateway.reader).count == 2)
        #expect(sa.pointee.reserve(10, bytes: 0, reader: gateway.reader).count == 0)
    }

    @Test func numbersStartAtOneAndNeverRepeat() throws {
        let gateway = try TestGateway(.sample(), workers: 2)
        let sa = try gateway.outbound(packet)
        var next: UInt64 = 1
        for count in [1, 5, 0, 64, 3] {
            let block = sa.pointee.reserve(count, bytes: 0, reader: gateway.reader)
            #expect(block.count == count)
            if count > 0 { #expect(block.first == next) }
            next += UInt64(count)
        }
        #expect(sa.pointee.reserve(-1, bytes: -1, reader: gateway.reader).count == 0)
    }

    /// A full sequence space is announced while packets still flow.
    @Test func softLimitWithoutESN() throws {
        let gateway = try TestGateway(.sample())
        try advance(gateway, to: 0xf000_0000 - 2)
        #expect(try gateway.seal(packet) != nil)
        #expect(gateway.hints() == [])
        #expect(try gateway.seal(packet) != nil)
        #expect(gateway.hints() == [.lifetimeReached(inboundSPI: spi)])
        #expect(try gateway.seal(packet) != nil)
        #expect(gateway.hints() == [], "told once")
    }

    @Test func packetLimits() throws {
        var parameters = ChildSAParameters.sample()
        parameters.lifetime.rekeyPackets = 3
        parameters.lifetime.hardPackets = 5
        let here = try TestGateway(parameters)
        let there = try TestGateway(ChildSAParameters.sample().mirrored)
        for number in 1...5 {
            #expect(try there.drop(try #require(try here.seal(packet))) == nil)
            #expect(here.hints() == (number == 3 ? [.lifetimeReached(inboundSPI: spi)] : []))
        }
        #expect(try here.seal(packet) == nil)
    }

    @Test func byteLimits() throws {
        var parameters = ChildSAParameters.sample()
        parameters.lifetime.rekeyBytes = 250
        parameters.lifetime.hardBytes = 400
        let here = try TestGateway(parameters)
        for number in 1...4 {
            #expect(try here.seal(packet) != nil)
            #expect(here.hints() == (number == 3 ? [.lifetimeReached(inboundSPI: spi)] : []))
        }
        #expect(try here.seal(packet) == nil)
    }

    /// Sweet32: nothing but 3DES has a limit of bytes of its own, and that stays far below 2^32 blocks.
    @Test func limitsOfTheSuite() throws {
        let lifetime = ChildSAParameters.sample(suite: .tripleDESCBC(.hmacMD5_96)).lifetime
        #expect(lifetime.rekeyBytes == 1 << 29 && lifetime.hardBytes == 1 << 30)
        for suite in CipherSuite.all where suite.blockLength != 8 { #expect(SALifetime(suite) == SALifetime()) }

        let here = try TestGateway(.sample(suite: .tripleDESCBC(.hmacMD5_96)))
        let sa = try here.outbound(packet)
        func reserve(_ bytes: Int) -> Int { sa.pointee.reserve(1, bytes: bytes, reader: here.reader).count }
        #expect(reserve(1 << 29 - 1) == 1 && here.hints() == [])
        #expect(reserve(1) == 1 && here.hints() == [.lifetimeReached(inboundSPI: spi)])
        #expect(reserve(1 << 29) == 1 && reserve(1) == 0, "2^30 bytes and no more")
    }

    @Test func limitsOnWhatArrives() throws {
        let here = try TestGateway(.sample())
        var parameters = ChildSAParameters.sample().mirrored
        parameters.lifetime.rekeyPackets = 2
        parameters.lifetime.hardBytes = 350
        let there = try TestGateway(parameters)
        let activity = SAHint.inboundActivity(inboundSPI: parameters.inboundSPI)
        let soft = SAHint.lifetimeReached(inboundSPI: parameters.inboundSPI)
        for (wanted, hints) in [(nil, [activity]), (nil, [activity, soft]), (nil, [activity])]
            as [(DropReason?, [SAHint])]
        {
            #expect(try there.drop(try #require(try here.seal(packet))) == wanted)
            #expect(there.hints() == hints)
        }
        #expect(try there.drop(try #require(try here.seal(packet))) == .sequenceExhausted)
        #expect(there.table.counters(inboundSPI: parameters.inboundSPI)?.bytesIn == 300)
    }

    /// One hint for each SA and drain, and only for authenticated packets.
    @Test func activity() throws {
        let here = try TestGateway(.sample())
        let there = try TestGateway(.sample().mirrored)
        let activity = SAHint.inboundActivity(inboundSPI: there.parameters.inboundSPI)
        for _ in 0..<3 {
            var forged = try #require(try here.seal(packet))
            forged[20] ^= 1
            #expect(try there.drop(forged) == .badICV)
            #expect(there.hints() == [])
            for _ in 0..<5 { #expect(try there.drop(try #require(try here.seal(packet))) == nil) }
            #expect(there.hints() == [activity])
        }
    }

    /// RFC 7296 §2.23: a new address is told once a drain, until control moves the SA.
    @Test func peerMoves() throws {
        let there = try TestGateway(.sample().mirrored)
        let spi = there.parameters.inboundSPI
        let (sa, reader) = try there.inbound()
        let elsewhere = endpoint("198.51.100.7", 61_000)
        ESPOpen.noteRemote(there.parameters.remote, sa: sa, reader: reader)
        #expect(there.hints() == [])
        for _ in 0..<3 { ESPOpen.noteRemote(elsewhere, sa: sa, reader: reader) }
        #expect(there.hints() == [.peerMoved(inboundSPI: spi, to: elsewhere)])
        ESPOpen.noteRemote(elsewhere, sa: sa, reader: reader)
        #expect(there.hints() == [.peerMoved(inboundSPI: spi, to: elsewhere)])
        #expect(there.table.move(inboundSPI: spi, local: there.parameters.local, remote: elsewhere))
        #expect(sa.pointee.path.remote == elsewhere)
        ESPOpen.noteRemote(elsewhere, sa: sa, reader: reader)
        #expect(there.hints() == [])
    }
}
