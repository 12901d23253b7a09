// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditWire

/// Whether what a worker carries comes one by one and so often that it should let packets gather between its turns, and
/// not run before the programs that send and receive them.
///
/// A worker that sleeps is woken by the next packet and runs at once, before the thread that sent it: a round trip
/// stays short however busy the processors are. But a program that sends datagrams one by one would be interrupted for
/// each of them, and each would leave alone; then the switches and the sends cost more than the packets. And where it
/// runs before them all the time, they fall behind and catch up in bursts that no queue holds. So from ``crowded``
/// arrivals a second on, until there are fewer than ``sparse``, a worker pauses after a turn that took all there were,
/// and has no priority. What is read at once from the device (a super-packet is one), a run that is received, and an
/// inner packet that is not TCP's is an arrival each.
///
/// One worker's, not thread-safe.
struct ArrivalRate {
    /// Arrivals a second from which a worker pauses: far above what streams in super-packets make.
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

    /// Judges the interval when it is over: whether ``isCrowded`` has changed.
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
