// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

/// A way of signing: the algorithm with everything that both sides must agree on.
public enum SignatureScheme: Hashable, Sendable {
    /// RSASSA-PKCS1-v1_5 (RFC 8017 §8.2).
    case rsaPKCS1(HashAlgorithm)
    /// RSASSA-PSS with MGF1 over the same hash and a salt of this many bytes (RFC 8017 §8.1).
    case rsaPSS(HashAlgorithm, saltLength: Int)
    /// ECDSA; the signature is the DER sequence of r and s (RFC 3279 §2.2.3).
    case ecdsa(HashAlgorithm)
    /// ECDSA; the signature is r and s, each at the length of the curve's order (RFC 4754 §7).
    case ecdsaConcatenated(HashAlgorithm)
    /// Ed25519 over the message itself (RFC 8032 §5.1, RFC 8420 §2).
    case ed25519

    /// RSASSA-PSS with the usual salt, as long as the hash.
    public static func rsaPSS(_ hash: HashAlgorithm) -> SignatureScheme {
        .rsaPSS(hash, saltLength: hash.outputLength)
    }

    /// The hash function; nil for a scheme that takes the message itself.
    public var hash: HashAlgorithm? {
        switch self {
        case .rsaPKCS1(let hash), .rsaPSS(let hash, _), .ecdsa(let hash), .ecdsaConcatenated(let hash): hash
        case .ed25519: nil
        }
    }

    /// Whether a key of this kind can be used with the scheme.
    public func fits(_ kind: SignatureKeyKind) -> Bool {
        switch (self, kind) {
        case (.rsaPKCS1, .rsa), (.ed25519, .ed25519): true
        case (.rsaPSS(let hash, let saltLength), .rsa(let bits)):
            // RFC 8017 §9.1.1: emLen ≥ hLen + sLen + 2, where emLen = ⌈(modBits − 1) / 8⌉.
            saltLength >= 0 && saltLength <= (bits + 6) / 8 - hash.outputLength - 2
        case (.ecdsa, .ecdsa256), (.ecdsa, .ecdsa384), (.ecdsa, .ecdsa521): true
        case (.ecdsaConcatenated, .ecdsa256), (.ecdsaConcatenated, .ecdsa384), (.ecdsaConcatenated, .ecdsa521): true
        default: false
        }
    }
}

/// What kind of key signs.
public enum SignatureKeyKind: Hashable, Sendable, CustomStringConvertible {
    /// RSA with a modulus of this many bits.
    case rsa(bits: Int)
    /// ECDSA on P-256, P-384 or P-521.
    case ecdsa256, ecdsa384, ecdsa521
    /// Ed25519.
    case ed25519

    /// Bits of an RSA modulus: below, factoring is within reach (RFC 8247 §4.1.1); above, one signature costs too much.
    public static let rsaBits = 2048...8192

    /// What people call it.
    public var description: String {
        switch self {
        case .rsa(let bits): "RSA \(bits)"
        case .ecdsa256: "ECDSA P-256"
        case .ecdsa384: "ECDSA P-384"
        case .ecdsa521: "ECDSA P-521"
        case .ed25519: "Ed25519"
        }
    }

    /// Bytes of each of r and s in ``SignatureScheme/ecdsaConcatenated(_:)``; nil for other kinds.
    var scalarLength: Int? {
        switch self {
        case .ecdsa256: 32
        case .ecdsa384: 48
        case .ecdsa521: 66
        case .rsa, .ed25519: nil
        }
    }
}
