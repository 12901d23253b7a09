// SPDX-License-Identifier: Apache-2.0
// Adit: AditCryptoTests

import AditCrypto

/// The bytes that pairs of hex digits name; spaces and line breaks are left out.
func hex(_ text: String) -> [UInt8] {
    let digits = text.utf8.compactMap { character -> UInt8? in
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
        default: nil
        }
    }
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

extension SecretBytes {
    /// A copy to compare with.
    var array: [UInt8] { withUnsafeBytes { [UInt8]($0) } }
}

/// Bytes without a pattern, the same in every run (a linear congruential generator).
func arbitraryBytes(_ count: Int, seed: UInt64) -> [UInt8] {
    var state = seed &* 2_862_933_555_777_941_757 &+ 3_037_000_493
    return (0..<count).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 56)
    }
}
