// SPDX-License-Identifier: Apache-2.0
// Adit: Fuzz

import AditCrypto
import AditESP
import AditWire

extension FuzzSubject {
    /// An ESP packet as a peer, or anybody, might send it: sealed around any text, or made of any bytes.
    ///
    /// Byte 0 chooses the suite, byte 1 what is done: bit 0 seals the rest as the text to encrypt (trailer included, so
    /// that a lying peer is covered), else the rest is the packet after its SPI; bit 1 flips a byte afterwards.
    public static let espOpen = FuzzSubject(
        name: "ESPOpen",
        run: { bytes in
            var choices = Choices(bytes)
            let suite = suites[Int(choices.byte()) % suites.count]
            let kind = choices.byte()
            let flip = choices.word()
            let body = choices.bytes(4000)
            guard var packet = kind & 1 == 1 ? seal(body, with: suite) : spiBytes + body, !packet.isEmpty else {
                return
            }
            let flipped = kind & 2 == 2 && packet.count > 4
            if flipped { packet[4 + flip % (packet.count - 4)] ^= 0x55 }
            open(packet, with: suite, mustFail: flipped && kind & 1 == 1)
        },
        seeds: {
            let inner = packet4(ipProtocol: 17, upper: [0x10, 0, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4])
            // Padding 1, 2 (RFC 4303 §2.4), its length and the next header.
            let text = inner + [1, 2, 2, 4]
            return [
                ("sealed_gcm", [0, 1, 0, 0] + text), ("sealed_chacha", [1, 1, 0, 0] + text),
                ("sealed_cbc", [2, 1, 0, 0] + inner + Array(1...14) + [14, 4]),
                ("sealed_3des", [3, 1, 0, 0] + inner + Array(1...6) + [6, 4]),
                ("flipped", [0, 3, 0, 20] + text), ("dummy", [0, 1, 0, 0, 0, 0, 0, 0, 1, 2, 2, 59]),
                ("raw", [0, 0, 0, 0, 0, 0, 0, 1] + text + Array(repeating: 0, count: 24)),
            ]
        })

    private static let suites: [CipherSuite] = [
        .aesGCM16(.bits128), .chaCha20Poly1305, .aesCBC(.bits256, .hmacSHA256_128), .tripleDESCBC(.hmacMD5_96),
    ]
    private static let spi = SPI(rawValue: 0xc0de_0001)
    private static let spiBytes: [UInt8] = [0xc0, 0xde, 0, 1]

    private static func key(_ suite: CipherSuite) -> SecretBytes {
        SecretBytes((0..<suite.encryptionKeyLength + suite.integrityKeyLength).map { UInt8(truncatingIfNeeded: $0) })
    }

    /// An ESP packet with sequence number 1 around `text`, brought to the suite's block length.
    private static func seal(_ text: [UInt8], with suite: CipherSuite) -> [UInt8]? {
        guard let sealer = try? PacketSealer(suite: suite, key: key(suite), ivSpace: 0) else { return nil }
        let text =
            text + Array(repeating: 0, count: (suite.blockLength - text.count % suite.blockLength) % suite.blockLength)
        var packet = spiBytes + [0, 0, 0, 1] + Array(repeating: 0, count: suite.ivLength) + text
        packet += Array(repeating: 0, count: suite.icvLength)
        let sealed = packet.withUnsafeMutableBytes { buffer in
            guard let start = buffer.baseAddress else { return false }
            return sealer.seal(start, prefixLength: 8, textLength: text.count, extended: nil)
        }
        return sealed ? packet : nil
    }

    private static func open(_ packet: [UInt8], with suite: CipherSuite, mustFail: Bool) {
        guard let anywhere = TrafficSelector("0.0.0.0/0"), let endpoint = IPAddress("192.0.2.1") else {
            preconditionFailure("addresses of our own")
        }
        let outer = Endpoint(endpoint, port: 4500)
        let table = SATable(workers: 1, capacity: 16)
        let parameters = ChildSAParameters(
            connection: "fuzz", child: "fuzz", inboundSPI: spi, outboundSPI: SPI(rawValue: 0xc0de_0002), suite: suite,
            inboundKey: key(suite), outboundKey: key(suite), esn: false, localSelectors: [anywhere],
            remoteSelectors: [anywhere], local: outer, remote: outer)
        do { try table.install(parameters) } catch { preconditionFailure("an SA of our own: \(error)") }
        let reader = table.reader(worker: 0)
        reader.leaveIdle()
        guard let sa = reader.inbound(spi) else { preconditionFailure("an installed SA is found") }
        // The exact size, so that a sanitizer sees a read or write past the end.
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: packet.count, alignment: 16)
        defer { memory.deallocate() }
        memory.copyBytes(from: packet)
        guard let start = memory.baseAddress else { return }
        switch ESPOpen.open(start, length: packet.count, outerTrafficClass: 3, sa: sa, reader: reader) {
        case .packet(let opened):
            precondition(!mustFail, "a packet that was changed is refused")
            precondition(opened.offset >= 8 && opened.offset + opened.length <= packet.count, "it lies in the packet")
            guard let header = IPHeader(start + opened.offset, available: opened.length) else {
                preconditionFailure("what is delivered is an IP packet")
            }
            precondition(header.totalLength == opened.length)
            memory.copyBytes(from: packet)
            if case .packet = ESPOpen.open(start, length: packet.count, outerTrafficClass: 0, sa: sa, reader: reader) {
                preconditionFailure("the same packet is delivered once")
            }
        case .drop:
            break
        }
        reader.enterIdle()
    }
}
