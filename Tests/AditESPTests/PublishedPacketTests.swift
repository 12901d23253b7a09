// SPDX-License-Identifier: Apache-2.0
// Adit: AditESPTests

import AditCrypto
import AditWire
import Foundation
import Testing

@testable import AditESP

/// Whole packets that others made, through the whole inbound path.
@Suite struct PublishedPacketTests {
    /// RFC 7634 Appendix A.
    @Test func rfc7634() throws {
        let key = hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3")
        let packet = hex(
            """
            0102030400000005101112131415161724039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c614\
            ee8099d528\
            44eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3cbec163fac469b502773f6fb94e664da9165b82829f641\
            e076aaa826\
            6b7fb0f7b11b369907e1ad43
            """)
        let inner = hex(
            """
            45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362708090a0b0c0d0e0f1011121314\
            1516171819\
            1a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637
            """)
        var parameters = ChildSAParameters.sample(
            inbound: 0x0102_0304, suite: .chaCha20Poly1305, local: selectors("192.0.2.5"),
            remote: selectors("198.51.100.5[icmp]"))
        parameters.inboundKey = SecretBytes(key)
        let gateway = try TestGateway(parameters)
        #expect(try gateway.open(packet).inner == inner)
        #expect(try gateway.drop(packet) == .replayed)
    }

    struct McGrew: Decodable {
        struct Case: Decodable {
            var id: Int
            var key: String
            var salt: String?
            var spi: String
            var esn: Bool?
            var sequence: String
            var plaintextWithTrailer: String?
            var packet: String
            var algorithm: String
        }
        var tests: [Case]
    }

    static let vectors: URL = {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../../shared")
        let shared = ProcessInfo.processInfo.environment["ADIT_SHARED"].map { URL(fileURLWithPath: $0) } ?? root
        return shared.appendingPathComponent("vectors/esp/draft-mcgrew-gcm-test-01.json").standardizedFileURL
    }()

    /// draft-mcgrew-gcm-test-01: nine of the packets have extended numbers, whose high half only we know.
    @Test(
        .enabled(
            if: FileManager.default.fileExists(atPath: vectors.path),
            "no shared/vectors beside the repository (set ADIT_SHARED)"))
    func mcGrew() throws {
        let cases = try JSONDecoder().decode(McGrew.self, from: Data(contentsOf: Self.vectors)).tests
        var opened = 0
        for test in cases {
            guard test.algorithm == "AES-GCM-ESP", let plaintext = test.plaintextWithTrailer,
                let length = CipherSuite.AESKeyLength(rawValue: test.key.count * 4),
                let spi = UInt32(test.spi, radix: 16), spi >= 256, let sequence = UInt64(test.sequence, radix: 16)
            else { continue }
            var parameters = ChildSAParameters.sample(
                inbound: spi, suite: .aesGCM16(length), esn: test.esn == true, local: selectors("0.0.0.0/0"),
                remote: selectors("0.0.0.0/0"))
            parameters.inboundKey = SecretBytes(hex(test.key) + hex(test.salt ?? ""))
            let gateway = try TestGateway(parameters)
            let (sa, reader) = try gateway.inbound()
            if sequence > 1 { sa.pointee.window.commit(sequence - 1) }
            var packet = hex(test.packet)
            for index in packet.indices where index % 7 == 0 && !(4..<8).contains(index) {
                var forged = packet
                forged[index] ^= 0x10
                #expect(try gateway.drop(forged) == .badICV, "\(test.id)")
            }
            let verdict = packet.withUnsafeMutableBytes {
                ESPOpen.open($0.baseAddress!, length: $0.count, outerTrafficClass: 0, sa: sa, reader: reader)
            }
            // The draft's next header is 1, which a tunnel refuses, but only after the ICV.
            guard case .drop(.badNextHeader) = verdict else {
                Issue.record("test \(test.id): \(verdict)")
                continue
            }
            #expect(hex(Array(packet[16..<packet.count - 16])) == plaintext, "\(test.id)")
            #expect(sa.pointee.window.top == sequence)
            opened += 1
        }
        #expect(opened == 15, "all but the packet with SPI 0, which names no SA")
    }
}
