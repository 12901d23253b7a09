// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

/// How the packets of an SA are protected: an AEAD, or a cipher with an HMAC. Used by ESP and by IKE's SK payload.
public enum CipherSuite: Hashable, Sendable {
    /// AES-GCM with a 16-octet ICV (RFC 4106, RFC 5282) and a key of 128, 192 or 256 bits.
    case aesGCM16(AESKeyLength)
    /// ChaCha20-Poly1305 (RFC 7634).
    case chaCha20Poly1305
    /// AES-CBC (RFC 3602) with an HMAC over the ciphertext (RFC 2404, RFC 4868).
    case aesCBC(AESKeyLength, Integrity)

    /// AES key lengths in bits.
    public enum AESKeyLength: Int, Hashable, Sendable, CaseIterable {
        case bits128 = 128
        case bits192 = 192
        case bits256 = 256
    }

    /// HMACs with their truncated ICV.
    public enum Integrity: Hashable, Sendable, CaseIterable {
        case hmacSHA1_96, hmacSHA256_128, hmacSHA384_192, hmacSHA512_256
    }

    /// Encryption key bytes taken from the keying material, an AEAD's 4-octet salt included.
    public var encryptionKeyLength: Int { fatalError("filled in by the crypto work") }
    /// Integrity key bytes, which follow the encryption key (RFC 7296 §2.17); 0 for an AEAD.
    public var integrityKeyLength: Int { fatalError("filled in by the crypto work") }
    /// The explicit IV on the wire in bytes.
    public var ivLength: Int { fatalError("filled in by the crypto work") }
    /// The ICV on the wire in bytes.
    public var icvLength: Int { fatalError("filled in by the crypto work") }
    /// What the plaintext (with padding and trailer) must be a multiple of: the cipher's block, or 1 for an AEAD.
    public var blockLength: Int { fatalError("filled in by the crypto work") }
    /// Whether this is an AEAD.
    public var isAEAD: Bool { integrityKeyLength == 0 }
}
