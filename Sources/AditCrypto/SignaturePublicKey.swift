// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

internal import COpenSSL

/// A public key that checks signatures. Safe to share between threads.
public final class SignaturePublicKey: Sendable {
    private let key: SignatureKey

    /// The key of a DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), with nothing after it.
    ///
    /// Throws ``CryptoError/malformedInput`` for bytes that are none, and ``CryptoError/unavailable(_:)``, naming the
    /// key, for one that is not used here: other algorithms and curves, RSA outside of ``SignatureKeyKind/rsaBits``.
    public init(subjectPublicKeyInfo bytes: [UInt8]) throws(CryptoError) {
        guard bytes.count <= Self.lengthLimit else { throw .malformedInput }
        // SAFETY: the array lends its bytes for the call; the key goes to its owner below or is freed.
        let (pointer, consumed) = unsafe bytes.withUnsafeBufferPointer { buffer -> (OpaquePointer?, Int) in
            var position = buffer.baseAddress
            let pointer = unsafe d2i_PUBKEY(nil, &position, buffer.count)
            guard let start = buffer.baseAddress, let end = unsafe position else { return (nil, 0) }
            return unsafe (pointer, end - start)
        }
        guard let pointer = unsafe pointer else {
            ERR_clear_error()
            throw .malformedInput
        }
        guard consumed == bytes.count else {
            unsafe EVP_PKEY_free(pointer)
            throw .malformedInput
        }
        key = unsafe try SignatureKey(owning: pointer)
    }

    /// What kind of key it is.
    public var kind: SignatureKeyKind { key.kind }

    /// Whether `signature` over `message` was made with the private key that belongs to this one.
    ///
    /// False as well for a scheme that the key cannot be used with.
    public func isValid(_ signature: [UInt8], over message: [UInt8], _ scheme: SignatureScheme) -> Bool {
        guard scheme.fits(kind), !signature.isEmpty, signature.count <= Self.lengthLimit else { return false }
        var encoded = signature
        if case .ecdsaConcatenated = scheme {
            guard let length = kind.scalarLength,
                let sequence = ECDSASignature.sequence(fromConcatenated: signature, scalarLength: length)
            else { return false }
            encoded = sequence
        }
        // SAFETY: the context is freed here, and frees `parameters`, which it owns; arrays lend their bytes for one
        // call.
        let context = unsafe EVP_MD_CTX_new()
        defer {
            unsafe EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        var parameters: OpaquePointer?
        guard
            unsafe EVP_DigestVerifyInit_ex(
                context, &parameters, SignatureKey.digestName(scheme), nil, nil, key.pointer, nil) == 1,
            unsafe key.configure(parameters, scheme)
        else { return false }
        return unsafe EVP_DigestVerify(context, encoded, encoded.count, message, message.count) == 1
    }

    /// Whether `privateKey` is the other half.
    public func belongs(to privateKey: SignaturePrivateKey) -> Bool {
        defer { ERR_clear_error() }
        return unsafe EVP_PKEY_eq(key.pointer, privateKey.key.pointer) == 1
    }

    /// Bytes of a key or signature that are looked at, at the most: RSA 8192 needs about 1050.
    private static let lengthLimit = 4096
}
