// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

/// What libcrypto, or a check before calling it, refused.
public enum CryptoError: Error, Hashable, Sendable {
    /// A key, share or signature has a length or encoding that its algorithm does not allow.
    case malformedInput
    /// A public value is not acceptable to its group (RFC 6989 §2: off the curve, 0, 1, p−1, or an all-zero X25519
    /// result).
    case invalidPublicValue
    /// The ICV or signature does not match.
    case verificationFailed
    /// libcrypto does not have the algorithm, or failed inside; the text names the operation.
    case unavailable(String)
}
