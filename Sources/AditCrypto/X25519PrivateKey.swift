// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

internal import COpenSSL

/// A private key on Curve25519 for Diffie-Hellman (RFC 7748 §5, RFC 8031).
@safe final class X25519PrivateKey: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): the key is complete after init and only read; each derivation has its own context.
    private let key: OpaquePointer

    /// Bytes of private values, public values and shared secrets.
    static let length = 32

    /// A key from 32 uniformly random bytes, which RFC 7748 §5 clamps on use.
    init(_ bytes: SecretBytes) throws(CryptoError) {
        let key = unsafe bytes.withUnsafeBytes { bytes in
            unsafe EVP_PKEY_new_raw_private_key_ex(
                nil, Self.name, nil, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
        }
        guard let key = unsafe key else {
            ERR_clear_error()
            throw .unavailable("EVP_PKEY_new_raw_private_key_ex")
        }
        unsafe self.key = key
    }

    deinit {
        // SAFETY: ours alone; libcrypto clears the private value.
        unsafe EVP_PKEY_free(key)
    }

    /// The public value: 32 octets (RFC 8031 §3.1).
    func publicValue() throws(CryptoError) -> [UInt8] {
        var value = [UInt8](repeating: 0, count: Self.length)
        var count = value.count
        guard unsafe EVP_PKEY_get_raw_public_key(key, &value, &count) == 1, count == Self.length else {
            ERR_clear_error()
            throw .unavailable("EVP_PKEY_get_raw_public_key")
        }
        return value
    }

    /// X25519(our private value, the peer's public value).
    func sharedSecret(with peerPublicValue: [UInt8]) throws(CryptoError) -> SecretBytes {
        // SAFETY: the peer's key and the context are made and freed here.
        let peer = unsafe EVP_PKEY_new_raw_public_key_ex(nil, Self.name, nil, peerPublicValue, peerPublicValue.count)
        let context = unsafe EVP_PKEY_CTX_new_from_pkey(nil, key, nil)
        defer {
            unsafe EVP_PKEY_CTX_free(context)
            unsafe EVP_PKEY_free(peer)
        }
        guard unsafe peer != nil, unsafe EVP_PKEY_derive_init(context) == 1,
            unsafe EVP_PKEY_derive_set_peer_ex(context, peer, 0) == 1
        else {
            ERR_clear_error()
            throw .unavailable("EVP_PKEY_derive_init")
        }
        var derived = false
        let secret = unsafe SecretBytes(count: Self.length) { target in
            var count = target.count
            let base = unsafe target.baseAddress?.assumingMemoryBound(to: UInt8.self)
            derived = unsafe EVP_PKEY_derive(context, base, &count) == 1 && count == target.count
        }
        // RFC 8031 §5, RFC 6989 §2: an all-zero result comes from a point of small order; libcrypto fails then too.
        guard derived, secret != Self.zero else {
            ERR_clear_error()
            throw .invalidPublicValue
        }
        return secret
    }

    private static let name = "X25519"
    private static let zero = SecretBytes([UInt8](repeating: 0, count: length))
}
