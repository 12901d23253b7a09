// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Testing

@testable import AditIKE

/// Choosing and checking proposals (RFC 7296 §2.7, §3.3.6), and telling why nothing was chosen.
@Suite struct ProposalSelectionTests {
    private func ike(_ texts: String...) throws -> [Proposal] {
        try texts.map { try Proposal(parsing: $0, for: .ike, allowLegacy: true) }
    }

    private func esp(_ texts: String...) throws -> [Proposal] {
        try texts.map { try Proposal(parsing: $0, for: .esp, allowLegacy: true) }
    }

    private func offer(_ proposals: [Proposal], spi: [UInt8] = []) -> SecurityAssociationPayload {
        SecurityAssociationPayload(offering: proposals, spi: spi)
    }

    @Test func ourOrderDecides() throws {
        let ours = try ike("aes256gcm16-prfsha384-x25519", "aes128gcm16-prfsha256-ecp256-x25519")
        let theirs = try ike(
            "aes128gcm16-prfsha256-x25519-ecp256", "aes128gcm16-aes256gcm16-prfsha256-prfsha384-x25519")
        let choice = try ProposalSelection(ours, allowLegacy: false).choose(from: offer(theirs))
        #expect(choice.number == 2)
        #expect(choice.proposal.description == "aes256gcm16-prfsha384-x25519")
        #expect(choice.suite == .aesGCM16(.bits256))
        #expect(choice.pseudoRandomFunction == .hmacSHA384)
        #expect(choice.group == .x25519)
    }

    @Test func theGroupThatWasSentIsTakenWhereAllowed() throws {
        let selection = ProposalSelection(Proposal.defaultIKE, allowLegacy: false)
        let theirs = offer(try ike("aes128gcm16-prfsha256-x25519-ecp256-modp3072"))
        #expect(try selection.choose(from: theirs, sentGroup: 19).group == .ecp256)
        #expect(try selection.choose(from: theirs, sentGroup: 15).group == .x25519)
        #expect(try selection.choose(from: theirs, sentGroup: 999).group == .x25519)
        #expect(try selection.choose(from: theirs).group == .x25519)
    }

    @Test func defaultsAgreeWithThemselvesAndWithCommonPeers() throws {
        let selection = ProposalSelection(Proposal.defaultIKE, allowLegacy: false)
        let own = try selection.choose(from: offer(Proposal.defaultIKE))
        #expect(own.proposal.suiteDescription == "aes256gcm16-prfsha384-x25519")
        for text in [
            "aes128gcm16-prfsha256-x25519", "aes256gcm16-prfsha384-ecp384", "aes256-sha256-modp2048",
            "aes128-sha256-ecp256",
        ] {
            let choice = try selection.choose(from: offer(try ike(text)))
            #expect(choice.proposal == (try ike(text))[0])
        }
    }

    @Test func legacyNeedsPermissionOnBothEnds() throws {
        let ours = try ike("aes128-sha1-modp1024")
        #expect(throws: ProposalMismatch.self) {
            try ProposalSelection(ours, allowLegacy: false).choose(from: offer(ours))
        }
        #expect(try ProposalSelection(ours, allowLegacy: true).choose(from: offer(ours)).group == .modp1024)

        let weak = try ike("3des-md5-modp2048") + ike("aes128-sha256-prfmd5-modp2048")
        for proposal in weak {
            #expect(throws: ProposalMismatch.self) {
                try ProposalSelection([proposal], allowLegacy: false).choose(from: offer([proposal]))
            }
            let choice = try ProposalSelection([proposal], allowLegacy: true).choose(from: offer([proposal]))
            #expect(choice.pseudoRandomFunction == .hmacMD5 && choice.suite == proposal.cipherSuite)
        }
        let child = try esp("3des-sha1-noesn") + esp("aes128-md5-noesn")
        #expect(throws: ProposalMismatch.self) {
            try ProposalSelection(child, allowLegacy: false).choose(from: offer(child))
        }
        let answer = offer([child[1]])
        #expect(try ProposalSelection(child, allowLegacy: true).choose(from: answer).suite == child[1].cipherSuite)
    }

    // RFC 7296 §3.3.6.
    @Test func unknownTypesSpoilAProposalUnknownTransformsOnlyThemselves() throws {
        let good = try ike("aes128gcm16-prfsha256-x25519")[0]
        var extended = good
        extended.transforms.append(Transform(Transform.Kind(rawValue: 6), 36))
        var odd = good
        odd.transforms.insert(Transform(.keyExchange, 1000), at: 0)
        odd.transforms.insert(Transform(.encryption, 20, keyLength: 512), at: 0)
        let selection = ProposalSelection([good], allowLegacy: false)
        #expect(throws: ProposalMismatch.self) { try selection.choose(from: offer([extended])) }
        #expect(try selection.choose(from: offer([extended, odd])).number == 2)
        var attributed = good
        attributed.transforms[0].otherAttributes = [.init(type: 0x8021, value: [0, 1])]
        #expect(throws: ProposalMismatch.self) { try selection.choose(from: offer([attributed])) }
    }

    @Test func anExplicitNoneIsEchoed() throws {
        let ours = try ike("aes128gcm16-prfsha256-x25519")
        var theirs = ours[0]
        theirs.transforms.append(Proposal.noIntegrity)
        let choice = try ProposalSelection(ours, allowLegacy: false).choose(from: offer([theirs]))
        #expect(choice.proposal.transforms(.integrity) == [Proposal.noIntegrity])
        #expect(choice.suite == .aesGCM16(.bits128))
    }

    @Test func extendedSequenceNumbers() throws {
        let base = try esp("aes128gcm16")[0]
        for (ours, theirs, expected) in [
            (true, true, true), (true, false, false), (false, true, false), (false, false, false),
        ] {
            let selection = ProposalSelection([base.withSequenceNumbers(extended: ours)], allowLegacy: false)
            let choice = try selection.choose(
                from: offer([base.withSequenceNumbers(extended: theirs)], spi: [0xc0, 0, 0, 1]))
            #expect(choice.extendedSequenceNumbers == expected)
            #expect(choice.espSPI == SPI(rawValue: 0xc000_0001))
        }
        let strict = ProposalSelection(try esp("aes128gcm16-esn"), allowLegacy: false)
        let mismatch = #expect(throws: ProposalMismatch.self) {
            try strict.choose(from: offer([base.withSequenceNumbers(extended: false)], spi: [1, 2, 3, 4]))
        }
        #expect(mismatch?.comparison.first(where: \.mismatch)?.subject == "sequence numbers")
    }

    @Test func forwardSecrecy() throws {
        let defaults = ProposalSelection(
            Proposal.defaultESP.map { $0.withSequenceNumbers(extended: true) }, allowLegacy: false)
        let spi: [UInt8] = [1, 2, 3, 4]
        #expect(try defaults.choose(from: offer(try esp("aes128gcm16-noesn"), spi: spi)).group == nil)
        #expect(try defaults.choose(from: offer(try esp("aes128gcm16-ecp256-noesn"), spi: spi)).group == .ecp256)
        let required = ProposalSelection(try esp("aes128gcm16-x25519-noesn"), allowLegacy: false)
        #expect(throws: ProposalMismatch.self) {
            try required.choose(from: offer(try esp("aes128gcm16-noesn"), spi: spi))
        }
        let without = ProposalSelection(try esp("aes128gcm16-noesn"), allowLegacy: false)
        #expect(throws: ProposalMismatch.self) {
            try without.choose(from: offer(try esp("aes128gcm16-x25519-noesn"), spi: spi))
        }
    }

    @Test func reservedAndOddSPIs() throws {
        let proposals = try esp("aes128gcm16-noesn")
        let selection = ProposalSelection(proposals, allowLegacy: false)
        for spi: [UInt8] in [[0, 0, 0, 255], [], [1, 2, 3], [1, 2, 3, 4, 5]] {
            #expect(try selection.choose(from: offer(proposals, spi: spi)).espSPI == nil)
        }
    }

    // RFC 7296 §2.7: the answer is a subset of the offer, with exactly one transform a type.
    @Test func answersAreChecked() throws {
        let offered = Proposal.defaultIKE
        let selection = ProposalSelection(offered, allowLegacy: false)
        let right = try selection.choose(from: offer(offered))
        #expect(try selection.check(answer: right.answer(spi: [])).proposal == right.proposal)
        let answer = { (number: UInt8, proposal: Proposal) in
            SecurityAssociationPayload([NumberedProposal(number: number, spi: [], proposal: proposal)])
        }
        var wrong = [SecurityAssociationPayload([]), offer(offered), offer([offered[0]])]
        wrong += [answer(0, right.proposal), answer(2, right.proposal), answer(3, right.proposal)]
        wrong.append(answer(1, try ike("aes256gcm16-prfsha512-x25519")[0]))
        wrong.append(answer(1, Proposal(.esp, right.proposal.transforms)))
        for kind in [Transform.Kind.encryption, .pseudoRandomFunction, .keyExchange] {
            wrong.append(answer(1, Proposal(.ike, right.proposal.transforms.filter { $0.kind != kind })))
        }
        wrong.append(answer(1, Proposal(.ike, right.proposal.transforms + [Transform(.integrity, 12)])))
        wrong.append(answer(1, Proposal(.ike, right.proposal.transforms + [Transform(.keyExchange, 19)])))
        for (index, payload) in wrong.enumerated() {
            #expect(throws: ProposalMismatch.self, "answer \(index)") { try selection.check(answer: payload) }
        }
    }

    @Test func anAnswerToNoOfferIsRefused() throws {
        let answer = SecurityAssociationPayload(offering: try esp("aes128gcm16"), spi: [1, 2, 3, 4])
        #expect(throws: ProposalMismatch.self) {
            try ProposalSelection([], allowLegacy: false).check(answer: answer)
        }
    }

    @Test func everyChoiceLiesInsideBothSides() throws {
        var generator = SeededGenerator(seed: 27)
        var agreed = 0
        for _ in 0..<2000 {
            let ours = (0..<2).map { _ in random(&generator) }
            let theirs = (0..<3).map { _ in random(&generator) }
            let selection = ProposalSelection(ours, allowLegacy: true)
            guard let choice = try? selection.choose(from: offer(theirs)) else { continue }
            agreed += 1
            let chosen = Set(choice.proposal.transforms)
            #expect(chosen.isSubset(of: theirs[Int(choice.number) - 1].transforms))
            #expect(ours.contains { chosen.isSubset(of: $0.transforms) })
            // What we choose, the peer accepts.
            let peer = ProposalSelection(theirs, allowLegacy: true)
            #expect(try peer.check(answer: choice.answer(spi: [])).suite == choice.suite)
        }
        #expect(agreed > 100)
    }

    private func random(_ generator: inout SeededGenerator) -> Proposal {
        let aead = Bool.random(using: &generator)
        let ciphers = Algorithm.all.filter {
            $0.support == .supported && $0.transform.kind == .encryption && $0.transform.isAEAD == aead
        }
        var transforms = ciphers.shuffled(using: &generator).prefix(2).map(\.transform)
        for kind in [Transform.Kind.pseudoRandomFunction, .integrity, .keyExchange] where kind != .integrity || !aead {
            let all = Algorithm.all.filter {
                $0.support == .supported && $0.transform.kind == kind && $0.transform.id != 0
            }
            transforms += all.shuffled(using: &generator).prefix(2).map(\.transform)
        }
        return Proposal(.ike, transforms)
    }

    /// The largest offer that a datagram holds is parsed, refused and reported in a time that a flood cannot use.
    @Test func aHostileOfferIsCheap() throws {
        let proposals = (0..<32).map { number in
            Proposal(.ike, (0..<250).map { Transform(.encryption, UInt16(number * 250 + $0 + 1000)) })
        }
        let header = IKEMessageTests.header()
        let bytes = IKEMessage(header: header, payloads: [.securityAssociation(offer(proposals))]).serialize()
        #expect(bytes.count > 60_000)
        let selection = ProposalSelection(Proposal.defaultIKE, allowLegacy: false)
        let elapsed = try ContinuousClock().measure {
            guard case .securityAssociation(let offer) = try IKEMessage(parsing: bytes).payloads[0] else { return }
            #expect(throws: ProposalMismatch.self) { try selection.choose(from: offer) }
        }
        // Milliseconds in a release build; the bound is for debug builds on a busy machine.
        #expect(elapsed < .seconds(2), "\(elapsed)")
    }

    @Test func retryAfterInvalidKE() {
        let selection = ProposalSelection(Proposal.defaultIKE, allowLegacy: false)
        #expect(selection.retryGroup(invalidKE: [0, 19], sent: .x25519) == .ecp256)
        #expect(selection.retryGroup(invalidKE: [0, 31], sent: .x25519) == nil)
        #expect(selection.retryGroup(invalidKE: [0, 2], sent: .x25519) == nil)
        #expect(selection.retryGroup(invalidKE: [3, 231], sent: .x25519) == nil)
        #expect(selection.retryGroup(invalidKE: [], sent: .x25519) == nil)
        #expect(selection.retryGroup(invalidKE: [0, 19, 0], sent: .x25519) == nil)
        #expect(ProposalSelection.invalidKEData(.modp4096) == [0, 16])
    }
}
