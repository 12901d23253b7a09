// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditCrypto

/// The hash functions that a side can verify signatures with: the data of SIGNATURE_HASH_ALGORITHMS (RFC 7427 §4).
public struct SignatureHashes: Hashable, Sendable {
    /// IANA's numbers, in the order of the notification.
    public let numbers: [UInt16]

    /// What we can verify: SHA-1 is not among it (RFC 8247 §4.1.1).
    public static let ours = SignatureHashes(numbers: [2, 3, 4, identity])

    init(numbers: [UInt16]) { self.numbers = numbers }

    /// Reads a notification; an odd octet at its end and whatever exceeds the limit are left out.
    public init(data: [UInt8]) {
        numbers = stride(from: 0, to: min(data.count - 1, 2 * Self.limit), by: 2).map {
            UInt16(data[$0]) << 8 | UInt16(data[$0 + 1])
        }
    }

    /// The notification's data.
    public var data: [UInt8] { numbers.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] } }

    /// Whether a scheme's hash, or "identity" for one without, is in it.
    public func contains(_ scheme: SignatureScheme) -> Bool { numbers.contains(Self.number(scheme.hash)) }

    // RFC 7427 §7; RFC 8420 §2.
    private static func number(_ hash: HashAlgorithm?) -> UInt16 {
        switch hash {
        case .sha1: 1
        case .sha256: 2
        case .sha384: 3
        case .sha512: 4
        case nil: identity
        }
    }

    private static let identity: UInt16 = 5
    private static let limit = 64
}
