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
    /// 3DES in CBC mode (RFC 2451) with an HMAC over the ciphertext: legacy, for peers that have nothing better.
    case tripleDESCBC(Integrity)

    /// AES key lengths in bits.
    public enum AESKeyLength: Int, Hashable, Sendable, CaseIterable {
        case bits128 = 128
        case bits192 = 192
        case bits256 = 256
    }

    /// HMACs with their truncated ICV; MD5's is legacy.
    public enum Integrity: Hashable, Sendable, CaseIterable {
        case hmacMD5_96, hmacSHA1_96, hmacSHA256_128, hmacSHA384_192, hmacSHA512_256
    }

    /// Encryption key bytes taken from the keying material, an AEAD's 4-octet salt included.
    public var encryptionKeyLength: Int {
        switch self {
        case .aesGCM16(let key): key.rawValue / 8 + Self.saltLength
        case .chaCha20Poly1305: 32 + Self.saltLength
        case .aesCBC(let key, _): CBCCipher.aes(key).keyLength
        case .tripleDESCBC: CBCCipher.tripleDES.keyLength
        }
    }

    /// Integrity key bytes, which follow the encryption key (RFC 7296 §2.17); 0 for an AEAD.
    public var integrityKeyLength: Int {
        // RFC 2403 §3, RFC 2404 §3, RFC 4868 §2.1.1: the key is as long as the hash function's output.
        integrity?.hash.outputLength ?? 0
    }

    /// The explicit IV on the wire in bytes.
    public var ivLength: Int {
        switch self {
        case .aesGCM16, .chaCha20Poly1305: 8
        // RFC 3602 §3, RFC 2451 §3: CBC's is a block.
        case .aesCBC, .tripleDESCBC: blockLength
        }
    }

    /// The ICV on the wire in bytes.
    public var icvLength: Int { integrity?.icvLength ?? aeadTagLength }

    /// What the plaintext (with padding and trailer) must be a multiple of: the cipher's block, or 1 for an AEAD.
    public var blockLength: Int {
        switch self {
        case .aesGCM16, .chaCha20Poly1305: 1
        case .aesCBC(let key, _): CBCCipher.aes(key).blockLength
        case .tripleDESCBC: CBCCipher.tripleDES.blockLength
        }
    }

    /// Whether this is an AEAD.
    public var isAEAD: Bool { integrity == nil }

    /// The HMAC that goes with the cipher; nil for an AEAD.
    public var integrity: Integrity? {
        switch self {
        case .aesGCM16, .chaCha20Poly1305: nil
        case .aesCBC(_, let integrity), .tripleDESCBC(let integrity): integrity
        }
    }

    /// Whether libcrypto has 3DES: builds and configurations that keep to a standard, as FIPS 140, may refuse it.
    public static var hasTripleDES: Bool { unsafe FetchedAlgorithm.tripleDESCBC.pointer != nil }

    /// RFC 4106 §4, RFC 7634 §2: the nonce's first four octets come with the key.
    static let saltLength = 4

    /// Bytes of the whole key: encryption, salt and integrity, in this order.
    public var keyLength: Int { encryptionKeyLength + integrityKeyLength }
}

extension CipherSuite.Integrity {
    /// Whether libcrypto has it: builds and configurations that keep to a standard, as FIPS 140, may refuse MD5.
    public var isAvailable: Bool { HMACContext.isAvailable(hash) }

    /// The hash function under the HMAC.
    var hash: HMACContext.Hash {
        switch self {
        case .hmacMD5_96: .md5
        case .hmacSHA1_96: .sha1
        case .hmacSHA256_128: .sha256
        case .hmacSHA384_192: .sha384
        case .hmacSHA512_256: .sha512
        }
    }

    /// RFC 2403 §2, RFC 2404 §2: 96 bits; RFC 4868 §2.3: half of the hash function's output.
    var icvLength: Int {
        switch self {
        case .hmacMD5_96, .hmacSHA1_96: 12
        case .hmacSHA256_128: 16
        case .hmacSHA384_192: 24
        case .hmacSHA512_256: 32
        }
    }
}
