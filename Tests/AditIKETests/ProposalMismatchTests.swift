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

    @Test func nothingOfItIsSupported() {
        let ours = Proposal.defaultIKE
        let theirs = Proposal(
            .ike,
            [
                Transform(.encryption, 3), Transform(.pseudoRandomFunction, 5), Transform(.integrity, 12),
                Transform(.keyExchange, 31),
            ])
        let difference = ProposalMismatch(ours: ours, theirs: [theirs], allowLegacy: false)
        #expect(difference.comparison.first { $0.mismatch }?.theirs == ["3des"])
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
