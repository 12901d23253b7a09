// SPDX-License-Identifier: Apache-2.0
// Adit: AditWireTests

import Testing

@testable import AditWire

/// RFC 791 §3.1, RFC 8200 §3 and §4: what the header says is believed only inside what was received.
@Suite struct IPHeaderTests {
    static let source4 = IPAddress(v4: 0x0a01_0203)
    static let destination4 = IPAddress(v4: 0x0a02_0304)
    static let source6 = IPAddress(v6High: 0xfd01 << 48, low: 7)
    static let destination6 = IPAddress(v6High: 0xfd02 << 48, low: 8)

    static func v4(options: Int = 0, payload: [UInt8], ipProtocol: UInt8 = 17, fragment: UInt16 = 0) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(UInt8(0x45 + options / 4))
        writer.write(UInt8(0xb9))
        writer.write(UInt16(20 + options + payload.count))
        writer.write(UInt16(1))
        writer.write(fragment)
        writer.write(UInt8(64))
        writer.write(ipProtocol)
        writer.write(UInt16(0))
        writer.write(contentsOf: source4.bytes + destination4.bytes)
        writer.write(contentsOf: [UInt8](repeating: 1, count: options))
        return writer.bytes + payload
    }

    /// `extensions`: the number of each extension header and its bytes, whose first is filled in here.
    static func v6(extensions: [(UInt8, [UInt8])] = [], payload: [UInt8], ipProtocol: UInt8 = 17) -> [UInt8] {
        let chain = extensions.map(\.0) + [ipProtocol]
        let body = zip(extensions, chain.dropFirst()).flatMap { [$1] + $0.1.dropFirst() } + payload
        var writer = ByteWriter()
        writer.write(UInt32(6) << 28 | UInt32(0xb9) << 20 | 0x12345)
        writer.write(UInt16(body.count))
        writer.write(chain[0])
        writer.write(UInt8(64))
        writer.write(contentsOf: source6.bytes + destination6.bytes)
        return writer.bytes + body
    }

    static let ports: [UInt8] = [0x03, 0xe8, 0x07, 0xd0, 0, 8, 0, 0]

    /// Parses a copy that ends where it says, so that a sanitizer sees each byte read too many.
    static func parse(_ bytes: [UInt8], available: Int? = nil) -> (IPHeader, FlowKey)? {
        let block = UnsafeMutableRawPointer.allocate(byteCount: max(available ?? bytes.count, 1), alignment: 1)
        defer { block.deallocate() }
        block.copyMemory(from: bytes, byteCount: available ?? bytes.count)
        guard let header = IPHeader(block, available: available ?? bytes.count) else { return nil }
        return (header, FlowKey(header, block))
    }

    @Test(arguments: [0, 4, 40])
    func v4WithOptions(options: Int) throws {
        let packet = Self.v4(options: options, payload: Self.ports)
        let (header, flow) = try #require(Self.parse(packet + [0, 0, 0], available: packet.count + 3))
        #expect(header.family == .v4 && header.baseLength == 20 + options && header.headerLength == 20 + options)
        #expect(header.totalLength == packet.count && header.trafficClass == 0xb9 && header.ipProtocol == 17)
        #expect(header.source == Self.source4 && header.destination == Self.destination4)
        #expect(header.fragment == .whole && !header.dontFragment)
        #expect(flow.source == Self.source4 && flow.destination == Self.destination4 && flow.ipProtocol == 17)
        #expect(flow.sourcePort == 1000 && flow.destinationPort == 2000 && flow.portsVisible && flow.family == .v4)
    }

    @Test func v6WithExtensions() throws {
        let hop: (UInt8, [UInt8]) = (0, [0, 0, 1, 4, 0, 0, 0, 0])
        let routing: (UInt8, [UInt8]) = (43, [0, 1] + [UInt8](repeating: 0, count: 14))
        let options: (UInt8, [UInt8]) = (60, [0, 0, 1, 4, 0, 0, 0, 0])
        for extensions in [[], [hop], [hop, routing], [hop, routing, options]] {
            let packet = Self.v6(extensions: extensions, payload: Self.ports)
            let (header, flow) = try #require(Self.parse(packet))
            let length = extensions.reduce(40) { $0 + $1.1.count }
            #expect(header.family == .v6 && header.baseLength == 40 && header.headerLength == length)
            #expect(header.totalLength == packet.count && header.trafficClass == 0xb9 && header.ipProtocol == 17)
            #expect(header.source == Self.source6 && header.destination == Self.destination6 && header.dontFragment)
            #expect(flow.sourcePort == 1000 && flow.destinationPort == 2000 && flow.portsVisible && flow.family == .v6)
        }
    }

    @Test func extensionHeadersAreLimited() {
        let option: (UInt8, [UInt8]) = (60, [0, 0, 1, 4, 0, 0, 0, 0])
        func packet(_ count: Int) -> [UInt8] {
            Self.v6(extensions: Array(repeating: option, count: count), payload: Self.ports)
        }
        #expect(Self.parse(packet(IPHeader.extensionHeaderLimit - 1)) != nil)
        #expect(Self.parse(packet(IPHeader.extensionHeaderLimit)) == nil)
    }

    /// No length that lies is believed, wherever the packet is cut.
    @Test func truncationIsSeen() {
        let hop: (UInt8, [UInt8]) = (0, [0, 0, 1, 4, 0, 0, 0, 0])
        for packet in [
            Self.v4(options: 8, payload: Self.ports), Self.v6(payload: Self.ports),
            Self.v6(extensions: [hop, (44, [0, 0, 0, 1, 0, 0, 0, 9])], payload: Self.ports),
        ] {
            for count in packet.indices { #expect(Self.parse(Array(packet[..<count])) == nil) }
        }
    }

    @Test func lengthsThatLie() {
        var packet = Self.v4(payload: Self.ports)
        packet[0] = 0x44
        #expect(Self.parse(packet) == nil, "a header of 16 bytes")
        packet[0] = 0x4f
        #expect(Self.parse(packet) == nil, "a header longer than the packet")
        packet[0] = 0x45
        packet[2...3] = [0, 19]
        #expect(Self.parse(packet) == nil, "a total shorter than the header")
        packet[0] = 0x55
        #expect(Self.parse(packet) == nil, "version 5")
        var extended = Self.v6(extensions: [(60, [0, 200, 0, 0, 0, 0, 0, 0])], payload: Self.ports)
        #expect(Self.parse(extended) == nil, "an extension header longer than the packet")
        extended[5] = 0
        #expect(Self.parse(extended) == nil, "an extension header outside of the payload length")
    }

    /// RFC 4301 §7: only a first fragment shows ports.
    @Test func fragments() throws {
        let more = try #require(Self.parse(Self.v4(payload: Self.ports, fragment: 0x2000)))
        #expect(more.0.fragment == .first && more.1.portsVisible && more.1.sourcePort == 1000)
        let later = try #require(Self.parse(Self.v4(payload: Self.ports, fragment: 0x2001)))
        #expect(later.0.fragment == .later && !later.1.portsVisible && later.1.sourcePort == 0)
        let whole = try #require(Self.parse(Self.v4(payload: Self.ports, fragment: 0x4000)))
        #expect(whole.0.fragment == .whole && whole.0.dontFragment)
        let first6 = try #require(
            Self.parse(Self.v6(extensions: [(44, [0, 0, 0, 1, 0, 0, 0, 9])], payload: Self.ports)))
        #expect(first6.0.fragment == .first && first6.1.destinationPort == 2000)
        let later6 = try #require(
            Self.parse(Self.v6(extensions: [(44, [0, 0, 0, 8, 0, 0, 0, 9])], payload: Self.ports)))
        #expect(later6.0.fragment == .later && !later6.1.portsVisible && later6.0.ipProtocol == 17)
        // RFC 6946: an atomic fragment is a whole packet.
        let atomic = try #require(
            Self.parse(Self.v6(extensions: [(44, [0, 0, 0, 0, 0, 0, 0, 9])], payload: Self.ports)))
        #expect(atomic.0.fragment == .whole && atomic.1.portsVisible)
    }

    /// RFC 7296 §3.13.1: ICMP shows type and code, other protocols show nothing.
    @Test func whatPortsAreInOtherProtocols() throws {
        let icmp = try #require(Self.parse(Self.v4(payload: [8, 3, 0, 0, 1, 2, 3, 4], ipProtocol: 1))).1
        #expect(icmp.portsVisible && icmp.sourcePort == 0x0803 && icmp.destinationPort == 0x0803)
        let icmp6 = try #require(Self.parse(Self.v6(payload: [128, 0, 0, 0], ipProtocol: 58))).1
        #expect(icmp6.portsVisible && icmp6.sourcePort == 0x8000)
        let mobility = try #require(Self.parse(Self.v6(payload: [59, 0, 5, 0, 0, 0, 0, 0], ipProtocol: 135))).1
        #expect(mobility.portsVisible && mobility.sourcePort == 0x0500 && mobility.destinationPort == 0x0500)
        let gre = try #require(Self.parse(Self.v4(payload: Self.ports, ipProtocol: 47))).1
        #expect(!gre.portsVisible && gre.sourcePort == 0)
        let cut = try #require(Self.parse(Self.v4(payload: [0x03, 0xe8, 0x07], ipProtocol: 6))).1
        #expect(!cut.portsVisible && cut.sourcePort == 0)
    }

    /// Any bytes: parsed inside their bounds, or refused.
    @Test(arguments: [UInt64(1), 2])
    func anyBytes(seed: UInt64) {
        var state = seed
        func random() -> UInt8 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 40)
        }
        for _ in 0..<30_000 {
            var bytes = (0..<Int(random()) % 100).map { _ in random() }
            if bytes.count > 6 {
                bytes[0] = random() & 1 == 0 ? 0x45 + random() % 3 : 0x60
                bytes[bytes[0] < 0x60 ? 2 : 4] = 0
                bytes[6] = [0, 43, 44, 60, 6, 17, 58][Int(random()) % 7]
            }
            guard let (header, _) = Self.parse(bytes) else { continue }
            #expect(header.totalLength <= bytes.count && header.headerLength <= header.totalLength)
            #expect(header.baseLength <= header.headerLength)
        }
    }

    @Test func keysCompareAndMix() {
        let key = FlowKey(
            source: Self.source4, destination: Self.destination4, ipProtocol: 6, sourcePort: 1, destinationPort: 2)
        let other = FlowKey(
            source: Self.source4, destination: Self.destination4, ipProtocol: 6, sourcePort: 2, destinationPort: 1)
        #expect(key == key && key != other && key.mixed != other.mixed)
        #expect(MemoryLayout<FlowKey>.size == 40)
    }

    @Test func espHeader() throws {
        var bytes = [UInt8](repeating: 0, count: 8)
        let header = ESPHeader(spi: SPI(rawValue: 0x0102_0304), sequence: 0x0506_0708)
        bytes.withUnsafeMutableBytes { header.write(to: $0.baseAddress!) }
        #expect(bytes == [1, 2, 3, 4, 5, 6, 7, 8])
        bytes.withUnsafeBytes {
            #expect(ESPHeader($0.baseAddress!, available: 8) == header)
            #expect(ESPHeader($0.baseAddress!, available: 7) == nil)
        }
    }
}
