// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

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
    public func digest(_ parts: [UInt8]...) -> [UInt8] { fatalError("filled in by the crypto work") }
}
