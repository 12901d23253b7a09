// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

public enum ESPSeal {
    /// The most that is written before the inner packet.
    public static let headRoom = 24
    /// The most that is written after it: padding to 16, trailer, the longest ICV.
    public static let tailRoom = 64
    /// Seals the inner packet at `packet` in place; the ESP packet begins `sa.headerLength` bytes before it. Returns its length, 0 on failure.
    public static func seal(
        _ packet: UnsafeMutableRawPointer, length: Int, sequence: UInt64, sa: UnsafeMutablePointer<OutboundSA>, reader: SAReader
    ) -> Int { fatalError() }
    /// The outer traffic class (RFC 6040 §4.1, RFC 2983).
    public static func outerTrafficClass(inner: UInt8, sa: UnsafeMutablePointer<OutboundSA>) -> UInt8 { fatalError() }
}
