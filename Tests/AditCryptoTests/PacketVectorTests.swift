// SPDX-License-Identifier: Apache-2.0
// Adit: AditCryptoTests

import Foundation
import Testing

@testable import AditCrypto

/// Published packets and AEAD cases, laid out as `prefix | IV | text | ICV`: AAD as the prefix, nonce as salt and IV.
@Suite struct PacketVectorTests {
    /// An AEAD case in both directions; a case that must be refused has no text.
    private static func check(
        _ suite: CipherSuite, key: [UInt8], nonce: [UInt8], aad: [UInt8], ciphertext: [UInt8], tag: [UInt8],
        text: [UInt8]?, _ name: String
    ) throws {
        let material = SecretBytes(key + nonce.prefix(4))
        let iv = Array(nonce.dropFirst(4))
        let packet = TestPacket(suite, prefix: aad, iv: iv, text: ciphertext, icv: tag)
        let opener = try PacketOpener(suite: suite, key: material)
        #expect(packet.opened(by: opener) == text, "\(name)")
        guard let text else { return }
        let first = iv.reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        let sealer = try PacketSealer(suite: suite, key: material, firstIV: first)
        let sealed = try TestPacket(suite, prefix: aad, text: text).sealed(by: sealer)
        #expect(sealed == packet, "\(name)")
    }

    private static func gcm(keyLength: Int) -> CipherSuite? {
        CipherSuite.AESKeyLength(rawValue: keyLength * 8).map { .aesGCM16($0) }
    }

    /// draft-mcgrew-gcm-test-01 §4, case 2: an ESP packet of RFC 4106.
    @Test func aPacketOfAESGCM() throws {
        let packet = hex(
            "0000a5f80000000afacedbaddecaf888deb22cd9b07c72c16e3a65beeb8df304a5a5897d33ae530f1ba76d5d114d2a5c3de81827c1"
                + "0e9a4f51330d0eec416642cfbb85a5b47e48a4ec3b9ba95d918bd183b70d3aa8bc6ee4c309e9d85a41ad4a")
        let text = hex(
            "4500003e698f000080114dccc0a80102c0a801010a980035002a2343b2d001000001000000000000037369700963796265726369"
                + "747902646b00000100010001")
        try Self.check(
            .aesGCM16(.bits128), key: hex("feffe9928665731c6d6a8f9467308308"), nonce: hex("cafebabefacedbaddecaf888"),
            aad: Array(packet[0..<8]), ciphertext: Array(packet[16..<packet.count - 16]), tag: packet.suffix(16),
            text: text, "case 2")
    }

    /// RFC 7634 appendices A (an ESP packet) and B (an IKEv2 message, whose AAD is everything before the IV).
    @Test func packetsOfChaCha20Poly1305() throws {
        let key = [UInt8](0x80...0x9f)
        let nonce = hex("a0a1a2a31011121314151617")
        try Self.check(
            .chaCha20Poly1305, key: key, nonce: nonce, aad: hex("0102030400000005"),
            ciphertext: hex(
                "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c614ee8099d52844eb61aa95dfab4c02f7"
                    + "2aa71e7c4c4f64c9befe2facc638e8f3cbec163fac469b502773f6fb94e664da9165b82829f641e0"),
            tag: hex("76aaa8266b7fb0f7b11b369907e1ad43"),
            text: hex(
                "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362708090a0b0c0d0e0f10111213"
                    + "1415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363701020204"), "A")
        try Self.check(
            .chaCha20Poly1305, key: key, nonce: nonce,
            aad: hex("c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029"),
            ciphertext: hex("610394701f8d017f7c12924889"), tag: hex("6b71bfe25236efd7cdc67066906315b2"),
            text: hex("0000000c000040010000000a00"), "B")
    }

    /// The IV is the encrypted counter block: decrypted as one block under a zero IV it shows the counter again.
    @Test(arguments: CipherSuite.AESKeyLength.allCases)
    func theIVOfCBCIsTheEncryptedCounter(_ length: CipherSuite.AESKeyLength) throws {
        let suite = CipherSuite.aesCBC(length, .hmacSHA1_96)
        let sealer = try PacketSealer(suite: suite, key: suite.key(), ivSpace: 0xab)
        let opener = try PacketOpener(suite: suite, key: suite.key())
        for number in 1...3 as ClosedRange<UInt8> {
            let plain = TestPacket(suite, prefix: [], text: arbitraryBytes(48, seed: 1))
            let sealed = try #require(try plain.sealed(by: sealer))
            let zero = [UInt8](repeating: 0, count: 16)
            let counter = Self.cbcPacket(suite, iv: zero, ciphertext: sealed.iv, extended: nil)
            #expect(counter.opened(by: opener) == [0, 0, 0, 0, 0, 0, 0, 0, 0xab, 0, 0, 0, 0, 0, 0, number])
        }
    }

    /// The same with blocks of 8 bytes, which the counter fills.
    @Test func theIVOf3DESIsTheEncryptedCounter() throws {
        let suite = CipherSuite.tripleDESCBC(.hmacMD5_96)
        let sealer = try PacketSealer(suite: suite, key: suite.key(), ivSpace: 0xab)
        let opener = try PacketOpener(suite: suite, key: suite.key())
        for number in 1...3 as ClosedRange<UInt8> {
            let plain = TestPacket(suite, prefix: [], text: arbitraryBytes(48, seed: 1))
            let sealed = try #require(try plain.sealed(by: sealer))
            let counter = Self.cbcPacket(
                suite, iv: [UInt8](repeating: 0, count: 8), ciphertext: sealed.iv, extended: nil)
            #expect(counter.opened(by: opener) == [0xab, 0, 0, 0, 0, 0, 0, number])
        }
    }

    /// NIST's example of TDEA in CBC mode with three keys; `openssl enc -des-ede3-cbc -nopad` says the same.
    @Test func tripleDESOfNIST() throws {
        let suite = CipherSuite.tripleDESCBC(.hmacMD5_96)
        let macKey = arbitraryBytes(16, seed: 1)
        let key = SecretBytes(hex("0123456789abcdef23456789abcdef01456789abcdef0123") + macKey)
        let iv = hex("f69f2445df4f9b17")
        let ciphertext = hex("2079c3d53aa763e193b79e2569ab5262516570481f25b50f73c0bda85c8e0da7")
        let mac = PseudoRandomFunction.hmacMD5(key: SecretBytes(macKey), iv + ciphertext)
        let packet = TestPacket(suite, prefix: [], iv: iv, text: ciphertext, icv: Array(mac.array.prefix(12)))
        #expect(
            packet.opened(by: try PacketOpener(suite: suite, key: key))
                == hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"))
    }

    /// RFC 4303 §2.2.1, RFC 4868: the MAC's input and its truncation, computed with the prf of the same hash function.
    @Test(arguments: CipherSuite.all.filter { !$0.isAEAD })
    func theICVOfCBC(_ suite: CipherSuite) throws {
        let sealer = try PacketSealer(suite: suite, key: suite.key(), ivSpace: 0)
        for extended in [nil, 0x0102_0304] as [UInt32?] {
            for prefixLength in [8, 32] {
                let plain = TestPacket(
                    suite, prefix: arbitraryBytes(prefixLength, seed: 1), text: arbitraryBytes(64, seed: 2),
                    extended: extended)
                let sealed = try #require(try plain.sealed(by: sealer))
                let input = sealed.bytes.dropLast(suite.icvLength) + (extended == nil ? [] : [1, 2, 3, 4])
                #expect(sealed.icv == Self.icv(suite, Array(input)))
            }
        }
    }

    private static func icv(_ suite: CipherSuite, _ input: [UInt8]) -> [UInt8] {
        guard let integrity = suite.integrity else { return [] }
        let prf: PseudoRandomFunction =
            switch integrity {
            case .hmacMD5_96: .hmacMD5
            case .hmacSHA1_96: .hmacSHA1
            case .hmacSHA256_128: .hmacSHA256
            case .hmacSHA384_192: .hmacSHA384
            case .hmacSHA512_256: .hmacSHA512
            }
        let key = suite.key()
        return Array(prf(key: key.slice(suite.encryptionKeyLength..<key.count), input).array.prefix(suite.icvLength))
    }

    private static func cbcPacket(
        _ suite: CipherSuite, prefix: [UInt8] = [], iv: [UInt8], ciphertext: [UInt8], extended: UInt32?
    ) -> TestPacket {
        TestPacket(
            suite, prefix: prefix, iv: iv, text: ciphertext, icv: icv(suite, prefix + iv + ciphertext),
            extended: extended)
    }

    @Test(
        .enabled(if: SharedVectors.present, "\(SharedVectors.absent)"),
        arguments: [
            "gcmDecrypt128.rsp", "gcmDecrypt256.rsp", "gcmEncryptExtIV128.rsp", "gcmEncryptExtIV256.rsp",
        ])
    func gcmOfNIST(_ file: String) throws {
        var (opened, refused) = (0, 0)
        for vector in try SharedVectors.cases("nist/" + file) where vector["Taglen"] == "128" {
            func value(_ name: String) throws -> [UInt8] { hex(try #require(vector[name])) }
            let key = try value("Key")
            let suite = try #require(Self.gcm(keyLength: key.count))
            let text = vector["FAIL"] == nil ? try value("PT") : nil
            try Self.check(
                suite, key: key, nonce: value("IV"), aad: value("AAD"), ciphertext: value("CT"), tag: value("Tag"),
                text: text, "\(file) \(vector["Count"] ?? "")")
            if text == nil { refused += 1 } else { opened += 1 }
        }
        #expect(opened > 50 && (refused > 20 || file.hasPrefix("gcmEncrypt")))
    }

    @Test(
        .enabled(if: SharedVectors.present, "\(SharedVectors.absent)"),
        arguments: ["aes_gcm_test.json", "chacha20_poly1305_test.json"])
    func aeadOfWycheproof(_ file: String) throws {
        var (opened, refused) = (0, 0)
        for group in try SharedVectors.wycheproof(file).testGroups where group.ivSize == 96 && group.tagSize == 128 {
            for test in group.tests {
                let key = hex(test.key ?? "")
                let suite = file.hasPrefix("aes") ? Self.gcm(keyLength: key.count) : .chaCha20Poly1305
                let valid = test.result == "valid"
                try Self.check(
                    try #require(suite), key: key, nonce: hex(test.iv ?? ""), aad: hex(test.aad ?? ""),
                    ciphertext: hex(test.ct ?? ""), tag: hex(test.tag ?? ""), text: valid ? hex(test.msg ?? "") : nil,
                    "\(file) \(test.tcId)")
                if valid { opened += 1 } else { refused += 1 }
            }
        }
        #expect(opened > 50 && refused > 20)
    }

    private struct ESPFile: Decodable {
        var tests: [ESPCase]
    }

    private struct ESPCase: Decodable {
        var id: Int
        var algorithm: String
        var key: String
        var salt: String?
        var iv: String
        var esn: Bool?
        var sequence: String
        var plaintextWithTrailer: String?
        var packet: String
    }

    /// RFC 4106 §5: with extended sequence numbers the high half is in the AAD and not in the packet.
    @Test(.enabled(if: SharedVectors.present, "\(SharedVectors.absent)"))
    func espPacketsOfAESGCM() throws {
        let file = try JSONDecoder().decode(
            ESPFile.self, from: SharedVectors.data("esp/draft-mcgrew-gcm-test-01.json"))
        var (plain, extended) = (0, 0)
        for test in file.tests where test.algorithm == "AES-GCM-ESP" {
            let key = hex(test.key)
            let suite = try #require(Self.gcm(keyLength: key.count))
            let high: UInt32? =
                test.esn == true ? hex(test.sequence).prefix(4).reduce(0 as UInt32) { $0 << 8 | UInt32($1) } : nil
            let bytes = hex(test.packet)
            let packet = TestPacket(
                suite, prefix: Array(bytes[0..<8]), iv: Array(bytes[8..<16]), text: Array(bytes[16..<bytes.count - 16]),
                icv: bytes.suffix(16), extended: high)
            let material = SecretBytes(key + hex(test.salt ?? ""))
            let text = hex(try #require(test.plaintextWithTrailer))
            #expect(packet.opened(by: try PacketOpener(suite: suite, key: material)) == text, "\(test.id)")
            let first = packet.iv.reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
            let sealer = try PacketSealer(suite: suite, key: material, firstIV: first)
            let unsealed = TestPacket(suite, prefix: Array(bytes[0..<8]), text: text, extended: high)
            #expect(try unsealed.sealed(by: sealer) == packet, "\(test.id)")
            if high == nil { plain += 1 } else { extended += 1 }
        }
        #expect(plain == 5 && extended == 11)
    }

    /// NIST's multi-block messages, and the packets of RFC 3602 §4: each with an ICV put to it.
    @Test(.enabled(if: SharedVectors.present, "\(SharedVectors.absent)"))
    func cbcOfNISTAndRFC3602() throws {
        var cases: [(key: [UInt8], iv: [UInt8], text: [UInt8], ciphertext: [UInt8])] = []
        for file in ["pyca/AES_CBC_CBCMMT128.rsp", "pyca/AES_CBC_CBCMMT256.rsp"] {
            for vector in try SharedVectors.cases(file) {
                func value(_ name: String) throws -> [UInt8] { hex(try #require(vector[name])) }
                try cases.append((value("KEY"), value("IV"), value("PLAINTEXT"), value("CIPHERTEXT")))
            }
        }
        #expect(cases.count == 40)
        let file = try JSONDecoder().decode(ESPFile.self, from: SharedVectors.data("esp/rfc3602-aes-cbc.json"))
        for test in file.tests {
            let ciphertext = hex(test.packet).dropFirst(20 + 8 + 16)
            cases.append((hex(test.key), hex(test.iv), hex(test.plaintextWithTrailer ?? ""), Array(ciphertext)))
        }
        #expect(cases.count == 44)
        for test in cases {
            let length = try #require(CipherSuite.AESKeyLength(rawValue: test.key.count * 8))
            let suite = CipherSuite.aesCBC(length, .hmacSHA256_128)
            let integrityKey = suite.key().slice(suite.encryptionKeyLength..<suite.keyLength)
            let packet = Self.cbcPacket(
                suite, prefix: arbitraryBytes(8, seed: 1), iv: test.iv, ciphertext: test.ciphertext, extended: nil)
            let opener = try PacketOpener(suite: suite, key: SecretBytes(test.key) + integrityKey)
            #expect(packet.opened(by: opener) == test.text)
        }
    }
}
