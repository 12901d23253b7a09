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

    /// Whether there is one left at `now`.
    func allows(_ now: Timestamp) -> Bool {
        max(spokenFor, now.nanoseconds) - now.nanoseconds < interval &* capacity
    }

    /// Takes one; false when there is none left at `now`.
    mutating func take(_ now: Timestamp) -> Bool {
        let start = max(spokenFor, now.nanoseconds)
        guard start - now.nanoseconds < interval &* capacity else { return false }
        spokenFor = start &+ interval
        return true
    }
}

/// Lets through so many a second of one source address, and so many in all, in memory that does not grow.
///
/// Sources share a bucket where their hashes meet; which ones do depends on ``key``.
struct SourceRateLimit: Sendable {
    /// Buckets, each for the sources whose hash it is.
    static let buckets = 1024

    /// What attackers do not know, so that they cannot choose addresses that share somebody's bucket.
    var key: UInt64 = 0
    private var perSource: [RateLimit]
    private var total: RateLimit

    /// `perSecond` for each source, `total` for all.
    init(perSecond: UInt64, total: UInt64) {
        perSource = Array(repeating: RateLimit(perSecond: perSecond), count: Self.buckets)
        self.total = RateLimit(perSecond: total)
    }

    /// Takes one for `source`; false when there is none left at `now`.
    mutating func take(_ source: IPAddress, _ now: Timestamp) -> Bool {
        let source = source.source
        var hash = source.high ^ source.low ^ key
        hash = (hash ^ (hash >> 32)) &* 0xd6e8_feb8_6659_fd93
        hash = (hash ^ (hash >> 32)) &* 0xd6e8_feb8_6659_fd93
        let bucket = Int(hash >> 54)
        guard perSource[bucket].allows(now), total.take(now) else { return false }
        return perSource[bucket].take(now)
    }
}
