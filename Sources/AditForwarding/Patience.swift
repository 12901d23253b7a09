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
/// up at the next look, and has to be earned for twice as long where it made the worker wait.
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

    /// Looks at what the worker has run and waited since the last time: whether ``isPatient`` has changed. There is no
    /// sample where the kernel does not tell, and no patience then.
    mutating func hasChanged(at now: Timestamp, _ sample: RunDelay.Sample?, isCrowded: Bool) -> Bool {
        let wasPatient = isPatient
        let elapsed = now.nanoseconds &- lastLook
        lastLook = now.nanoseconds
        guard let sample, let wait = sample.meanWait(since: last), !isCrowded else {
            last = sample ?? last
            giveUp()
            return wasPatient
        }
        // More than an eighth of the time is no lone packet. Neither number comes near 2^61.
        let isBusy = (sample.ran &- last.ran) &* 8 > elapsed
        last = sample
        if wasPatient, wait > Self.longWait, !isBusy {
            // Patience that went well for as long again was no mistake.
            need = calmLooks >= need * 2 ? Self.firstNeed : min(need * 2, Self.largestNeed)
        }
        calmLooks = isBusy || wait > Self.longWait ? 0 : min(calmLooks + 1, 2 * Self.largestNeed)
        isPatient = calmLooks >= need
        return isPatient != wasPatient
    }

    /// Ends it: packets come by the ten thousand, or no longer do.
    mutating func giveUp() {
        calmLooks = 0
        isPatient = false
    }
}
