// SPDX-License-Identifier: Apache-2.0
// Adit: Simulation

import AditIKE

/// A seeded generator, so that a run can be repeated.
package struct SplitMix: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(_ seed: UInt64) {
        // The seed is mixed, else neighbouring seeds would give one stream, shifted.
        var value = seed &+ 0x1234_5678_9abc_def1
        value = (value ^ (value >> 32)) &* 0xd6e8_feb8_6659_fd93
        value = (value ^ (value >> 32)) &* 0xd6e8_feb8_6659_fd93
        state = value ^ (value >> 32)
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    /// True with this probability.
    package mutating func chance(_ probability: Double) -> Bool {
        probability > 0 && Double(next() >> 11) / Double(1 << 53) < probability
    }

    /// One of the given values.
    package mutating func pick<Value>(_ values: [Value]) -> Value { values[Int(next() % UInt64(values.count))] }

    /// A number in the range.
    package mutating func number(in range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(next() % UInt64(range.count))
    }
}

/// An entropy source that repeats with its seed. Confined to the thread of its simulation.
package final class SeededEntropy: @unchecked Sendable {
    private var generator: SplitMix

    package init(_ seed: UInt64) { generator = SplitMix(seed) }

    package var source: EntropySource {
        EntropySource { count in
            var bytes: [UInt8] = []
            bytes.reserveCapacity(count + 8)
            while bytes.count < count {
                let word = self.generator.next()
                for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: word >> (8 * UInt64(shift)))) }
            }
            bytes.removeLast(bytes.count - count)
            return bytes
        }
    }
}
