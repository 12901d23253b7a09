// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

public import AditWire

/// The largest inner packet that fits a path as one ESP-in-UDP datagram.
public enum PathMTU {
    /// The smallest tunnel MTU that is used, whatever the path says: below it IPv6 does not work (RFC 8200 §5).
    public static let smallest = 1280
    /// The largest.
    public static let largest = 65_535

    /// The tunnel MTU, never below ``smallest``.
    ///
    /// `path` is the outer MTU in bytes; the lengths are the suite's (`ivLength`, `icvLength`, and `blockLength` 1
    /// for an AEAD).
    public static func tunnelMTU(
        path: Int, outerFamily: IPAddress.Family, ivLength: Int, icvLength: Int, blockLength: Int
    ) -> Int {
        let outerHeader = outerFamily == .v4 ? 20 : 40
        let udpHeader = 8
        let room = path - outerHeader - udpHeader - ESPHeader.length - ivLength - icvLength
        // RFC 4303 §2.4: text, padding, pad length and next header fill blocks, or 4-octet words.
        let block = max(blockLength, 4)
        return min(max(room / block * block - 2, smallest), largest)
    }
}
