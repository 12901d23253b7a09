// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

/// A Diffie-Hellman group: what it is called in IKE is AditIKE's business.
public enum KeyExchangeGroup: Hashable, Sendable, CaseIterable {
    case modp1024, modp1536, modp2048, modp3072, modp4096
    case ecp256, ecp384, ecp521
    case x25519

    /// How many bytes of entropy a private value takes.
    public var privateLength: Int {
        switch arithmetic {
        case .modp(let group): group.privateLength
        case .ecp(let group): group.entropyLength
        case .x25519: X25519PrivateKey.length
        }
    }

    /// The length of a public value on the wire (MODP: the prime's, padded; ECP: x and y, RFC 5903 §7; X25519: 32).
    public var publicLength: Int {
        switch arithmetic {
        case .modp(let group): group.primeLength
        case .ecp(let group): 2 * group.fieldLength
        case .x25519: X25519PrivateKey.length
        }
    }

    /// Which arithmetic the group needs.
    enum Arithmetic {
        case modp(MODPGroup)
        case ecp(ECPGroup)
        case x25519
    }

    var arithmetic: Arithmetic {
        switch self {
        case .modp1024: .modp(.bits1024)
        case .modp1536: .modp(.bits1536)
        case .modp2048: .modp(.bits2048)
        case .modp3072: .modp(.bits3072)
        case .modp4096: .modp(.bits4096)
        case .ecp256: .ecp(.bits256)
        case .ecp384: .ecp(.bits384)
        case .ecp521: .ecp(.bits521)
        case .x25519: .x25519
        }
    }
}

/// One end of one key exchange: a private value, used once.
public final class KeyExchange: Sendable {
    /// The group.
    public let group: KeyExchangeGroup
    /// Our public value as the KE payload carries it.
    public let publicValue: [UInt8]

    private let privateValue: PrivateValue

    private enum PrivateValue: Sendable {
        case modp(MODPGroup, exponent: SecretBytes)
        case ecp(ECPGroup, scalar: SecretBytes)
        case x25519(X25519PrivateKey)
    }

    /// Makes a private value from `entropy` (``KeyExchangeGroup/privateLength`` uniformly random bytes) and its public
    /// value.
    ///
    /// The same entropy gives the same values. Throws ``CryptoError/malformedInput`` for entropy of another length.
    public init(group: KeyExchangeGroup, entropy: SecretBytes) throws(CryptoError) {
        guard entropy.count == group.privateLength else { throw .malformedInput }
        self.group = group
        switch group.arithmetic {
        case .modp(let modp):
            publicValue = try modp.publicValue(exponent: entropy)
            privateValue = .modp(modp, exponent: entropy)
        case .ecp(let ecp):
            let scalar = try ecp.scalar(entropy: entropy)
            publicValue = try ecp.publicValue(scalar: scalar)
            privateValue = .ecp(ecp, scalar: scalar)
        case .x25519:
            let key = try X25519PrivateKey(entropy)
            publicValue = try key.publicValue()
            privateValue = .x25519(key)
        }
    }

    /// The shared secret g^ir with the peer's public value, at the length RFC 7296 §2.14 and RFC 5903 §7 (x only) want.
    ///
    /// Throws ``CryptoError/invalidPublicValue`` for a value that RFC 6989 forbids, ``CryptoError/malformedInput`` for
    /// one of another length than ``KeyExchangeGroup/publicLength``.
    public func sharedSecret(with peerPublicValue: [UInt8]) throws(CryptoError) -> SecretBytes {
        guard peerPublicValue.count == group.publicLength else { throw .malformedInput }
        switch privateValue {
        case .modp(let modp, let exponent):
            return try modp.sharedSecret(exponent: exponent, peer: peerPublicValue)
        case .ecp(let ecp, let scalar):
            return try ecp.sharedSecret(scalar: scalar, peer: peerPublicValue)
        case .x25519(let key):
            return try key.sharedSecret(with: peerPublicValue)
        }
    }
}
