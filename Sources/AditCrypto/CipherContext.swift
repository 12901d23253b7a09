// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

internal import COpenSSL

/// Makes the `EVP_CIPHER_CTX` of a suite: key set, padding off. The caller frees it (which clears the key schedule).
enum CipherContext {
    enum Direction { case seal, open }

    /// `key` is exactly as long as the cipher's key. Throws if libcrypto does not have the cipher.
    static func make(
        _ cipher: FetchedAlgorithm, key: SecretBytes, _ direction: Direction
    ) throws(CryptoError) -> OpaquePointer {
        // SAFETY: the context goes to the caller or is freed here; the key is read during the call only.
        guard let algorithm = unsafe cipher.pointer, let context = unsafe EVP_CIPHER_CTX_new() else {
            throw .unavailable("EVP_CIPHER_fetch")
        }
        let initialised = unsafe key.withUnsafeBytes { key in
            let bytes = unsafe key.baseAddress?.assumingMemoryBound(to: UInt8.self)
            return switch direction {
            case .seal: unsafe EVP_EncryptInit_ex2(context, algorithm, bytes, nil, nil)
            case .open: unsafe EVP_DecryptInit_ex2(context, algorithm, bytes, nil, nil)
            }
        }
        guard initialised == 1, unsafe EVP_CIPHER_CTX_get_key_length(context) == Int32(key.count),
            unsafe EVP_CIPHER_CTX_set_padding(context, 0) == 1
        else {
            unsafe EVP_CIPHER_CTX_free(context)
            ERR_clear_error()
            throw .unavailable("EVP_CipherInit_ex2")
        }
        return unsafe context
    }
}

/// What sealing and opening have in common.
enum PacketLimit {
    /// More than any packet has (64 KiB over IP): lengths up to it fit libcrypto's `int` and cannot overflow a sum.
    static let textLength = 1 << 24
}

/// RFC 4106 §6, RFC 7634 §2: an ICV of 16 octets is the only one here.
let aeadTagLength = 16
/// RFC 4106 §4, RFC 7634 §2: salt and explicit IV.
let nonceLength = 12

/// Writes the nonce salt | IV to `target` (12 bytes).
func writeNonce(_ target: UnsafeMutableRawBufferPointer, salt: SecretBytes, iv: UInt64) {
    // SAFETY: the buffer is bounds-checked; the salt is lent for the copy.
    unsafe salt.withUnsafeBytes { unsafe target.copyMemory(from: $0) }
    unsafe target.storeBytes(of: iv.bigEndian, toByteOffset: CipherSuite.saltLength, as: UInt64.self)
}

/// The additional authenticated data of an AEAD, where it is not the packet's prefix itself.
enum ExtendedAAD {
    /// RFC 4106 §5, RFC 7634 §2.1: SPI, then the 64-bit sequence number of which the packet carries the low half.
    static let length = 12
    /// The prefix that extended sequence numbers go with: SPI and low half.
    static let prefixLength = 8

    /// Writes SPI | high | low to `target` (12 bytes).
    @inline(__always)
    static func write(_ target: UnsafeMutableRawPointer, prefix: UnsafeRawPointer, high: UInt32) {
        // SAFETY: the caller lends 12 bytes of target and 8 of prefix.
        unsafe target.storeBytes(of: prefix.loadUnaligned(as: UInt32.self), as: UInt32.self)
        unsafe target.storeBytes(of: high.bigEndian, toByteOffset: 4, as: UInt32.self)
        unsafe target.storeBytes(
            of: prefix.loadUnaligned(fromByteOffset: 4, as: UInt32.self), toByteOffset: 8, as: UInt32.self)
    }
}
