// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import Testing

@testable import AditIKE

/// What an operator is told when no proposal fits.
@Suite struct ProposalMismatchTests {
    private func mismatch(
        _ ours: [String], _ theirs: [String], _ securityProtocol: SecurityProtocol = .ike, allowLegacy: Bool = false
    ) throws -> ProposalMismatch {
        let parse = { (text: String) in try Proposal(parsing: text, for: securityProtocol, allowLegacy: true) }
        return ProposalMismatch(ours: try ours.map(parse), theirs: try theirs.map(parse), allowLegacy: allowLegacy)
    }

    @Test func oneTypeDiffers() throws {
        let difference = try mismatch(["aes256-sha256-x25519"], ["aes256-sha256-modp2048-ecp256"])
        #expect(
            difference.comparison.filter(\.mismatch) == [
                .init(subject: "key exchange", ours: ["x25519"], theirs: ["modp2048", "ecp256"], mismatch: true)
            ])
        #expect(difference.message == "key exchange: peer offers modp2048, ecp256, you allow x25519")
        #expect(difference.suggestion == "Add modp2048 to proposals, or let the peer offer x25519.")
        #expect(difference.comparison.map(\.subject) == ["encryption", "prf", "integrity", "key exchange"])
    }

    @Test func onlyLegacyIsOffered() throws {
        let difference = try mismatch(["aes256-sha256-x25519"], ["aes256-sha256-modp1024"])
        #expect(difference.suggestion.contains("allow_legacy = true") && difference.suggestion.contains("modp1024"))
        // Configured without permission: the same keyword on both sides, and still no agreement.
        let unpermitted = try mismatch(["aes256-sha256-modp1024"], ["aes256-sha256-modp1024"])
        #expect(unpermitted.comparison.contains { $0.subject == "key exchange" && $0.mismatch })
    }

    /// What a gateway of old offers differs in everything: one sentence says all that it takes.
    @Test func onlyLegacyIsOfferedAltogether() throws {
        let theirs = ["3des-md5-modp1024"]
        let difference = try mismatch(["aes256-sha256-x25519"], theirs)
        #expect(
            difference.suggestion == "Let the peer offer one of yours; if it cannot, set allow_legacy = true and add "
                + "\"3des-prfmd5-md5-modp1024\" to proposals.")
        #expect(difference.comparison.map(\.theirs) == [["3des"], ["prfmd5"], ["md5"], ["modp1024"]])
        let allowed = try mismatch(["aes256-sha256-x25519"], theirs, allowLegacy: true)
        #expect(
            allowed.suggestion
                == "Add \"3des-prfmd5-md5-modp1024\" to proposals, or better one of yours to the peer's.")
        // Beside something better it is not named.
        let better = try mismatch(["aes256gcm16-prfsha256-x25519"], theirs + ["aes128-3des-sha1-md5-modp2048-modp1024"])
        #expect(
            better.suggestion == "Add \"aes128-prfsha1-sha1-modp2048\" to proposals, or one of yours to the peer's.")
        let child = try mismatch(["aes128gcm16-noesn"], ["3des-md5-noesn"], .esp)
        #expect(child.suggestion.contains("allow_legacy = true and add \"3des-md5-noesn\" to esp_proposals"))
    }

    @Test func nothingOfItIsSupported() {
        let ours = Proposal.defaultIKE
        let theirs = Proposal(
            .ike,
            [
                Transform(.encryption, 2), Transform(.pseudoRandomFunction, 5), Transform(.integrity, 12),
                Transform(.keyExchange, 31),
            ])
        let difference = ProposalMismatch(ours: ours, theirs: [theirs], allowLegacy: false)
        #expect(difference.comparison.first { $0.mismatch }?.theirs == ["des"])
        #expect(difference.suggestion.contains("not supported here"))
    }

    @Test func espNamesItsOwnKey() throws {
        let difference = try mismatch(["aes128gcm16-noesn"], ["aes256-sha256-noesn"], .esp)
        #expect(difference.suggestion.contains("esp_proposals"))
        let pfs = try mismatch(["aes128gcm16-noesn"], ["aes128gcm16-x25519-noesn"], .esp)
        #expect(pfs.message == "key exchange: peer offers x25519, you allow none")
    }

    @Test func onlyTheCombinationDiffers() throws {
        let difference = try mismatch(
            ["aes256-sha256-x25519", "aes128-sha384-x25519"], ["aes256-sha384-x25519", "aes128-sha256-x25519"])
        #expect(difference.comparison.last?.subject == "combination")
        #expect(difference.suggestion.contains("aes256-prfsha384-sha384-x25519"))
    }

    @Test func anOfferOfThousandsStaysShort() {
        let theirs = (0..<32).map { _ in Proposal(.ike, (0..<255).map { Transform(.encryption, 1000 + $0) }) }
        let difference = ProposalMismatch(ours: Proposal.defaultIKE, theirs: theirs, allowLegacy: false)
        #expect(difference.comparison.allSatisfy { $0.theirs.count <= 24 })
    }

    @Test func anEmptyOffer() {
        let difference = ProposalMismatch(ours: Proposal.defaultIKE, theirs: [], allowLegacy: false)
        #expect(difference.message.contains("no proposal"))
    }
}
