// SPDX-License-Identifier: Apache-2.0
// Adit: AditControlTests

import AditCrypto
import AditESP
import AditWire
import Foundation
import Testing

@testable import AditControl
@testable import AditIKE

/// Wireshark's tables; that Wireshark reads them is shown on real packets (Interop/test_key_log.py).
@Suite struct KeyLogTests {
    private func secret(_ first: UInt8, _ count: Int) -> SecretBytes {
        SecretBytes((0..<count).map { first &+ UInt8($0) })
    }

    private func disclosure(_ suite: CipherSuite) -> IKEKeyDisclosure {
        let (encryption, integrity) = (suite.encryptionKeyLength, suite.integrityKeyLength)
        return IKEKeyDisclosure(
            initiatorSPI: IKESPI(rawValue: 0x0102_0304_0506_0708), responderSPI: IKESPI(rawValue: 0xff), suite: suite,
            keys: IKESAKeys(
                skD: secret(0, 32), skAi: secret(0xa0, integrity), skAr: secret(0xb0, integrity),
                skEi: secret(0x10, encryption), skEr: secret(0x20, encryption), skPi: secret(0, 32),
                skPr: secret(0, 32)))
    }

    private func child(_ suite: CipherSuite) -> ChildSAInstallation {
        let selectors = [TrafficSelector("10.1.0.0/16")].compactMap { $0 }
        let length = suite.encryptionKeyLength + suite.integrityKeyLength
        return ChildSAInstallation(
            connection: "hq", child: "hq", inboundSPI: SPI(rawValue: 0xc1a2_b3c4), outboundSPI: SPI(rawValue: 0xd0d0),
            suite: suite, esn: true, inboundKey: secret(0x10, length), outboundKey: secret(0x60, length),
            localSelectors: selectors, remoteSelectors: selectors,
            local: Endpoint(IPAddress(v4: 1), port: 4500), remote: Endpoint(IPAddress(v4: 2), port: 4500),
            replaces: nil, outboundActive: true,
            configuration: ChildConfiguration(name: "hq", localSelectors: selectors, remoteSelectors: selectors))
    }

    @Test func anIKESAIsOneLine() {
        #expect(
            KeyLog.line(disclosure(.aesGCM16(.bits128)))
                == "0102030405060708,00000000000000ff,101112131415161718191a1b1c1d1e1f20212223,"
                + "202122232425262728292a2b2c2d2e2f30313233,\"AES-GCM-128 with 16 octet ICV [RFC5282]\",,,"
                + "\"NONE [RFC4306]\"\n")
        let fields = KeyLog.line(disclosure(.aesCBC(.bits256, .hmacSHA384_192))).split(
            separator: ",", omittingEmptySubsequences: false)
        #expect(fields.count == 8 && fields[2].count == 64 && fields[5].count == 96 && fields[6].hasPrefix("b0b1"))
        #expect(fields[4] == "\"AES-CBC-256 [RFC3602]\"" && fields[7] == "\"HMAC_SHA2_384_192 [RFC4868]\"\n")
        let legacy = KeyLog.line(disclosure(.tripleDESCBC(.hmacMD5_96))).split(
            separator: ",", omittingEmptySubsequences: false)
        #expect(legacy.count == 8 && legacy[2].count == 48 && legacy[5].count == 32)
        #expect(legacy[4] == "\"3DES [RFC2451]\"" && legacy[7] == "\"HMAC_MD5_96 [RFC2403]\"\n")
    }

    @Test func aChildIsALineForEachDirectionAndFamily() {
        let lines = KeyLog.lines(child(.aesCBC(.bits128, .hmacSHA1_96))).split(separator: "\n")
        #expect(lines.count == 4)
        #expect(
            String(lines.first ?? "")
                == "\"IPv4\",\"*\",\"*\",\"0xc1a2b3c4\",\"AES-CBC [RFC3602]\",\"0x101112131415161718191a1b1c1d1e1f\","
                + "\"HMAC-SHA-1-96 [RFC2404]\",\"0x202122232425262728292a2b2c2d2e2f30313233\"")
        #expect(lines.last?.hasPrefix("\"IPv6\",\"*\",\"*\",\"0x0000d0d0\",") == true)
        #expect(KeyLog.lines(child(.aesGCM16(.bits256))).contains(",\"NULL\",\"\"\n"))
        let legacy = KeyLog.lines(child(.tripleDESCBC(.hmacMD5_96)))
        #expect(
            legacy.contains(",\"TripleDES-CBC [RFC2451]\",\"0x1011") && legacy.contains("\"HMAC-MD5-96 [RFC2403]\""))
    }

    /// The limit of bytes of 3DES stands whatever is configured; a smaller one is heeded.
    @Test func whatIsConfiguredLiftsNoLimitOfTheSuite() {
        for (configured, expected) in [(nil, 1 << 29), (1 << 40, 1 << 29), (1000, 1000)] as [(UInt64?, UInt64)] {
            var installation = child(.tripleDESCBC(.hmacSHA1_96))
            installation.configuration.rekeyBytes = configured
            let lifetime = ChildSAParameters(installation, order: 0).lifetime
            #expect(lifetime.rekeyBytes == expected && lifetime.hardBytes == 1 << 30)
            installation.suite = .aesGCM16(.bits128)
            #expect(ChildSAParameters(installation, order: 0).lifetime.rekeyBytes == configured ?? .max)
        }
    }

    /// Wireshark would refuse the whole table because of a name that it does not know.
    @Test func whatWiresharkDoesNotKnowIsARemark() {
        #expect(KeyLog.line(disclosure(.chaCha20Poly1305)).hasPrefix("# 0102030405060708,"))
        #expect(KeyLog.lines(child(.chaCha20Poly1305)).split(separator: "\n").allSatisfy { $0.hasPrefix("# ") })
    }

    @Test func bothTablesAreWritten() throws {
        let folder = NSTemporaryDirectory() + "adit-keylog-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let log = try KeyLog(directory: folder)
        #expect(log.add(disclosure(.aesGCM16(.bits128))) && log.add(child(.aesGCM16(.bits128))))
        let ike = try String(contentsOfFile: "\(folder)/ikev2_decryption_table", encoding: .utf8)
        let esp = try String(contentsOfFile: "\(folder)/esp_sa", encoding: .utf8)
        #expect(ike.split(separator: "\n").count == 1 && esp.split(separator: "\n").count == 4)
    }

    @Test func nobodyCanFillTheDisk() throws {
        let folder = NSTemporaryDirectory() + "adit-keylog-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let one = KeyLog.line(disclosure(.aesGCM16(.bits128))).utf8.count
        for expected in [[true, true, false], [false]] {
            // What was there before counts.
            let log = try KeyLog(directory: folder, limit: 2 * one)
            #expect(expected.map { _ in log.add(disclosure(.aesGCM16(.bits128))) } == expected)
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/ikev2_decryption_table")).count == 2 * one)
    }
}
