// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

internal import COpenSSL

/// An algorithm of libcrypto, fetched once and kept for the life of the process: a fetch by name takes locks and
/// compares strings, so none happens for a packet or a handshake.
///
/// Nil where libcrypto was built or configured without the algorithm.
@safe struct FetchedAlgorithm: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): libcrypto's method objects are immutable and never freed here.
    let pointer: OpaquePointer?

    static let sha1 = digest("SHA1")
    static let sha256 = digest("SHA2-256")
    static let sha384 = digest("SHA2-384")
    static let sha512 = digest("SHA2-512")

    static let aes128GCM = cipher("AES-128-GCM")
    static let aes192GCM = cipher("AES-192-GCM")
    static let aes256GCM = cipher("AES-256-GCM")
    static let aes128CBC = cipher("AES-128-CBC")
    static let aes192CBC = cipher("AES-192-CBC")
    static let aes256CBC = cipher("AES-256-CBC")
    static let tripleDESCBC = cipher("DES-EDE3-CBC")
    static let chaCha20Poly1305 = cipher("ChaCha20-Poly1305")

    static let hmac = unsafe FetchedAlgorithm(pointer: EVP_MAC_fetch(nil, "HMAC", nil))

    private static func digest(_ name: String) -> FetchedAlgorithm {
        unsafe FetchedAlgorithm(pointer: EVP_MD_fetch(nil, name, nil))
    }

    private static func cipher(_ name: String) -> FetchedAlgorithm {
        unsafe FetchedAlgorithm(pointer: EVP_CIPHER_fetch(nil, name, nil))
    }
}
