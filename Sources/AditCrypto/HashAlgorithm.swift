// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

internal import COpenSSL

/// The hash functions that PRFs, integrity algorithms and signatures are built on.
public enum HashAlgorithm: Hashable, Sendable, CaseIterable {
    case sha1, sha256, sha384, sha512

    /// The output length in bytes.
    public var outputLength: Int {
        switch self {
        case .sha1: 20
        case .sha256: 32
        case .sha384: 48
        case .sha512: 64
        }
    }

    /// The digest of `parts`, one after the other.
    public func digest(_ parts: [UInt8]...) -> [UInt8] {
        // SAFETY: the context is ours until the defer; each array lends its bytes for one call.
        let context = unsafe EVP_MD_CTX_new()
        defer { unsafe EVP_MD_CTX_free(context) }
        var done = unsafe EVP_DigestInit_ex2(context, fetched.pointer, nil) == 1
        for part in parts where done {
            unsafe part.withUnsafeBytes { done = unsafe EVP_DigestUpdate(context, $0.baseAddress, $0.count) == 1 }
        }
        let result = unsafe [UInt8](unsafeUninitializedCapacity: outputLength) { target, count in
            done = unsafe done && EVP_DigestFinal_ex(context, target.baseAddress, nil) == 1
            count = done ? outputLength : 0
        }
        precondition(done, "libcrypto has the SHA-1 and SHA-2 functions and memory for one context")
        return result
    }

    var fetched: FetchedAlgorithm {
        switch self {
        case .sha1: .sha1
        case .sha256: .sha256
        case .sha384: .sha384
        case .sha512: .sha512
        }
    }
}
