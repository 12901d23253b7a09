// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditLinux
internal import AditWire

/// Whether a worker that is woken lets the thread on its processor go on (``PinnedThread/setPatient(_:)``).
///
/// What wakes a worker with a lone packet often sleeps next, for the answer. A worker that waits for that has the
/// processor to itself when it sends, and then the kernel lets the receiver follow on the same one; interrupted, the
/// sender is still ready to run, and the receiver is woken on another processor, which is halted and takes far longer
/// to come. But a worker that carries a stream should run before the stream's programs, a burst should find it awake,
/// and where processors are busy a patient worker waits for milliseconds. So patience is earned by lone packets, given
/// up at once, and has to be earned for twice as long where it made the worker wait.
///
/// One worker's, not thread-safe.
struct Patience {
    /// Nanoseconds between two looks at least; there is none without packets.
    static let interval: UInt64 = 100_000_000
    /// The mean wait for a processor that is too long, in nanoseconds: longer than threads that pass a packet on run,
    /// shorter than the share of one that computes.
    static let longWait: UInt64 = 300_000
    /// Calm looks in a row after which a worker is patient: at first, and at most.
    static let firstNeed = 3
    static let largestNeed = 1 << 15

    private(set) var isPatient = false
    private var calmLooks = 0
    private var need = Patience.firstNeed
    private var last = RunDelay.Sample(ran: 0, waited: 0, turns: 0)
    private var lastLook: UInt64 = 0

    /// Whether it is time for a look.
    @inline(__always) func isDue(at now: Timestamp) -> Bool { now.nanoseconds &- lastLook >= Self.interval }

    /// Looks at what the worker has run and waited since the last time: whether ``isPatient`` has changed.
    mutating func hasChanged(at now: Timestamp, _ sample: RunDelay.Sample, isCrowded: Bool) -> Bool {
        let wasPatient = isPatient
        // More than half of the time: a stream. Neither number comes near 2^63.
        let isBusy = (sample.ran &- last.ran) &* 2 > now.nanoseconds &- lastLook
        let hasWaited = sample.meanWait(since: last).map { $0 > Self.longWait } ?? false
        if wasPatient, hasWaited, !isBusy {
            // Patience that went well for as long again was no mistake.
            need = calmLooks >= need * 2 ? Self.firstNeed : min(need * 2, Self.largestNeed)
        }
        calmLooks = isBusy || hasWaited || isCrowded ? 0 : min(calmLooks + 1, 2 * Self.largestNeed)
        isPatient = calmLooks >= need
        last = sample
        lastLook = now.nanoseconds
        return isPatient != wasPatient
    }
}
