// SPDX-License-Identifier: Apache-2.0
// Adit: AditWire

/// A point on the monotonic clock of whoever drives a state machine, in nanoseconds.
///
/// The origin is the driver's business: the core modules never read a clock, they only compare and add.
public struct Timestamp: Hashable, Comparable, Sendable {
    /// Nanoseconds since the driver's origin.
    public let nanoseconds: UInt64

    /// A point `nanoseconds` after the driver's origin.
    @inlinable public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// The earlier point is the smaller one.
    @inlinable public static func < (left: Timestamp, right: Timestamp) -> Bool { left.nanoseconds < right.nanoseconds }

    /// The point `duration` later; a negative duration or an overflow saturates at the ends of the range.
    public static func + (time: Timestamp, duration: Duration) -> Timestamp {
        let (seconds, attoseconds) = duration.components
        guard seconds >= 0, attoseconds >= 0 else { return time }
        let (scaled, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return Timestamp(nanoseconds: .max) }
        let (sum, carry) = time.nanoseconds.addingReportingOverflow(scaled)
        guard !carry else { return Timestamp(nanoseconds: .max) }
        let (total, last) = sum.addingReportingOverflow(UInt64(attoseconds) / 1_000_000_000)
        return Timestamp(nanoseconds: last ? .max : total)
    }

    /// The time from `earlier` to `later`; zero when `later` is not later.
    public static func - (later: Timestamp, earlier: Timestamp) -> Duration {
        .nanoseconds(
            Int64(clamping: later.nanoseconds > earlier.nanoseconds ? later.nanoseconds - earlier.nanoseconds : 0))
    }
}
