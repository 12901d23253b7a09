// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

/// Lets through so many a second and no more: a bucket that refills with time.
///
/// RFC 7296 §2.21.4: a node limits the rate at which it answers unprotected messages.
struct RateLimit: Sendable {
    private let interval: UInt64
    private let capacity: UInt64
    // The time, in nanoseconds, until which the bucket's content is spoken for.
    private var spokenFor: UInt64 = 0

    /// `perSecond` on average, as many at once at the most.
    init(perSecond: UInt64) {
        interval = 1_000_000_000 / max(perSecond, 1)
        capacity = perSecond
    }

    /// Takes one; false when there is none left at `now`.
    mutating func take(_ now: Timestamp) -> Bool {
        let start = max(spokenFor, now.nanoseconds)
        guard start - now.nanoseconds < interval &* capacity else { return false }
        spokenFor = start &+ interval
        return true
    }
}
