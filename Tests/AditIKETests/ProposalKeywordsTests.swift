// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
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
        ("des-sha1-modp2048", "des", "not supported"), ("aes256-aesxcbc-modp2048", "aesxcbc", "not supported"),
        ("3des-sha1-modp2048", "3des", "\"3des\" is weak and needs allow_legacy = true"),
        ("aes256-md5-modp2048", "md5", "\"md5\" is weak and needs allow_legacy = true"),
        ("aes256-sha256-prfmd5-modp2048", "prfmd5", "allow_legacy"),
        ("des3-sha1-modp2048", "des3", "did you mean \"3des\" (with allow_legacy = true)?"),
        ("des3-sha1-modp2048", "des3", ", and with allow_legacy = true 3des, md5, prfmd5, modp1024, modp1536"),
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
        ("aes128gcm16-sha256", "remove sha256"), ("aes256", "take aes256gcm16"),
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
        #expect(Proposal.keywords(for: .ike).suffix(5) == ["3des", "md5", "prfmd5", "modp1024", "modp1536"])
        #expect(Proposal.keywords(for: .esp).suffix(4) == ["3des", "md5", "modp1024", "modp1536"])
    }

    /// As in strongSwan, also for the PRF that `md5` implies.
    @Test(arguments: [
        ("3des-md5-modp1024", CipherSuite.tripleDESCBC(.hmacMD5_96), PseudoRandomFunction.hmacMD5),
        ("3des-sha1-modp1536", .tripleDESCBC(.hmacSHA1_96), .hmacSHA1),
        ("3des-prfsha256-sha256-modp2048", .tripleDESCBC(.hmacSHA256_128), .hmacSHA256),
        ("aes128-md5-modp2048", .aesCBC(.bits128, .hmacMD5_96), .hmacMD5),
        ("aes256-prfmd5-sha1-modp2048", .aesCBC(.bits256, .hmacSHA1_96), .hmacMD5),
        ("aes128gcm16-prfmd5-x25519", .aesGCM16(.bits128), .hmacMD5),
    ])
    func legacyIKEProposals(_ text: String, _ suite: CipherSuite, _ prf: PseudoRandomFunction) throws {
        let proposal = try Proposal(parsing: text, for: .ike, allowLegacy: true)
        #expect(proposal.cipherSuite == suite && proposal.pseudoRandomFunction == prf)
        #expect(try Proposal(parsing: proposal.description, for: .ike, allowLegacy: true) == proposal)
        let weak = text.split(separator: "-").map(String.init).filter {
            ["3des", "md5", "prfmd5", "modp1024", "modp1536"].contains($0)
        }
        #expect(Set(proposal.legacyKeywords).isSuperset(of: weak) && !proposal.legacyKeywords.isEmpty)
        // On the wire without a length of the key (RFC 2451 §2.2), and back.
        let payload = SecurityAssociationPayload([NumberedProposal(number: 1, spi: [], proposal: proposal)])
        var writer = ByteWriter()
        payload.serialize(into: &writer)
        var reader = ByteReader(writer.bytes)
        #expect(try SecurityAssociationPayload(parsing: &reader) == payload)
        #expect(proposal.suiteDescription == (text == "3des-prfsha256-sha256-modp2048" ? "3des-sha256-modp2048" : text))
    }

    @Test func tripleDESHasNoLengthOfTheKey() throws {
        let proposal = try Proposal(parsing: "3des-md5", for: .esp, allowLegacy: true)
        #expect(proposal.transforms == [Transform(.encryption, 3), Transform(.integrity, 1)])
        #expect(proposal.cipherSuite == .tripleDESCBC(.hmacMD5_96) && proposal.legacyKeywords == ["3des", "md5"])
        var other = proposal
        other.transforms[0].keyLength = 192
        #expect(other.cipherSuite == nil)
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
