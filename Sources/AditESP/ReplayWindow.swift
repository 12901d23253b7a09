// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

/// The anti-replay window of one inbound SA (RFC 4303 §3.4.3) as a ring of 64-bit words (RFC 6479).
///
/// Numbers are 64 bits wide, with ESN or without. Checking and committing are apart: a number is committed only after
/// its packet's ICV held. One owner, not thread-safe. Memory is allocated once, in the initializer.
@safe public struct ReplayWindow: ~Copyable {
    /// What a sequence number is to the window.
    public enum Verdict: Sendable { case fresh, replayed, tooOld }

    /// The smallest window in packets.
    public static let minimumSize = 64
    /// The largest window in packets.
    public static let maximumSize = 65_536

    /// The window in packets.
    public let size: UInt64
    /// The highest number committed; 0 before the first.
    public private(set) var top: UInt64 = 0

    private let words: UnsafeMutablePointer<UInt64>
    private let mask: UInt64

    /// A window of `size` packets, brought into `minimumSize ... maximumSize`.
    public init(size: Int) {
        let size = min(max(size, Self.minimumSize), Self.maximumSize)
        self.size = UInt64(size)
        // RFC 6479 §2: one word more than the window, as the highest number lies anywhere in its word; a power of two.
        var count = 2
        while count < (size + 63) / 64 + 1 { count *= 2 }
        mask = UInt64(count - 1)
        // SAFETY: owned by the window, freed in deinit; every index is masked to the count.
        unsafe words = .allocate(capacity: count)
        unsafe words.initialize(repeating: 0, count: count)
    }

    deinit {
        unsafe words.deallocate()
    }

    /// Whether `sequence` may be accepted. 0 never is: the first number is 1 (RFC 4303 §3.3.3).
    @inline(__always) public func check(_ sequence: UInt64) -> Verdict {
        guard sequence <= top else { return .fresh }
        guard sequence != 0, top &- sequence < size else { return .tooOld }
        let word = unsafe words[Int(truncatingIfNeeded: sequence >> 6 & mask)]
        return word >> (sequence & 63) & 1 == 0 ? .fresh : .replayed
    }

    /// Records `sequence`, which ``check(_:)`` called fresh; true when it is the highest so far.
    @inline(__always) @discardableResult public mutating func commit(_ sequence: UInt64) -> Bool {
        let index = sequence >> 6
        let isNewest = sequence > top
        if isNewest {
            // Words between the old and the new highest become empty; more than all of them is all of them.
            var stale = min(index &- (top >> 6), mask &+ 1)
            while stale > 0 {
                stale &-= 1
                unsafe words[Int(truncatingIfNeeded: (index &- stale) & mask)] = 0
            }
            top = sequence
        }
        // Not `|=` on the element: with it the compiler's thread sanitizer pass makes invalid code (6.3.1).
        let word = unsafe words + Int(truncatingIfNeeded: index & mask)
        unsafe word.pointee = word.pointee | 1 << (sequence & 63)
        return isNewest
    }
}
