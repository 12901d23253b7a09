// SPDX-License-Identifier: Apache-2.0
// Adit: AditESPTests

import Testing

@testable import AditESP

/// RFC 4303 Appendix A2.
@Suite struct ExtendedSequenceTests {
    /// Whoever sends within half a subspace of the window's top is understood.
    @Test(arguments: [UInt64(64), 4096, 65_536], [UInt64(11), 12])
    func infersWhatIsNearTheWindow(window: UInt64, seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let edges: [UInt64] = [
            1, 64, 4096, 65_536, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 63, (1 << 32) + 65_536,
        ]
        for _ in 0..<20_000 {
            let edge = edges.randomElement(using: &generator) ?? 1
            let subspace = UInt64.random(in: 0...3, using: &generator) << 32
            let top = subspace + edge - min(edge, UInt64.random(in: 0...200, using: &generator))
            // From the window's left edge up to a subspace further, less the window.
            let lowest = top >= window - 1 ? top + 1 - window : 0
            let sequence = lowest + UInt64.random(in: 0..<(1 << 32), using: &generator)
            guard
                ExtendedSequence.infer(low: UInt32(truncatingIfNeeded: sequence), top: top, window: window) == sequence
            else {
                Issue.record("seed \(seed) window \(window) top \(top) sequence \(sequence)")
                return
            }
        }
    }

    /// Case A, RFC 4303 Appendix A2.1.
    @Test func windowInsideOneSubspace() {
        let top: UInt64 = 5 << 32 | 1000
        #expect(ExtendedSequence.infer(low: 1000 - 63, top: top, window: 64) == UInt64(5 << 32 | 937))
        #expect(ExtendedSequence.infer(low: 1000 - 64, top: top, window: 64) == UInt64(6 << 32 | 936))
        #expect(ExtendedSequence.infer(low: 0xffff_ffff, top: top, window: 64) == UInt64(5 << 32 | 0xffff_ffff))
    }

    /// Case B, RFC 4303 Appendix A2.1.
    @Test func windowAcrossTwoSubspaces() {
        let top: UInt64 = 5 << 32 | 10
        #expect(ExtendedSequence.infer(low: 0xffff_fff0, top: top, window: 64) == UInt64(4 << 32 | 0xffff_fff0))
        #expect(ExtendedSequence.infer(low: 11, top: top, window: 64) == UInt64(5 << 32 | 11))
        #expect(ExtendedSequence.infer(low: 0x8000_0000, top: top, window: 64) == UInt64(5 << 32 | 0x8000_0000))
    }

    @Test func nothingLiesBeforeTheFirstOrAfterTheLastSubspace() {
        #expect(ExtendedSequence.infer(low: 0xffff_ffff, top: 10, window: 64) == nil)
        #expect(ExtendedSequence.infer(low: 5, top: .max - 1, window: 64) == nil)
    }
}
