// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditCrypto

// What the transforms of a proposal mean to AditCrypto. For a chosen proposal these are the answer, for an offer the
// first preference.
extension Proposal {
    /// The transforms of one type, in order of preference.
    public func transforms(_ kind: Transform.Kind) -> [Transform] { transforms.filter { $0.kind == kind } }

    /// The cipher suite of the first encryption and the first integrity transform; nil when we do not have it.
    public var cipherSuite: CipherSuite? {
        guard let encryption = transforms(.encryption).first else { return nil }
        let integrity = transforms(.integrity).first { $0 != Self.noIntegrity }
        let bits = encryption.keyLength.flatMap { CipherSuite.AESKeyLength(rawValue: Int($0)) }
        switch (encryption.id, bits, integrity) {
        case (20, let bits?, nil): return .aesGCM16(bits)
        case (28, nil, nil) where encryption.keyLength == nil: return .chaCha20Poly1305
        case (12, let bits?, let integrity?):
            return CipherSuite.Integrity(transformID: integrity.id).map { .aesCBC(bits, $0) }
        case (3, nil, let integrity?) where encryption == .tripleDES:
            return CipherSuite.Integrity(transformID: integrity.id).map { .tripleDESCBC($0) }
        default: return nil
        }
    }

    /// The first PRF that we have.
    public var pseudoRandomFunction: PseudoRandomFunction? {
        transforms(.pseudoRandomFunction).lazy.compactMap { PseudoRandomFunction(transformID: $0.id) }.first
    }

    /// The first key exchange group that we have; nil for none, as in an ESP proposal without PFS.
    public var keyExchangeGroup: KeyExchangeGroup? { keyExchangeGroups.first }

    /// All key exchange groups that we have, in order of preference.
    public var keyExchangeGroups: [KeyExchangeGroup] {
        transforms(.keyExchange).compactMap { KeyExchangeGroup(transformID: $0.id) }
    }

    /// Whether sequence numbers are extended: the first ESN transform says so.
    public var extendedSequenceNumbers: Bool { transforms(.sequenceNumbers).first?.id == 1 }

    /// INTEG NONE, which an AEAD's proposal may carry (RFC 7296 §3.3.3).
    static let noIntegrity = Transform(.integrity, 0)
    /// Key exchange NONE, which makes PFS a choice of the responder (RFC 7296 §3.3.2).
    static let noKeyExchange = Transform(.keyExchange, 0)
}

extension KeyExchangeGroup {
    /// The group of a key exchange transform, which is also a KE payload's group number; nil when we do not have it.
    public init?(transformID: UInt16) {
        guard let group = Self.allCases.first(where: { $0.transformID == transformID }) else { return nil }
        self = group
    }

    /// IANA's number of the group.
    public var transformID: UInt16 {
        switch self {
        case .modp1024: 2
        case .modp1536: 5
        case .modp2048: 14
        case .modp3072: 15
        case .modp4096: 16
        case .ecp256: 19
        case .ecp384: 20
        case .ecp521: 21
        case .x25519: 31
        }
    }

    /// The group's keyword in a proposal.
    public var keyword: String { Transform(.keyExchange, transformID).keyword }
}

extension CipherSuite.Integrity {
    /// The HMAC of an integrity transform; nil when we do not have it.
    init?(transformID: UInt16) {
        switch transformID {
        case 1: self = .hmacMD5_96
        case 2: self = .hmacSHA1_96
        case 12: self = .hmacSHA256_128
        case 13: self = .hmacSHA384_192
        case 14: self = .hmacSHA512_256
        default: return nil
        }
    }
}

extension PseudoRandomFunction {
    /// The function of a PRF transform; nil when we do not have it.
    init?(transformID: UInt16) {
        switch transformID {
        case 1: self = .hmacMD5
        case 2: self = .hmacSHA1
        case 5: self = .hmacSHA256
        case 6: self = .hmacSHA384
        case 7: self = .hmacSHA512
        default: return nil
        }
    }
}
