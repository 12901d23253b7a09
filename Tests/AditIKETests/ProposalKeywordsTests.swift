// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import Testing

@testable import AditIKE

/// The proposal language: keywords to transforms and back (RFC 7296 §3.3, IANA numbers).
@Suite struct ProposalKeywordsTests {
    @Test(arguments: [
        ("aes128gcm16-prfsha256-x25519", CipherSuite.aesGCM16(.bits128), PseudoRandomFunction.hmacSHA256, 31),
        ("aes256gcm16-prfsha384-ecp384", .aesGCM16(.bits256), .hmacSHA384, 20),
        ("chacha20poly1305-prfsha256-ecp256", .chaCha20Poly1305, .hmacSHA256, 19),
        ("aes256-sha256-modp2048", .aesCBC(.bits256, .hmacSHA256_128), .hmacSHA256, 14),
        ("aes128-sha1-modp2048", .aesCBC(.bits128, .hmacSHA1_96), .hmacSHA1, 14),
        ("aes192-sha384-modp3072", .aesCBC(.bits192, .hmacSHA384_192), .hmacSHA384, 15),
        ("aes256-sha512-ecp521", .aesCBC(.bits256, .hmacSHA512_256), .hmacSHA512, 21),
        ("aes256-sha256-prfsha512-modp4096", .aesCBC(.bits256, .hmacSHA256_128), .hmacSHA512, 16),
        ("aes128gcm16-sha256-x25519", .aesGCM16(.bits128), .hmacSHA256, 31),
    ])
    func ikeProposals(_ text: String, _ suite: CipherSuite, _ prf: PseudoRandomFunction, _ group: UInt16) throws {
        let proposal = try Proposal(parsing: text, for: .ike, allowLegacy: false)
        #expect(proposal.cipherSuite == suite)
        #expect(proposal.pseudoRandomFunction == prf)
        #expect(proposal.keyExchangeGroup?.transformID == group)
        #expect(try Proposal(parsing: proposal.description, for: .ike, allowLegacy: false) == proposal)
    }

    @Test(arguments: [
        ("aes128gcm16-aes256gcm16-chacha20poly1305", "aes128gcm16-aes256gcm16-chacha20poly1305"),
        ("aes256-sha256", "aes256-sha256"), ("aes128-sha1-modp2048-esn-noesn", "aes128-sha1-modp2048-esn-noesn"),
        ("AES128GCM128-CURVE25519", "aes128gcm16-x25519"), ("aes-sha", "aes128-sha1"), ("aes192gcm", "aes192gcm16"),
        ("x25519-esn-aes256gcm16", "aes256gcm16-x25519-esn"), ("aes256gcm16-aes256gcm16", "aes256gcm16"),
        ("aes256-sha2_256-ecp256-modpnone", "aes256-sha256-ecp256-modpnone"),
    ])
    func espProposals(_ text: String, _ description: String) throws {
        let proposal = try Proposal(parsing: text, for: .esp, allowLegacy: false)
        #expect(proposal.description == description)
        #expect(try Proposal(parsing: description, for: .esp, allowLegacy: false) == proposal)
    }

    @Test func everyKeywordIsReadAsItIsWritten() throws {
        for algorithm in Algorithm.all {
            #expect(algorithm.transform.keyword == algorithm.keyword)
            for word in [algorithm.keyword] + algorithm.aliases {
                #expect(Algorithm.named(word)?.transform == algorithm.transform)
            }
        }
        let words = Algorithm.all.flatMap { [$0.keyword] + $0.aliases }
        #expect(Set(words).count == words.count)
        #expect(Set(Algorithm.all.map(\.transform)).count == Algorithm.all.count)
    }

    @Test(arguments: [
        ("aes128gcm16-prfsha256-x25518", "x25518", "did you mean \"x25519\"?"),
        ("aes128gmc16-prfsha256-x25519", "aes128gmc16", "did you mean \"aes128gcm16\"?"),
        ("aes256-sha265-modp2048", "sha265", "did you mean \"sha256\"?"),
        ("aes256-qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq", "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq", "valid are aes128"),
        ("", "", "unknown algorithm \"\""), ("aes256--sha256", "", "unknown algorithm"),
        ("3des-sha1-modp2048", "3des", "not supported"), ("aes256-md5-modp2048", "md5", "not supported"),
        ("aes256-sha256-modp1024", "modp1024", "allow_legacy"), ("aes256-sha256-modp1536", "modp1536", "allow_legacy"),
        ("aes256-sha256-modp2048-esn", "esn", "no place in an IKE"), ("aes256-sha256-modpnone", "modpnone", "no place"),
        ("aes256gcm16-aes256-prfsha256-x25519", "aes256", "two proposals"),
        ("aes256-chacha20poly1305-sha256-x25519", "chacha20poly1305", "two proposals"),
    ])
    func ikeMistakesAreNamed(_ text: String, _ keyword: String, _ hint: String) {
        let error = #expect(throws: ProposalSyntaxError.self) {
            try Proposal(parsing: text, for: .ike, allowLegacy: false)
        }
        #expect(error?.keyword == keyword)
        #expect(error?.message.contains(hint) == true, "\(error?.message ?? "")")
    }

    @Test(arguments: [
        ("prfsha256-x25519", "encryption algorithm"), ("aes256gcm16-x25519", "needs a PRF"),
        ("aes256gcm16-prfsha256", "needs a key exchange"), ("aes256-prfsha256-x25519", "needs an integrity algorithm"),
        (String(repeating: "a", count: 513), "at most 512"),
    ])
    func incompleteProposalsSayWhatIsMissing(_ text: String, _ hint: String) {
        let error = #expect(throws: ProposalSyntaxError.self) {
            try Proposal(parsing: text, for: .ike, allowLegacy: false)
        }
        #expect(error?.message.contains(hint) == true, "\(error?.message ?? "")")
    }

    @Test(arguments: [
        ("aes128gcm16-sha256", "remove sha256"), ("aes256", "needs an integrity"),
        ("aes256-sha256-prfsha256", "no place"),
        ("sha256", "encryption"),
    ])
    func espMistakes(_ text: String, _ hint: String) {
        let error = #expect(throws: ProposalSyntaxError.self) {
            try Proposal(parsing: text, for: .esp, allowLegacy: false)
        }
        #expect(error?.message.contains(hint) == true, "\(error?.message ?? "")")
    }

    @Test func legacyWithPermission() throws {
        let proposal = try Proposal(parsing: "aes128-sha1-modp1024-modp2048", for: .ike, allowLegacy: true)
        #expect(proposal.legacyKeywords == ["modp1024"])
        #expect(proposal.keyExchangeGroups == [.modp1024, .modp2048])
        #expect(Proposal.keywords(for: .ike).suffix(2) == ["modp1024", "modp1536"])
    }

    /// The defaults of the configuration reference.
    @Test func defaults() {
        #expect(
            Proposal.defaultIKE.map(\.description) == [
                "aes256gcm16-aes128gcm16-prfsha384-prfsha256-x25519-ecp384-ecp256-modp2048",
                "aes256-aes128-prfsha384-prfsha256-sha256-x25519-ecp384-ecp256-modp2048",
            ])
        #expect(
            Proposal.defaultESP.map(\.withoutKeyExchange.description) == [
                "aes128gcm16-aes256gcm16-chacha20poly1305", "aes256-aes128-sha256",
            ])
        #expect((Proposal.defaultIKE + Proposal.defaultESP).allSatisfy { $0.legacyKeywords.isEmpty })
    }

    @Test func offers() throws {
        let proposal = try Proposal(parsing: "aes256gcm16-ecp256-x25519", for: .esp, allowLegacy: false)
        #expect(proposal.preferring(.x25519).description == "aes256gcm16-x25519-ecp256")
        #expect(proposal.preferring(.modp2048) == proposal)
        #expect(proposal.withSequenceNumbers(extended: true).description == "aes256gcm16-ecp256-x25519-esn-noesn")
        #expect(proposal.withSequenceNumbers(extended: false).description == "aes256gcm16-ecp256-x25519-noesn")
        let explicit = try Proposal(parsing: "aes256gcm16-esn", for: .esp, allowLegacy: false)
        #expect(explicit.withSequenceNumbers(extended: false) == explicit)
        #expect(explicit.suiteDescription == "aes256gcm16")
    }

    @Test func transformsWithoutAName() {
        #expect(Transform(.encryption, 999, keyLength: 64).keyword == "encryption#999/64")
        #expect(Transform(.keyExchange, 1000).keyword == "group#1000")
        #expect(Transform(Transform.Kind(rawValue: 6), 35).keyword == "type6#35")
        var odd = Transform(.keyExchange, 31)
        odd.otherAttributes = [.init(type: 7, value: [])]
        #expect(odd.keyword == "group#31+attributes" && !odd.isSupported)
    }
}
