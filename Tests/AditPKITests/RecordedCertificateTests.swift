// SPDX-License-Identifier: Apache-2.0
// Adit: AditPKITests

import AditCrypto
import AditIKE
import Foundation
import Testing

@testable import AditPKI

/// Certificates that strongSwan's `pki` made, and what happens to them when bytes change.
@Suite(.enabled(if: RecordedCredentials.present, "../shared is absent"))
struct RecordedCertificateTests {
    @Test(arguments: ["ec", "ed", "rsa"], [("i", "i.test"), ("r", "r.test")])
    func theyLeadToTheirAuthority(_ kind: String, _ side: (name: String, identity: String)) throws {
        let leaf = try RecordedCredentials.certificate("\(side.name)-\(kind).crt")
        let validator = try PathValidator(authorities: [RecordedCredentials.certificate("ca.crt")])
        let identity = try #require(Identity(side.identity))
        let key = try validator.validate(chain: [leaf], identity: identity, at: testTime).get()
        #expect(
            key.belongs(
                to: try SignaturePrivateKey(pem: SecretBytes(RecordedCredentials.file("\(side.name)-\(kind).key")))))
        let subject = try #require(Identity("CN=\(side.identity)"))
        #expect((try? validator.validate(chain: [leaf], identity: subject, at: testTime).get()) != nil)
        let other = try #require(Identity(side.identity == "i.test" ? "r.test" : "i.test"))
        #expect((try? validator.validate(chain: [leaf], identity: other, at: testTime).get()) == nil)
        #expect((try? validator.validate(chain: [leaf], identity: identity, at: 4_000_000_000).get()) == nil)
    }

    /// Nothing that a peer can send traps or hangs, and no changed certificate is accepted with another key.
    @Test(arguments: ["i-ec.crt", "i-ed.crt", "i-rsa.crt"]) func changedBytesAreSafe(_ name: String) throws {
        let leaf = try RecordedCredentials.certificate(name)
        let authority = try RecordedCredentials.certificate("ca.crt")
        let validator = try PathValidator(authorities: [authority])
        var generator = Generator(state: 7)
        for _ in 0..<1500 {
            var chain = [leaf, authority]
            for _ in 0...(generator.next() % 3) {
                let item = Int(generator.next() % 2)
                let place = Int(generator.next() % UInt64(max(chain[item].count, 1)))
                guard place < chain[item].count else { continue }
                switch generator.next() % 4 {
                case 0: chain[item][place] = UInt8(truncatingIfNeeded: generator.next())
                case 1: chain[item].removeSubrange(place..<min(place + Int(generator.next() % 9), chain[item].count))
                case 2: chain[item].insert(contentsOf: chain[item].prefix(Int(generator.next() % 9)), at: place)
                default: chain[item] = Array(chain[item].prefix(place))
                }
            }
            let isAccepted =
                (try? validator.validate(chain: chain, identity: .fqdn("i.test"), at: testTime).get()) != nil
            #expect(!isAccepted || chain[0] == leaf)
        }
    }

    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 33
        }
    }
}

/// The certificates and keys of the recorded conversations.
enum RecordedCredentials {
    private static let folder: URL = {
        let shared =
            ProcessInfo.processInfo.environment["ADIT_SHARED"].map { URL(fileURLWithPath: $0) }
            ?? URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../../shared")
            .standardized
        return shared.appendingPathComponent("captures/strongswan/credentials")
    }()

    static let present = FileManager.default.fileExists(atPath: folder.path)

    static func file(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
    }

    static func certificate(_ name: String) throws -> [UInt8] { try PEMFile.certificates(file(name))[0] }
}

@Suite struct PEMFileTests {
    @Test func severalBlocksAndTextBetweenThem() throws {
        let root = try TestAuthority("CN=Root", TestKeys.root)
        let block = try Self.pem(root.certificate)
        let text = "Certificate:\n  Version 3\n" + block + "\n# and a second one\r\n" + block
        #expect(try PEMFile.certificates(Array(text.utf8)) == [root.certificate, root.certificate])
    }

    @Test func whatIsNotThereIsNamed() throws {
        let key = Array(TestKeys.root.utf8)
        #expect(throws: PEMFile.Failure.self) { try PEMFile.certificates([0x30, 0x82, 1, 2]) }
        #expect(throws: PEMFile.Failure.self) { try PEMFile.certificates([]) }
        #expect(throws: PEMFile.Failure(found: "PEM with PRIVATE KEY but no certificate")) {
            try PEMFile.certificates(key)
        }
        #expect(throws: PEMFile.Failure(found: "PEM with PRIVATE KEY but no revocation list")) {
            try PEMFile.revocationLists(key)
        }
        #expect(throws: PEMFile.Failure(found: "PEM with a broken block")) {
            try PEMFile.certificates(Array("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n".utf8))
        }
    }

    static func pem(_ der: [UInt8]) throws -> String {
        let body = Data(der).base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
        return "-----BEGIN CERTIFICATE-----\n\(body)\n-----END CERTIFICATE-----\n"
    }
}
