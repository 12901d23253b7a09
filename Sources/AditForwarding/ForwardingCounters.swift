// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

public import AditESP
internal import Synchronization

/// What the workers did, at one time; packets and bytes are inner ones.
public struct ForwardingCounters: Hashable, Sendable {
    /// Packets sealed and given to the transport.
    public var packetsOut: UInt64 = 0
    /// Their bytes.
    public var bytesOut: UInt64 = 0
    /// Packets opened and given to the device's coalescing.
    public var packetsIn: UInt64 = 0
    /// Their bytes.
    public var bytesIn: UInt64 = 0
    /// Times that packets were read from the device.
    public var deviceReads: UInt64 = 0
    /// Packets and super-packets written to the device.
    public var deviceWrites: UInt64 = 0
    /// Runs of datagrams received.
    public var runsReceived: UInt64 = 0
    /// Runs of datagrams sent.
    public var runsSent: UInt64 = 0
    /// Hints and IKE datagrams that the mailbox did not take; the datagrams are among the drops, too.
    public var mailboxFull: UInt64 = 0
    /// Lost packets by reason; reasons that never happened are absent.
    public var drops: [DropReason: UInt64] = [:]

    /// Nothing yet.
    public init() {}

    /// Both together.
    public static func + (left: ForwardingCounters, right: ForwardingCounters) -> ForwardingCounters {
        var sum = left
        sum.packetsOut += right.packetsOut
        sum.bytesOut += right.bytesOut
        sum.packetsIn += right.packetsIn
        sum.bytesIn += right.bytesIn
        sum.deviceReads += right.deviceReads
        sum.deviceWrites += right.deviceWrites
        sum.runsReceived += right.runsReceived
        sum.runsSent += right.runsSent
        sum.mailboxFull += right.mailboxFull
        sum.drops.merge(right.drops, uniquingKeysWith: +)
        return sum
    }
}

/// One worker's counters: written by that worker with plain stores, readable by any thread.
final class WorkerCounters: Sendable {
    let packetsOut = WorkerCounter()
    let bytesOut = WorkerCounter()
    let packetsIn = WorkerCounter()
    let bytesIn = WorkerCounter()
    let deviceReads = WorkerCounter()
    let deviceWrites = WorkerCounter()
    let runsReceived = WorkerCounter()
    let runsSent = WorkerCounter()
    let mailboxFull = WorkerCounter()
    let drops = DropCounters()

    /// The values now; any thread.
    var values: ForwardingCounters {
        var values = ForwardingCounters()
        values.packetsOut = packetsOut.value
        values.bytesOut = bytesOut.value
        values.packetsIn = packetsIn.value
        values.bytesIn = bytesIn.value
        values.deviceReads = deviceReads.value
        values.deviceWrites = deviceWrites.value
        values.runsReceived = runsReceived.value
        values.runsSent = runsSent.value
        values.mailboxFull = mailboxFull.value
        for reason in DropReason.allCases where drops[reason] > 0 { values.drops[reason] = drops[reason] }
        return values
    }
}

/// A number with one writer and any readers; no atomic read-modify-write.
struct WorkerCounter: ~Copyable, Sendable {
    private let atomic = Atomic<UInt64>(0)

    var value: UInt64 { atomic.load(ordering: .relaxed) }

    /// Only the owning worker calls this.
    @inline(__always) func add(_ amount: Int) {
        atomic.store(atomic.load(ordering: .relaxed) &+ UInt64(amount), ordering: .relaxed)
    }
}
