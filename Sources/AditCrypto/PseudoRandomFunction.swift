// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

/// An IKEv2 pseudorandom function (RFC 7296 §2.13): HMAC with one of the hash functions.
public enum PseudoRandomFunction: Hashable, Sendable, CaseIterable {
    case hmacSHA1, hmacSHA256, hmacSHA384, hmacSHA512

    /// The output length, which is the preferred key length too (RFC 7296 §2.13), in bytes.
    public var outputLength: Int { fatalError("filled in by the crypto work") }

    /// prf(key, parts joined).
    public func callAsFunction(key: SecretBytes, _ parts: [UInt8]...) -> SecretBytes { fatalError("filled in by the crypto work") }

    /// prf+ (RFC 7296 §2.13): `count` bytes from `key` and `seed`; at most 255 × ``outputLength``.
    public func expand(key: SecretBytes, seed: [UInt8], count: Int) -> SecretBytes { fatalError("filled in by the crypto work") }

    /// prf+ with a secret seed (key material that includes g^ir, RFC 7296 §2.17).
    public func expand(key: SecretBytes, seed: SecretBytes, count: Int) -> SecretBytes { fatalError("filled in by the crypto work") }
}
