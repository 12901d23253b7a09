// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

/// A block cipher in CBC mode.
enum CBCCipher {
    case aes(CipherSuite.AESKeyLength), tripleDES

    /// Bytes of the key; with 3DES eight for each of the three, parity bits included (RFC 2451 §2.2).
    var keyLength: Int {
        switch self {
        case .aes(let length): length.rawValue / 8
        case .tripleDES: 3 * Self.desKeyLength
        }
    }

    /// Bytes of a block, and of the IV: a power of two (RFC 3602 §2.4, RFC 2451 §2.4).
    var blockLength: Int {
        switch self {
        case .aes: 16
        case .tripleDES: 8
        }
    }

    /// libcrypto's implementation.
    var algorithm: FetchedAlgorithm {
        switch self {
        case .aes(.bits128): .aes128CBC
        case .aes(.bits192): .aes192CBC
        case .aes(.bits256): .aes256CBC
        case .tripleDES: .tripleDESCBC
        }
    }

    /// Whether `key`, which has ``keyLength`` bytes, may be used.
    ///
    /// RFC 2451 §2.3: 3DES with two equal neighbours among its keys is single DES and must be refused. The lowest bit
    /// of each byte is parity, which counts for nothing. Constant time: every byte is looked at.
    func accepts(_ key: SecretBytes) -> Bool {
        guard case .tripleDES = self else { return true }
        // SAFETY: the key is read inside the closure only, at indices below its length.
        return unsafe key.withUnsafeBytes { bytes in
            var (first, second): (UInt8, UInt8) = (0, 0)
            for index in 0..<Self.desKeyLength {
                let middle = unsafe bytes[Self.desKeyLength + index]
                unsafe first |= (bytes[index] ^ middle) & 0xfe
                unsafe second |= (bytes[2 * Self.desKeyLength + index] ^ middle) & 0xfe
            }
            return first != 0 && second != 0
        }
    }

    private static let desKeyLength = 8
}
