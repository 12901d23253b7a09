// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditCrypto
public import AditWire

/// The algorithms that both sides agreed on: one proposal with one transform of each type (RFC 7296 §2.7).
public struct ProposalChoice: Hashable, Sendable {
    /// The offer's number, by which the response names it.
    public var number: UInt8
    /// The SPI in the peer's SA payload: empty in IKE_SA_INIT, 8 bytes for an IKE SA rekey, 4 for ESP.
    public var spi: [UInt8]
    /// The chosen transforms.
    public var proposal: Proposal
    /// How packets, or IKE messages, are protected.
    public var suite: CipherSuite
    /// The PRF of an IKE SA; for ESP, which has none, it is not meaningful.
    public var pseudoRandomFunction: PseudoRandomFunction
    /// The key exchange; nil in ESP without forward secrecy, never nil for IKE.
    public var group: KeyExchangeGroup? { proposal.keyExchangeGroup }
    /// Whether an ESP SA's sequence numbers are extended.
    public var extendedSequenceNumbers: Bool { proposal.extendedSequenceNumbers }

    /// The peer's SPI of an ESP SA; nil when it has another length or a reserved value.
    public var espSPI: SPI? {
        guard let value = SPI(bytes: spi), !value.isReserved else { return nil }
        return value
    }

    /// The SA payload that answers the offer with this choice and our own `spi`.
    public func answer(spi: [UInt8]) -> SecurityAssociationPayload {
        SecurityAssociationPayload([NumberedProposal(number: number, spi: spi, proposal: proposal)])
    }

    fileprivate init?(number: UInt8, spi: [UInt8], proposal: Proposal) {
        guard let suite = proposal.cipherSuite else { return nil }
        let function = proposal.pseudoRandomFunction
        guard proposal.securityProtocol == .esp || function != nil && proposal.keyExchangeGroup != nil else {
            return nil
        }
        self.number = number
        self.spi = spi
        self.proposal = proposal
        self.suite = suite
        pseudoRandomFunction = function ?? .hmacSHA256
    }
}

/// Choosing from an offer, and checking what a peer chose (RFC 7296 §2.7, §3.3).
public struct ProposalSelection: Sendable {
    /// What is configured, in order of preference, sequence numbers included for ESP.
    public var configured: [Proposal]
    /// Whether legacy algorithms may be chosen.
    public var allowLegacy: Bool

    /// A selection among `configured`.
    public init(_ configured: [Proposal], allowLegacy: Bool) {
        self.configured = configured
        self.allowLegacy = allowLegacy
    }

    /// The responder's choice from `offer`.
    ///
    /// Our order decides, of proposals and within each type, since the RFC leaves it to the responder; one exception:
    /// when the group of the peer's KE payload, `sentGroup`, is acceptable, it is taken, which saves a round trip.
    public func choose(
        from offer: SecurityAssociationPayload, sentGroup: UInt16? = nil
    ) throws(ProposalMismatch) -> ProposalChoice {
        for ours in usable {
            for theirs in offer.proposals where theirs.proposal.securityProtocol == ours.securityProtocol {
                guard Self.isUnderstood(theirs.proposal),
                    let proposal = Self.choose(ours: ours, theirs: theirs.proposal, sentGroup: sentGroup),
                    let choice = ProposalChoice(number: theirs.number, spi: theirs.spi, proposal: proposal)
                else { continue }
                return choice
            }
        }
        throw ProposalMismatch(ours: configured, theirs: offer.proposals.map(\.proposal), allowLegacy: allowLegacy)
    }

    /// The initiator's check that `answer` is one proposal of ours with one transform of each type that we offered.
    ///
    /// ``configured`` is what was offered, numbered from 1 in its order.
    public func check(answer: SecurityAssociationPayload) throws(ProposalMismatch) -> ProposalChoice {
        let mismatch = ProposalMismatch(
            ours: configured, theirs: answer.proposals.map(\.proposal), allowLegacy: allowLegacy)
        // RFC 7296 §2.7: the responder accepts exactly one proposal, and names it by our number.
        guard answer.proposals.count == 1, let theirs = answer.proposals.first,
            theirs.number >= 1, Int(theirs.number) <= configured.count
        else { throw mismatch }
        let offered = configured[Int(theirs.number) - 1]
        guard offered.securityProtocol == theirs.proposal.securityProtocol, Self.isUnderstood(theirs.proposal),
            Self.kinds.allSatisfy({ theirs.proposal.transforms($0).count <= 1 }),
            let proposal = Self.choose(ours: allowed(offered), theirs: theirs.proposal, sentGroup: nil),
            let choice = ProposalChoice(number: theirs.number, spi: theirs.spi, proposal: proposal)
        else { throw mismatch }
        return choice
    }

    /// Which group to try again with after INVALID_KE_PAYLOAD; nil when the peer wants one that was not offered.
    ///
    /// `data` is the notification's: the wanted group's number (RFC 7296 §1.2, §3.10.1). Asking for the group that was
    /// already `sent` is refused, as it would go on for ever.
    public func retryGroup(invalidKE data: [UInt8], sent: KeyExchangeGroup) -> KeyExchangeGroup? {
        guard data.count == 2, let group = KeyExchangeGroup(transformID: UInt16(data[0]) << 8 | UInt16(data[1])),
            group != sent, usable.contains(where: { $0.keyExchangeGroups.contains(group) })
        else { return nil }
        return group
    }

    /// The data of an INVALID_KE_PAYLOAD notification that asks for `group`.
    public static func invalidKEData(_ group: KeyExchangeGroup) -> [UInt8] {
        [UInt8(group.transformID >> 8), UInt8(group.transformID & 0xff)]
    }

    /// The configured proposals without what may not be negotiated.
    private var usable: [Proposal] { configured.map(allowed) }

    private func allowed(_ proposal: Proposal) -> Proposal {
        Proposal(
            proposal.securityProtocol, proposal.transforms.filter { $0.isAvailable && (allowLegacy || !$0.isLegacy) })
    }

    private static func isUnderstood(_ proposal: Proposal) -> Bool {
        // RFC 7296 §3.3.6: a proposal with a transform type that we do not know is unacceptable as a whole.
        proposal.transforms.allSatisfy { kinds.contains($0.kind) }
    }

    private static func choose(ours: Proposal, theirs: Proposal, sentGroup: UInt16?) -> Proposal? {
        var chosen: [Transform] = []
        for kind in kinds {
            // RFC 7296 §3.3.6: an unknown transform, or one with an unknown attribute, equals none of ours.
            let offered = alternatives(kind, in: theirs)
            var common = alternatives(kind, in: ours).filter(offered.contains)
            if kind == .keyExchange, let sentGroup, let sent = common.first(where: { $0.id == sentGroup }) {
                common = [sent]
            }
            if offered.isEmpty, alternatives(kind, in: ours).isEmpty { continue }
            guard let transform = common.first else { return nil }
            // What the offer left out, which means NONE, the answer leaves out too.
            if theirs.transforms(kind).contains(transform) { chosen.append(transform) }
        }
        return Proposal(ours.securityProtocol, chosen)
    }

    /// The transforms of a type; where it is optional, leaving it out is the same as NONE (RFC 7296 §3.3.3, §3.3.6).
    private static func alternatives(_ kind: Transform.Kind, in proposal: Proposal) -> [Transform] {
        let transforms = proposal.transforms(kind)
        guard transforms.isEmpty else { return transforms }
        switch kind {
        case .integrity: return [Proposal.noIntegrity]
        case .keyExchange where proposal.securityProtocol == .esp: return [Proposal.noKeyExchange]
        // Peers that leave ESN out, though it is mandatory, mean plain sequence numbers.
        case .sequenceNumbers where proposal.securityProtocol == .esp: return [Transform(.sequenceNumbers, 0)]
        default: return []
        }
    }

    static let kinds: [Transform.Kind] = [
        .encryption, .pseudoRandomFunction, .integrity, .keyExchange, .sequenceNumbers,
    ]
}
