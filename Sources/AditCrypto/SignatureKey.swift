// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

internal import COpenSSL

/// A key of libcrypto for signatures, private or public, with its kind: owned, cleared and freed by this object.
@safe final class SignatureKey: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): complete after init and only read; each operation has a context of its own.
    let pointer: OpaquePointer
    let kind: SignatureKeyKind

    /// Takes `pointer` over, also when it throws: ``CryptoError/unavailable(_:)`` for a key that we do not use.
    init(owning pointer: OpaquePointer) throws(CryptoError) {
        guard let kind = unsafe Self.kind(of: pointer) else {
            let name = unsafe EVP_PKEY_get0_type_name(pointer).map { unsafe String(cString: $0) } ?? "unknown"
            let bits = unsafe EVP_PKEY_get_bits(pointer)
            unsafe EVP_PKEY_free(pointer)
            ERR_clear_error()
            throw .unavailable("\(name) key of \(bits) bits")
        }
        unsafe self.pointer = pointer
        self.kind = kind
    }

    deinit {
        // SAFETY: ours alone; libcrypto clears what is private.
        unsafe EVP_PKEY_free(pointer)
    }

    private static func kind(of pointer: OpaquePointer) -> SignatureKeyKind? {
        if unsafe EVP_PKEY_is_a(pointer, "ED25519") == 1 { return .ed25519 }
        if unsafe EVP_PKEY_is_a(pointer, "RSA") == 1 {
            let bits = unsafe Int(EVP_PKEY_get_bits(pointer))
            return SignatureKeyKind.rsaBits.contains(bits) ? .rsa(bits: bits) : nil
        }
        guard unsafe EVP_PKEY_is_a(pointer, "EC") == 1 else { return nil }
        // RFC 5480 §2.1.1: curves are named; parameters in full could be anybody's.
        var explicit: Int32 = 0
        guard
            unsafe EVP_PKEY_get_int_param(pointer, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &explicit) == 1,
            explicit == 0
        else { return nil }
        var name = [CChar](repeating: 0, count: 32)
        guard unsafe EVP_PKEY_get_group_name(pointer, &name, name.count, nil) == 1 else { return nil }
        switch String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) {
        case "prime256v1": return .ecdsa256
        case "secp384r1": return .ecdsa384
        case "secp521r1": return .ecdsa521
        default: return nil
        }
    }

    /// Sets RSA's padding, which a new context does not have.
    func configure(_ context: OpaquePointer?, _ scheme: SignatureScheme) -> Bool {
        switch scheme {
        case .rsaPKCS1:
            return unsafe EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1
        case .rsaPSS(_, let saltLength):
            // MGF1's hash is the signature's own where nothing else is set.
            return unsafe EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1
                && EVP_PKEY_CTX_set_rsa_pss_saltlen(context, Int32(clamping: saltLength)) == 1
        case .ecdsa, .ecdsaConcatenated, .ed25519:
            return true
        }
    }

    /// The name by which libcrypto knows a scheme's hash; nil for none.
    static func digestName(_ scheme: SignatureScheme) -> String? {
        switch scheme.hash {
        case .sha1: "SHA1"
        case .sha256: "SHA2-256"
        case .sha384: "SHA2-384"
        case .sha512: "SHA2-512"
        case nil: nil
        }
    }
}
