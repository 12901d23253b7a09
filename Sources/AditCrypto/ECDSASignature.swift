// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

internal import COpenSSL

/// The two encodings of an ECDSA signature.
enum ECDSASignature {
    /// The DER sequence of r and s from r and s one after the other (RFC 4754 §7); nil for another length.
    static func sequence(fromConcatenated bytes: [UInt8], scalarLength: Int) -> [UInt8]? {
        guard bytes.count == 2 * scalarLength else { return nil }
        var content: [UInt8] = []
        for scalar in [bytes[..<scalarLength], bytes[scalarLength...]] {
            var digits = Array(scalar.drop { $0 == 0 })
            // X.690 §8.3.2: no more leading zeros than the sign needs.
            if digits.first.map({ $0 & 0x80 != 0 }) ?? true { digits.insert(0, at: 0) }
            content += [integerTag, UInt8(digits.count)] + digits
        }
        return (content.count < 0x80 ? [sequenceTag] : [sequenceTag, 0x81]) + [UInt8(content.count)] + content
    }

    /// r and s one after the other from the DER sequence; nil where they do not fit.
    static func concatenated(fromSequence bytes: [UInt8], scalarLength: Int) -> [UInt8]? {
        // SAFETY: the signature is made and freed here, r and s belong to it.
        let signature = unsafe bytes.withUnsafeBufferPointer { buffer -> OpaquePointer? in
            var position = buffer.baseAddress
            return unsafe d2i_ECDSA_SIG(nil, &position, buffer.count)
        }
        defer { unsafe ECDSA_SIG_free(signature) }
        guard unsafe signature != nil else { return nil }
        var r = [UInt8](repeating: 0, count: scalarLength)
        var s = r
        let length = Int32(scalarLength)
        guard unsafe BN_bn2binpad(ECDSA_SIG_get0_r(signature), &r, length) == length,
            unsafe BN_bn2binpad(ECDSA_SIG_get0_s(signature), &s, length) == length
        else { return nil }
        return r + s
    }

    private static let integerTag: UInt8 = 0x02
    private static let sequenceTag: UInt8 = 0x30
}
