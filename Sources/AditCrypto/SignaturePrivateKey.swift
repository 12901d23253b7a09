// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

internal import COpenSSL

/// A private key that signs: kept by libcrypto, cleared when the last reference goes, never printed.
///
/// Safe to share between threads. ECDSA and RSASSA-PSS draw on libcrypto's own random generator when they sign.
public final class SignaturePrivateKey: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    let key: SignatureKey

    /// The first private key in a PEM file (RFC 7468): PKCS#8, encrypted or not, or the older forms of RSA and EC keys.
    ///
    /// Throws ``CryptoError/malformedInput`` where there is none that can be read, ``CryptoError/verificationFailed``
    /// for one that the passphrase (nil: none) does not open, and ``CryptoError/unavailable(_:)`` for a kind not used
    /// here.
    public init(pem: SecretBytes, passphrase: SecretBytes? = nil) throws(CryptoError) {
        guard (1...Self.lengthLimit).contains(pem.count) else { throw .malformedInput }
        var asked = PassphraseRequest(passphrase: passphrase)
        ERR_clear_error()
        // SAFETY: the BIO reads the secret where it lies and is freed before it is given back; `asked` outlives the
        // call.
        let pointer = unsafe pem.withUnsafeBytes { bytes -> OpaquePointer? in
            let bio = unsafe BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count))
            defer { unsafe BIO_free(bio) }
            return unsafe withUnsafeMutablePointer(to: &asked) { request in
                unsafe PEM_read_bio_PrivateKey(
                    bio, nil, { unsafe PassphraseRequest.answer($0, $1, $3) }, request)
            }
        }
        ERR_clear_error()
        guard let pointer = unsafe pointer else { throw asked.wasAsked ? .verificationFailed : .malformedInput }
        key = unsafe try SignatureKey(owning: pointer)
    }

    /// What kind of key it is.
    public var kind: SignatureKeyKind { key.kind }

    /// The signature over `message`.
    ///
    /// Throws ``CryptoError/malformedInput`` for a scheme that the key cannot be used with.
    public func signature(over message: [UInt8], _ scheme: SignatureScheme) throws(CryptoError) -> [UInt8] {
        guard scheme.fits(kind) else { throw .malformedInput }
        // SAFETY: the context is freed here, and frees `parameters`, which it owns; arrays lend their bytes for one
        // call.
        let context = unsafe EVP_MD_CTX_new()
        defer {
            unsafe EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        var parameters: OpaquePointer?
        var signature = [UInt8](repeating: 0, count: unsafe Int(EVP_PKEY_get_size(key.pointer)))
        var count = signature.count
        guard
            unsafe EVP_DigestSignInit_ex(
                context, &parameters, SignatureKey.digestName(scheme), nil, nil, key.pointer, nil) == 1,
            unsafe key.configure(parameters, scheme),
            unsafe EVP_DigestSign(context, &signature, &count, message, message.count) == 1, count <= signature.count
        else { throw .unavailable("EVP_DigestSign") }
        signature.removeLast(signature.count - count)
        guard case .ecdsaConcatenated = scheme, let length = kind.scalarLength else { return signature }
        guard let concatenated = ECDSASignature.concatenated(fromSequence: signature, scalarLength: length) else {
            throw .unavailable("d2i_ECDSA_SIG")
        }
        return concatenated
    }

    /// Whether both are the same key.
    public static func == (left: SignaturePrivateKey, right: SignaturePrivateKey) -> Bool {
        defer { ERR_clear_error() }
        // The public halves are compared: each belongs to one private key only.
        return unsafe left === right || EVP_PKEY_eq(left.key.pointer, right.key.pointer) == 1
    }

    /// The kind, never the key.
    public var description: String { "SignaturePrivateKey(\(kind))" }

    /// Nothing: reflection shows no content either.
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// Bytes of a PEM file at the most.
    private static let lengthLimit = 65_536
}

/// What libcrypto asks while it reads an encrypted key: without an answer of ours it would ask on the terminal.
private struct PassphraseRequest {
    let passphrase: SecretBytes?
    var wasAsked = false

    /// pem_password_cb.
    static func answer(_ buffer: UnsafeMutablePointer<CChar>?, _ size: Int32, _ user: UnsafeMutableRawPointer?) -> Int32
    {
        // SAFETY: `user` is the request that the caller of PEM_read_bio_PrivateKey lends; the buffer has `size` bytes.
        guard let request = unsafe user?.assumingMemoryBound(to: PassphraseRequest.self) else { return -1 }
        unsafe request.pointee.wasAsked = true
        guard let passphrase = unsafe request.pointee.passphrase, passphrase.count <= Int(size) else { return -1 }
        unsafe passphrase.withUnsafeBytes { bytes in
            let target = unsafe UnsafeMutableRawBufferPointer(start: buffer, count: bytes.count)
            unsafe target.copyMemory(from: bytes)
        }
        return Int32(passphrase.count)
    }
}
