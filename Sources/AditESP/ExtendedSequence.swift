// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

/// Extended sequence numbers on the receiving side.
enum ExtendedSequence {
    /// The 64-bit number of a packet whose low half is `low`, when the highest committed number is `top`.
    ///
    /// RFC 4303 Appendix A2.1 and A2.2; nil when the number would lie before the first or past the last subspace.
    @inline(__always) static func infer(low: UInt32, top: UInt64, window: UInt64) -> UInt64? {
        let topLow = top & 0xffff_ffff
        let topHigh = top >> 32
        // The window's left edge in 32 bits; wraps below zero in case B.
        let bottom = UInt32(truncatingIfNeeded: topLow &- window &+ 1)
        if topLow >= window - 1 {
            // Case A: the window lies inside one subspace.
            if low >= bottom { return topHigh << 32 | UInt64(low) }
            guard topHigh < UInt64(UInt32.max) else { return nil }
            return (topHigh + 1) << 32 | UInt64(low)
        }
        // Case B: the window spans two subspaces.
        guard low >= bottom else { return topHigh << 32 | UInt64(low) }
        guard topHigh > 0 else { return nil }
        return (topHigh - 1) << 32 | UInt64(low)
    }
}
