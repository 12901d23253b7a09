// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

internal import COpenSSL

/// Makes HMAC contexts (`EVP_MAC_CTX`), keyed and ready for input, without a fetch by name.
///
/// `EVP_MAC_init(context, nil, 0, nil)` starts such a context over with the same key, and costs no key schedule.
@safe struct HMACContext: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): written once, before it is shared; afterwards only duplicated, which reads it.
    private let template: OpaquePointer?

    /// A context with this key, or nil if libcrypto has no such HMAC. The caller frees it (`EVP_MAC_CTX_free`).
    static func make(_ hash: Hash, key: UnsafeRawBufferPointer) -> OpaquePointer? {
        // SAFETY: the duplicate is ours to give away; the key is read during the call only. An empty key still
        // needs an address, since a nil key means "as before".
        guard let source = unsafe hash.context.template, let context = unsafe EVP_MAC_CTX_dup(source) else {
            return nil
        }
        var empty: UInt8 = 0
        let keyed =
            if let bytes = key.baseAddress {
                unsafe EVP_MAC_init(context, bytes.assumingMemoryBound(to: UInt8.self), key.count, nil)
            } else {
                unsafe EVP_MAC_init(context, &empty, 0, nil)
            }
        guard keyed == 1 else {
            unsafe EVP_MAC_CTX_free(context)
            ERR_clear_error()
            return nil
        }
        return unsafe context
    }

    /// Whether libcrypto has this HMAC.
    static func isAvailable(_ hash: Hash) -> Bool { unsafe hash.context.template != nil }

    /// A context with its digest chosen (which is what would fetch) and some key, since only a keyed one can be
    /// duplicated.
    private init(digest name: StaticString) {
        // SAFETY: a StaticString's bytes are immortal and end in NUL; libcrypto copies the name and does not write to
        // it.
        var parameters = unsafe [
            adit_param_digest(UnsafeMutableRawPointer(mutating: name.utf8Start).assumingMemoryBound(to: CChar.self)),
            OSSL_PARAM_construct_end(),
        ]
        var key: UInt8 = 0
        let context = unsafe EVP_MAC_CTX_new(FetchedAlgorithm.hmac.pointer)
        if unsafe EVP_MAC_init(context, &key, 1, &parameters) == 1 {
            unsafe template = context
        } else {
            unsafe EVP_MAC_CTX_free(context)
            ERR_clear_error()
            unsafe template = nil
        }
    }

    fileprivate static let md5 = HMACContext(digest: "MD5")
    fileprivate static let sha1 = HMACContext(digest: "SHA1")
    fileprivate static let sha256 = HMACContext(digest: "SHA2-256")
    fileprivate static let sha384 = HMACContext(digest: "SHA2-384")
    fileprivate static let sha512 = HMACContext(digest: "SHA2-512")
}

extension HMACContext {
    /// The hash functions under an HMAC. Those of ``HashAlgorithm``, which sign too, and MD5, which is nowhere else.
    enum Hash {
        case md5, sha1, sha256, sha384, sha512

        /// The output length in bytes.
        var outputLength: Int {
            switch self {
            case .md5: 16
            case .sha1: HashAlgorithm.sha1.outputLength
            case .sha256: HashAlgorithm.sha256.outputLength
            case .sha384: HashAlgorithm.sha384.outputLength
            case .sha512: HashAlgorithm.sha512.outputLength
            }
        }

        fileprivate var context: HMACContext {
            switch self {
            case .md5: .md5
            case .sha1: .sha1
            case .sha256: .sha256
            case .sha384: .sha384
            case .sha512: .sha512
            }
        }
    }
}
