// SPDX-License-Identifier: Apache-2.0
// Adit: AditCryptoTests

import AditCrypto
import Foundation
import Testing

/// Wycheproof's signatures, the good ones and the forged, malformed and borderline ones.
@Suite(.enabled(if: SharedVectors.present, "\(SharedVectors.absent)"))
struct SignatureVectorTests {
    /// A file, the scheme it is for, and how many cases it has.
    struct File: Sendable, CustomTestStringConvertible {
        var name: String
        var scheme: SignatureScheme
        var count: Int
        var testDescription: String { name }

        init(_ name: String, _ scheme: SignatureScheme, _ count: Int) {
            (self.name, self.scheme, self.count) = (name, scheme, count)
        }
    }

    static let files = [
        File("rsa_signature_2048_sha256", .rsaPKCS1(.sha256), 259),
        File("rsa_signature_2048_sha512", .rsaPKCS1(.sha512), 259),
        File("rsa_signature_3072_sha384", .rsaPKCS1(.sha384), 259),
        File("rsa_pss_2048_sha256_mgf1_32", .rsaPSS(.sha256), 108),
        File("rsa_pss_4096_sha384_mgf1_48", .rsaPSS(.sha384), 141),
        File("ecdsa_secp256r1_sha256", .ecdsa(.sha256), 484),
        File("ecdsa_secp384r1_sha384", .ecdsa(.sha384), 504),
        File("ecdsa_secp521r1_sha512", .ecdsa(.sha512), 542),
        File("ecdsa_secp256r1_sha256_p1363", .ecdsaConcatenated(.sha256), 262),
        File("ecdsa_secp384r1_sha384_p1363", .ecdsaConcatenated(.sha384), 280),
        File("ecdsa_secp521r1_sha512_p1363", .ecdsaConcatenated(.sha512), 318),
        File("ed25519", .ed25519, 151),
    ]

    @Test(arguments: files) func verdictsAreThePublishedOnes(_ file: File) throws {
        let vectors = try Self.load(file.name)
        var seen = 0
        for group in vectors.testGroups {
            let key = try SignaturePublicKey(subjectPublicKeyInfo: hex(group.publicKeyDer))
            for test in group.tests {
                seen += 1
                let valid = key.isValid(hex(test.sig), over: hex(test.msg), file.scheme)
                // "acceptable" is a missing NULL of an algorithm identifier in PKCS#1: either answer is right.
                if test.result != "acceptable" {
                    #expect(valid == (test.result == "valid"), "case \(test.tcId): \(test.comment)")
                }
            }
        }
        #expect(seen == file.count)
    }

    /// Salts of other lengths than the hash's, which an AlgorithmIdentifier may name.
    @Test func pssTakesTheSaltLengthThatIsNamed() throws {
        var seen = 0
        for group in try Self.load("rsa_pss_misc_params").testGroups {
            guard let hash = Self.hashes[group.sha ?? ""], group.mgfSha == group.sha, let salt = group.sLen else {
                continue
            }
            // The keys come with parameters of their own (RFC 4055 §1.2); here they are plain RSA keys.
            let key = try SignaturePublicKey(subjectPublicKeyInfo: Self.rsaKeyInfo(hex(group.publicKeyAsn ?? "")))
            for test in group.tests {
                let signature = hex(test.sig)
                let message = hex(test.msg)
                let scheme = SignatureScheme.rsaPSS(hash, saltLength: salt)
                #expect(key.isValid(signature, over: message, scheme) == (test.result == "valid"), "case \(test.tcId)")
                #expect(!key.isValid(signature, over: message, .rsaPSS(hash, saltLength: salt + 1)))
                seen += 1
            }
        }
        #expect(seen > 10)
    }

    private static func load(_ name: String) throws -> File.Content {
        try JSONDecoder().decode(File.Content.self, from: SharedVectors.data("wycheproof/\(name)_test.json"))
    }

    /// SubjectPublicKeyInfo of an RSAPublicKey of 256 to 65,000 bytes (RFC 3279 §2.3.1).
    private static func rsaKeyInfo(_ key: [UInt8]) -> [UInt8] {
        let long = { (count: Int) in [0x82, UInt8(count >> 8), UInt8(count & 0xff)] }
        let bits = [0x03] + long(key.count + 1) + [0] + key
        let algorithm = hex("300d06092a864886f70d0101010500")
        return [0x30] + long(algorithm.count + bits.count) + algorithm + bits
    }

    private static let hashes: [String: HashAlgorithm] = [
        "SHA-1": .sha1, "SHA-256": .sha256, "SHA-384": .sha384, "SHA-512": .sha512,
    ]
}

extension SignatureVectorTests.File {
    /// The parts of Wycheproof's schemas for signatures that these tests read.
    struct Content: Decodable {
        var testGroups: [Group]

        struct Group: Decodable {
            var publicKeyDer: String
            var publicKeyAsn: String?
            var sha: String?
            var mgfSha: String?
            var sLen: Int?
            var tests: [Case]
        }

        struct Case: Decodable {
            var tcId: Int
            var comment: String
            var msg: String
            var sig: String
            var result: String
        }
    }
}
