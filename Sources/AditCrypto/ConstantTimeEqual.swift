// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

internal import COpenSSL

/// Whether two byte strings are the same, in time that depends on their lengths only (for MACs, AUTH data, cookies).
public func constantTimeEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    // SAFETY: both arrays lend `count` bytes for this one call.
    return unsafe left.withUnsafeBytes { a in
        unsafe right.withUnsafeBytes { b in unsafe CRYPTO_memcmp(a.baseAddress, b.baseAddress, a.count) == 0 }
    }
}
