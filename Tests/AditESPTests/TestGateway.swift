// SPDX-License-Identifier: Apache-2.0
// Adit: AditESPTests

import AditCrypto
import AditWire
import Testing

@testable import AditESP

extension CipherSuite {
    /// Every suite.
    static let all: [CipherSuite] =
        AESKeyLength.allCases.map { .aesGCM16($0) } + [.chaCha20Poly1305]
        + AESKeyLength.allCases.flatMap { length in Integrity.allCases.map { .aesCBC(length, $0) } }
        + Integrity.allCases.map { .tripleDESCBC($0) }

    /// A key of the right length that depends on `seed`.
    func key(_ seed: UInt64) -> SecretBytes {
        var generator = SeededGenerator(seed: seed)
        return SecretBytes(generator.bytes(encryptionKeyLength + integrityKeyLength))
    }
}

func selectors(_ texts: String...) -> [TrafficSelector] { texts.compactMap { TrafficSelector($0) } }

func endpoint(_ text: String, _ port: UInt16 = 4500) -> Endpoint {
    Endpoint(IPAddress(text) ?? IPAddress(v4: 0), port: port)
}

extension ChildSAParameters {
    /// A pair of SAs for the tests; what differs is set afterwards.
    static func sample(
        inbound: UInt32 = 0x1000, outbound: UInt32 = 0x2000, suite: CipherSuite = .aesGCM16(.bits128),
        esn: Bool = false, local: [TrafficSelector] = selectors("10.1.0.0/16", "fd01::/32"),
        remote: [TrafficSelector] = selectors("10.2.0.0/16", "fd02::/32")
    ) -> ChildSAParameters {
        ChildSAParameters(
            connection: "hq", child: "hq", inboundSPI: SPI(rawValue: inbound), outboundSPI: SPI(rawValue: outbound),
            suite: suite, inboundKey: suite.key(UInt64(inbound)), outboundKey: suite.key(UInt64(outbound)), esn: esn,
            localSelectors: local, remoteSelectors: remote, local: endpoint("192.0.2.1"),
            remote: endpoint("192.0.2.2"))
    }

    /// The other end's parameters.
    var mirrored: ChildSAParameters {
        var other = self
        (other.inboundSPI, other.outboundSPI) = (outboundSPI, inboundSPI)
        (other.inboundKey, other.outboundKey) = (outboundKey, inboundKey)
        (other.localSelectors, other.remoteSelectors) = (remoteSelectors, localSelectors)
        (other.local, other.remote) = (remote, local)
        return other
    }
}

/// One end of a tunnel: a table with one pair of SAs and a reader of each worker, awake.
final class TestGateway {
    let table: SATable
    let readers: [SAReader]
    let parameters: ChildSAParameters

    init(_ parameters: ChildSAParameters, workers: Int = 1) throws {
        self.parameters = parameters
        table = SATable(workers: workers, capacity: 16)
        readers = (0..<workers).map { [table] in table.reader(worker: $0) }
        try table.install(parameters)
        for reader in readers { reader.leaveIdle() }
    }

    var reader: SAReader { readers[0] }

    /// The inbound half and its owner's reader.
    func inbound() throws -> (UnsafeMutablePointer<InboundSA>, SAReader) {
        let owner = readers[table.owner(of: parameters.inboundSPI)]
        return (try #require(owner.inbound(parameters.inboundSPI)), owner)
    }

    /// The SA that policy names for an inner packet.
    func outbound(_ packet: [UInt8], worker: Int = 0) throws -> UnsafeMutablePointer<OutboundSA> {
        let flow = try #require(packet.withUnsafeBytes { FlowKey($0.baseAddress!, available: $0.count) })
        guard case .protect(let sa) = readers[worker].outbound(for: flow) else { throw NotProtected() }
        return sa
    }

    struct NotProtected: Error {}

    /// Seals one packet with the next number, or with one of the caller's; nil where the SA is spent.
    func seal(_ packet: [UInt8], sequence: UInt64? = nil, worker: Int = 0) throws -> [UInt8]? {
        let sa = try outbound(packet, worker: worker)
        let block = sa.pointee.reserve(1, bytes: packet.count, reader: readers[worker])
        guard block.count == 1 else { return nil }
        var room = [UInt8](repeating: 0xee, count: ESPSeal.headRoom + packet.count + ESPSeal.tailRoom + 16)
        room.replaceSubrange(ESPSeal.headRoom..<ESPSeal.headRoom + packet.count, with: packet)
        let start = ESPSeal.headRoom - sa.pointee.headerLength
        let length = room.withUnsafeMutableBytes {
            ESPSeal.seal(
                $0.baseAddress! + ESPSeal.headRoom, length: packet.count, sequence: sequence ?? block.first, sa: sa,
                reader: readers[worker])
        }
        #expect(length == sa.pointee.sealedLength(packet.count))
        #expect(room[..<start].allSatisfy { $0 == 0xee }, "nothing is written before the ESP header")
        #expect(room[(start + length)...].allSatisfy { $0 == 0xee }, "nothing is written after the ICV")
        return Array(room[start..<start + length])
    }

    /// Opens an ESP packet; the verdict and, where there is one, the inner packet.
    func open(_ packet: [UInt8], outer: UInt8 = 0) throws -> (verdict: OpenVerdict, inner: [UInt8]) {
        let (sa, reader) = try inbound()
        var bytes = packet
        let verdict = bytes.withUnsafeMutableBytes {
            ESPOpen.open($0.baseAddress!, length: $0.count, outerTrafficClass: outer, sa: sa, reader: reader)
        }
        guard case .packet(let opened) = verdict else { return (verdict, []) }
        return (verdict, Array(bytes[opened.offset..<opened.offset + opened.length]))
    }

    /// Why `packet` is lost; nil when it is not.
    func drop(_ packet: [UInt8], outer: UInt8 = 0) throws -> DropReason? {
        guard case .drop(let reason) = try open(packet, outer: outer).verdict else { return nil }
        return reason
    }

    /// Every hint that waits.
    func hints() -> [SAHint] {
        var hints: [SAHint] = []
        table.drainHints { hints.append($0) }
        for reader in readers { reader.quiescent() }
        return hints
    }
}

/// Seals a text as it stands, trailer included, for packets that an honest sender does not make.
func crafted(
    _ text: [UInt8], _ parameters: ChildSAParameters, sequence: UInt64, space: UInt8 = 9
) throws -> [UInt8] {
    let suite = parameters.suite
    let sealer = try PacketSealer(suite: suite, key: parameters.outboundKey, ivSpace: space)
    var writer = ByteWriter()
    writer.write(parameters.outboundSPI.rawValue)
    writer.write(UInt32(truncatingIfNeeded: sequence))
    var bytes = writer.bytes + [UInt8](repeating: 0, count: suite.ivLength) + text
    bytes += [UInt8](repeating: 0, count: suite.icvLength)
    let isSealed = bytes.withUnsafeMutableBytes {
        sealer.seal(
            $0.baseAddress!, prefixLength: 8, textLength: text.count,
            extended: parameters.esn ? UInt32(truncatingIfNeeded: sequence >> 32) : nil)
    }
    #expect(isSealed)
    return bytes
}
