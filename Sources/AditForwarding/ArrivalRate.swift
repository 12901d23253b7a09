// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditWire

/// Whether what a worker reads arrives so often that it should not push other threads aside for each arrival.
///
/// A worker that is woken runs at once, before the thread that woke it: a round trip stays short however busy the
/// processors are. But a program that sends datagrams one by one would be interrupted for each of them, and then the
/// switches cost more than the packets. So a worker is patient (`PinnedThread/setPatient(_:)`) from ``crowded``
/// arrivals a second on (a super-packet, or a run of datagrams, is one), and no longer when there are fewer than
/// ``sparse``.
///
/// One worker's, not thread-safe.
struct ArrivalRate {
    /// Arrivals a second from which a worker is patient: far above what streams in super-packets make.
    static let crowded: UInt64 = 60_000
    /// Arrivals a second below which it is not.
    static let sparse: UInt64 = 30_000
    /// Nanoseconds over which arrivals are counted, at least.
    static let interval: UInt64 = 4_000_000

    private var count: UInt64 = 0
    private var since: UInt64 = 0
    /// Whether the last interval was crowded, and none since was sparse.
    private(set) var isCrowded = false

    /// Counts what was read at once.
    @inline(__always) mutating func add(_ arrivals: Int) { count &+= UInt64(truncatingIfNeeded: arrivals) }

    /// At the end of an interval: whether ``isCrowded`` has changed.
    @inline(__always) mutating func hasChanged(at now: Timestamp) -> Bool {
        now.nanoseconds &- since >= Self.interval ? judge(now.nanoseconds) : false
    }

    @inline(never) private mutating func judge(_ now: UInt64) -> Bool {
        // Arrivals of an interval are far fewer than 2^64 / 10^9.
        let rate = count &* 1_000_000_000 / max(now &- since, 1)
        count = 0
        since = now
        let was = isCrowded
        isCrowded = rate >= (was ? Self.sparse : Self.crowded)
        return isCrowded != was
    }
}
