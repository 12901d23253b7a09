// SPDX-License-Identifier: Apache-2.0
// Adit: AditESPTests

import AditCrypto
import AditWire
import Testing

@testable import AditESP

/// What is checked after the ICV: trailer, inner header, selectors, ECN.
@Suite struct InnerCheckTests {
    static let suites: [CipherSuite] = [
        .aesGCM16(.bits128), .chaCha20Poly1305, .aesCBC(.bits128, .hmacSHA1_96), .tripleDESCBC(.hmacMD5_96),
    ]

    /// `inner` with padding to the suite's block and a trailer.
    private func text(
        _ inner: [UInt8], _ suite: CipherSuite, nextHeader: UInt8 = 4, extra: Int = 0, padding: [UInt8]? = nil
    ) -> [UInt8] {
        let block = max(4, suite.blockLength)
        let padLength = (block - (inner.count + 2) % block) % block + extra * block
        let pad = padding ?? (0..<padLength).map { UInt8(truncatingIfNeeded: $0 + 1) }
        return inner + pad + [UInt8(truncatingIfNeeded: pad.count), nextHeader]
    }

    private func gateway(_ suite: CipherSuite) throws -> (TestGateway, ChildSAParameters) {
        let sender = ChildSAParameters.sample(suite: suite)
        return (try TestGateway(sender.mirrored), sender)
    }

    private let packet = InnerPacket.udp(from: "10.1.0.1", to: "10.2.0.1", length: 41)

    /// RFC 4303 §2.6: dropped without prejudice, whatever they hold; their numbers count.
    @Test(arguments: suites) func dummyPackets(suite: CipherSuite) throws {
        let (there, sender) = try gateway(suite)
        for (sequence, inner) in [[], [1, 2, 3], [UInt8](repeating: 0xff, count: 1000)].enumerated() {
            let dummy = try crafted(
                text(inner, suite, nextHeader: 59), sender, sequence: UInt64(sequence) + 1, space: UInt8(sequence))
            #expect(try there.drop(dummy) == .dummy)
            #expect(try there.drop(dummy) == .replayed)
        }
        #expect(there.table.counters(inboundSPI: there.parameters.inboundSPI)?.packetsIn == 0)
    }

    /// RFC 4303 §2.4: up to 255 bytes of padding that count from 1.
    @Test(arguments: suites) func padding(suite: CipherSuite) throws {
        let (there, sender) = try gateway(suite)
        let most = 255 / max(4, suite.blockLength) - 1
        let longest = try crafted(text(packet, suite, extra: most), sender, sequence: 1, space: 1)
        #expect(try there.open(longest).inner == packet)
        let zeros = [UInt8](repeating: 0, count: (16 - (packet.count + 2) % 16) % 16)
        let wrong = try crafted(text(packet, suite, padding: zeros), sender, sequence: 2, space: 2)
        #expect(try there.drop(wrong) == .badPadding)
        var lying = text(packet, suite)
        lying[lying.count - 2] = UInt8(lying.count - 1)
        #expect(try there.drop(try crafted(lying, sender, sequence: 3, space: 3)) == .badPadding)
        lying[lying.count - 2] = 255
        #expect(try there.drop(try crafted(lying, sender, sequence: 4, space: 4)) == .badPadding)
    }

    /// RFC 4303 §2.7: bytes after the inner packet are padding for traffic flow confidentiality.
    @Test(arguments: suites, [1, 15, 16, 1000]) func trafficFlowPadding(suite: CipherSuite, count: Int) throws {
        let (there, sender) = try gateway(suite)
        let padded = text(packet + [UInt8](repeating: 0xaa, count: count), suite)
        #expect(try there.open(try crafted(padded, sender, sequence: 1)).inner == packet)
    }

    @Test(arguments: suites) func nextHeaders(suite: CipherSuite) throws {
        let (there, sender) = try gateway(suite)
        for (sequence, nextHeader) in [UInt8(0), 1, 6, 17, 50, 58, 60, 255].enumerated() {
            let sealed = try crafted(
                text(packet, suite, nextHeader: nextHeader), sender, sequence: UInt64(sequence) + 1,
                space: UInt8(sequence))
            #expect(try there.drop(sealed) == .badNextHeader)
        }
        let version = try crafted(text(packet, suite, nextHeader: 41), sender, sequence: 100, space: 100)
        #expect(try there.drop(version) == .malformed, "IPv4 behind the next header of IPv6")
    }

    /// The inner packet is what an authenticated but faulty peer makes of it.
    @Test(arguments: suites) func innerHeadersThatLie(suite: CipherSuite) throws {
        let (there, sender) = try gateway(suite)
        var space: UInt8 = 0
        func reason(_ inner: [UInt8]) throws -> DropReason? {
            space += 1
            return try there.drop(try crafted(text(inner, suite), sender, sequence: UInt64(space), space: space))
        }
        #expect(try reason([]) == .malformed)
        #expect(try reason(Array(packet[..<19])) == .malformed)
        #expect(try reason(Array(packet[..<40])) == .malformed, "shorter than its total length")
        var header = packet
        header[0] = 0x44
        #expect(try reason(header) == .malformed)
        header[0] = 0x4f
        #expect(try reason(header) == .malformed)
    }

    /// RFC 4301 §5.2 step 4: what the peer may send through this SA, both ends, protocol and ports.
    @Test func selectorsOfTheInnerPacket() throws {
        let local = selectors("10.1.0.0/16[udp/1000]", "10.3.0.1-10.3.0.5", "fd01::/32")
        let remote = selectors("10.2.0.0/16[udp]", "10.4.0.0/24[tcp/80-90]", "fd02::1-fd02::5")
        let sender = ChildSAParameters.sample(local: remote, remote: local)
        let there = try TestGateway(sender.mirrored)
        var sequence: UInt64 = 0
        func reason(
            _ source: String, _ destination: String, _ sourcePort: UInt16 = 5, _ destinationPort: UInt16 = 1000,
            _ ipProtocol: UInt8 = 17, fragment: UInt16 = 0
        ) throws -> DropReason? {
            sequence += 1
            let inner = InnerPacket.udp(
                from: source, to: destination, sourcePort: sourcePort, destinationPort: destinationPort,
                ipProtocol: ipProtocol, fragmentOffset: fragment)
            let next: UInt8 = source.contains(":") ? 41 : 4
            let text = text(inner, sender.suite, nextHeader: next)
            return try there.drop(try crafted(text, sender, sequence: sequence, space: UInt8(sequence)))
        }
        #expect(try reason("10.2.0.9", "10.1.0.9") == nil)
        #expect(try reason("10.2.0.9", "10.1.0.9", 5, 1001) == .selectorMismatch)
        #expect(try reason("10.2.0.9", "10.1.0.9", 5, 1000, 6) == .selectorMismatch)
        #expect(try reason("10.5.0.9", "10.1.0.9") == .selectorMismatch)
        #expect(try reason("10.1.0.9", "10.2.0.9") == .selectorMismatch)
        #expect(try reason("10.2.0.9", "10.3.0.1", 5, 7) == nil)
        #expect(try reason("10.2.0.9", "10.3.0.6", 5, 7) == .selectorMismatch)
        #expect(try reason("10.2.0.9", "10.3.0.0", 5, 7) == .selectorMismatch)
        #expect(try reason("10.4.0.9", "10.3.0.5", 80, 7, 6) == nil)
        #expect(try reason("10.4.0.9", "10.3.0.5", 90, 7, 6) == nil)
        #expect(try reason("10.4.0.9", "10.3.0.5", 91, 7, 6) == .selectorMismatch)
        #expect(try reason("10.4.0.9", "10.3.0.5", 79, 7, 6) == .selectorMismatch)
        #expect(try reason("fd02::1", "fd01::1") == nil)
        #expect(try reason("fd02::6", "fd01::1") == .selectorMismatch)
        #expect(try reason("fd02::", "fd01::1") == .selectorMismatch)
        // RFC 4301 §7: a later fragment has no ports to match, but any port covers it.
        #expect(try reason("10.2.0.9", "10.1.0.9", fragment: 1) == .selectorMismatch)
        #expect(try reason("10.2.0.9", "10.3.0.1", fragment: 1) == nil)
        #expect(try reason("10.2.0.9", "10.1.0.9", fragment: 0x2000) == nil)
    }

    /// RFC 4301 §4.4.1.1: OPAQUE covers only what cannot be seen.
    @Test func opaquePorts() throws {
        let there = try TestGateway(
            .sample(local: selectors("10.1.0.0/16[udp/opaque]"), remote: selectors("10.2.0.0/16[udp]")))
        let here = try TestGateway(
            .sample(local: selectors("10.2.0.0/16"), remote: selectors("10.1.0.0/16")).mirroredKeys)
        let whole = InnerPacket.udp(from: "10.2.0.1", to: "10.1.0.1")
        let later = InnerPacket.udp(from: "10.2.0.1", to: "10.1.0.1", fragmentOffset: 9)
        #expect(try there.drop(try #require(try here.seal(whole))) == .selectorMismatch)
        #expect(try there.drop(try #require(try here.seal(later))) == nil)
    }

    /// RFC 6040 §4.1 and RFC 2983 §3: what the outer header gets.
    @Test func outerTrafficClass() throws {
        let packet = InnerPacket.udp(from: "10.1.0.1", to: "10.2.0.1")
        for (dscp, ecn, wanted) in [
            (false, true, UInt8(0x03)), (true, true, 0xbb), (true, false, 0xb8), (false, false, 0),
        ] {
            var parameters = ChildSAParameters.sample()
            parameters.copyDSCP = dscp
            parameters.copyECN = ecn
            let sa = try TestGateway(parameters).keep { try $0.outbound(packet) }
            #expect(sa.value.pointee.outerTrafficClass(inner: 0xbb) == wanted)
        }
    }

    /// RFC 6040 §4.2 through a whole tunnel, IPv4 and IPv6.
    @Test(arguments: [("10.1.0.1", "10.2.0.1"), ("fd01::1", "fd02::1")])
    func congestionReachesTheInnerHeader(source: String, destination: String) throws {
        let here = try TestGateway(.sample())
        let there = try TestGateway(.sample().mirrored)
        for inner in UInt8(0)...3 {
            for outer in UInt8(0)...3 {
                let packet = InnerPacket.udp(from: source, to: destination, trafficClass: 0xb8 | inner)
                let sealed = try #require(try here.seal(packet))
                let wanted = CongestionNotification.decapsulated(inner: inner, outer: outer)
                let (verdict, opened) = try there.open(sealed, outer: 0x28 | outer)
                if let wanted {
                    let marked = InnerPacket.udp(from: source, to: destination, trafficClass: 0xb8 | wanted)
                    #expect(opened == marked)
                } else if case .drop(let reason) = verdict {
                    #expect(reason == .congestion)
                } else {
                    Issue.record("inner \(inner) outer \(outer) was not dropped")
                }
            }
        }
    }
}

extension ChildSAParameters {
    /// The other end's SPIs and keys, but the selectors as they are.
    var mirroredKeys: ChildSAParameters {
        var other = mirrored
        (other.localSelectors, other.remoteSelectors) = (localSelectors, remoteSelectors)
        return other
    }
}

extension TestGateway {
    /// A pointer together with what keeps its memory.
    func keep<Value>(_ body: (TestGateway) throws -> Value) rethrows -> (value: Value, gateway: TestGateway) {
        (try body(self), self)
    }
}
