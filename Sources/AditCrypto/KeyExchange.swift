// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

/// A Diffie-Hellman group: what it is called in IKE is AditIKE's business.
public enum KeyExchangeGroup: Hashable, Sendable, CaseIterable {
    case modp1024, modp1536, modp2048, modp3072, modp4096
    case ecp256, ecp384, ecp521
    case x25519

    /// How many bytes of entropy a private value takes.
    public var privateLength: Int { fatalError("filled in by the crypto work") }

    /// The length of a public value on the wire (MODP: the prime's, padded; ECP: x and y, RFC 5903 §7; X25519: 32).
    public var publicLength: Int { fatalError("filled in by the crypto work") }
}

/// One end of one key exchange: a private value, used once.
public final class KeyExchange: Sendable {
    /// The group.
    public let group: KeyExchangeGroup
    /// Our public value as the KE payload carries it.
    public let publicValue: [UInt8]

    /// Makes a private value from `entropy` (``KeyExchangeGroup/privateLength`` uniformly random bytes) and its public value.
    public init(group: KeyExchangeGroup, entropy: SecretBytes) throws(CryptoError) { fatalError("filled in by the crypto work") }

    /// The shared secret g^ir with the peer's public value, at the length RFC 7296 §2.14 and RFC 5903 §7 (x only) want.
    ///
    /// Throws ``CryptoError/invalidPublicValue`` for a value that RFC 6989 forbids.
    public func sharedSecret(with peerPublicValue: [UInt8]) throws(CryptoError) -> SecretBytes { fatalError("filled in by the crypto work") }
}
