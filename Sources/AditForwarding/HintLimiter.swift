// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditWire

/// Lets one hint a second pass for each number (an SPI, a policy), with a bound on all hints of a second.
///
/// A direct-mapped table: two numbers in one place take turns and may be told more often than once a second, but never
/// more than ``rateLimit`` in all. One worker's, not thread-safe.
@safe struct HintLimiter: ~Copyable {
    /// Numbers that are remembered.
    static let capacity = 1024
    /// Hints a second.
    static let rateLimit = 256

    /// Whether to tell, and whether the number was not remembered.
    enum Verdict { case first, again, quiet }

    private struct Entry {
        var number: UInt32
        var isUsed: Bool
        var since: UInt64
    }

    private let entries: UnsafeMutablePointer<Entry>
    private var second: UInt64 = 0
    private var thisSecond = 0

    init() {
        // SAFETY: the block is this value's alone and freed in deinit; indices are masked to the capacity.
        unsafe entries = .allocate(capacity: Self.capacity)
        unsafe entries.initialize(repeating: Entry(number: 0, isUsed: false, since: 0), count: Self.capacity)
    }

    deinit { unsafe entries.deallocate() }

    /// Decides about `number` at `now`.
    @inline(__always) mutating func verdict(_ number: UInt32, now: Timestamp) -> Verdict {
        let index = Int((number &* 0x9e37_79b1) >> 22)
        let entry = unsafe entries[index]
        let known = entry.isUsed && entry.number == number
        if known, now.nanoseconds &- entry.since < 1_000_000_000 { return .quiet }
        guard pass(now) else { return .quiet }
        unsafe entries[index] = Entry(number: number, isUsed: true, since: now.nanoseconds)
        return known ? .again : .first
    }

    private mutating func pass(_ now: Timestamp) -> Bool {
        let second = now.nanoseconds / 1_000_000_000
        if second != self.second {
            self.second = second
            thisSecond = 0
        }
        thisSecond += 1
        return thisSecond <= Self.rateLimit
    }
}
