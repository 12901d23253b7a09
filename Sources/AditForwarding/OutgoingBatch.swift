// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditESP
internal import AditLinux
internal import AditWire

/// The ESP packets of a turn, laid out so that as many as possible leave in one UDP GSO send.
///
/// 1. ``place(_:)`` finds room for an inner packet in the run of its SA, sealed size and traffic class, whatever
///    flow it belongs to. Inner packets lie where they will be sealed; equal-size ESP packets are contiguous.
/// 2. ``seal()`` moves lone short packets to the end of the run before them, reserves sequence numbers run by run and
///    seals in the order of sending. So the packets of one SA leave in sequence order, whatever the sizes. While
///    there is one run only its packets are sealed a few at a time, as they are still in the nearest cache.
/// 3. ``sealedRuns`` go to the transport; ``clear()`` begins the next turn.
///
/// Runs are sent in the order in which they were begun. A flow's packet never goes to a run before that of the
/// flow's last packet, so flows are not reordered. One worker's, not thread-safe; SA pointers stay valid until the
/// reader's next quiescent point, which comes after ``clear()``.
@safe struct OutgoingBatch: ~Copyable {
    /// How many runs are collected before all must leave.
    static let runLimit = 8
    /// Datagrams of one UDP GSO send: the least limit of the kernels that have it (UDP_MAX_SEGMENTS).
    static let segmentLimit = 64
    /// Bytes of one UDP GSO send: an IP packet with headers of both layers (65,535 less 40, 8, and some).
    static let byteLimit = 65_000

    /// What the packets of a run have in common.
    @safe struct Kind {
        let sa: UnsafeMutablePointer<OutboundSA>
        /// Bytes of the ESP packet.
        let size: Int
        /// Bytes from the ESP header to the inner packet.
        let headerLength: Int
        let trafficClass: UInt8
    }

    @safe private struct Run {
        var kind: Kind
        var count: Int
        var innerBytes: Int
        /// How many of the packets are sealed.
        var sealed = 0
        /// The first and last number that were reserved.
        var firstNumber: UInt64 = 0
        var lastNumber: UInt64 = 0
        /// The ESP length of a last packet that is shorter; 0 when there is none.
        var tail = 0
        /// Why no more of its packets can be sealed.
        var failure: DropReason?
    }

    /// The numbers of a sealed run.
    @safe private struct Departure {
        let sa: UnsafeMutablePointer<OutboundSA>
        let first: UInt64
        let last: UInt64
    }

    /// How many packets are sealed together while they are placed.
    private static let sealStep = 4

    /// Room for a run and for what is written around its packets.
    private static let bufferSize = 69_632
    private static let flowMask: UInt64 = 255

    private let reader: SAReader
    private let counters: WorkerCounters
    private let memory: UnsafeMutableRawPointer
    private let runs: UnsafeMutablePointer<Run>
    private let lengths: UnsafeMutablePointer<UInt16>
    private let sealed: UnsafeMutablePointer<OutgoingRun>
    private let departures: UnsafeMutablePointer<Departure>
    private let isShared: Bool
    private let lastRun: UnsafeMutablePointer<UInt8>
    private var runCount = 0
    private var sealedCount = 0
    /// A run has no room for another packet: sending now costs nothing.
    private(set) var isFull = false

    /// With `isShared` other workers seal for the same SAs: a run's numbers are reserved at once then, so that runs can
    /// leave in the order of their numbers.
    init(reader: SAReader, counters: WorkerCounters, isShared: Bool) {
        self.isShared = isShared
        self.reader = reader
        self.counters = counters
        precondition(Self.bufferSize >= ESPSeal.headRoom + 65_535 + 2 * ESPSeal.tailRoom, "a run's room")
        // SAFETY: the two blocks are this value's alone and freed in deinit; all indices are below the limits.
        unsafe memory = .allocate(byteCount: Self.runLimit * Self.bufferSize, alignment: 4096)
        // What is known of the runs lies together: a lone packet touches one page of it.
        let runSize = unsafe MemoryLayout<Run>.stride + MemoryLayout<OutgoingRun>.stride
        let size = Self.runLimit * (runSize + MemoryLayout<Departure>.stride + 2 * Self.segmentLimit)
        let tables = UnsafeMutableRawPointer.allocate(byteCount: size + Int(Self.flowMask) + 1, alignment: 4096)
        unsafe runs = tables.bindMemory(to: Run.self, capacity: Self.runLimit)
        unsafe sealed = UnsafeMutableRawPointer(runs + Self.runLimit).bindMemory(
            to: OutgoingRun.self, capacity: Self.runLimit)
        unsafe departures = UnsafeMutableRawPointer(sealed + Self.runLimit).bindMemory(
            to: Departure.self, capacity: Self.runLimit)
        unsafe lengths = UnsafeMutableRawPointer(departures + Self.runLimit).bindMemory(
            to: UInt16.self, capacity: Self.runLimit * Self.segmentLimit)
        unsafe lastRun = UnsafeMutableRawPointer(lengths + Self.runLimit * Self.segmentLimit).bindMemory(
            to: UInt8.self, capacity: Int(Self.flowMask) + 1)
        unsafe lastRun.initialize(repeating: 0, count: Int(Self.flowMask) + 1)
    }

    deinit {
        unsafe memory.deallocate()
        unsafe UnsafeMutableRawPointer(runs).deallocate()
    }

    /// Whether nothing waits.
    @inline(__always) var isEmpty: Bool { runCount == 0 }

    /// Where an inner packet of `length` bytes is to be written; nil when all must be sealed and sent first.
    @inline(__always) mutating func place(_ kind: Kind, length: Int, flow: UInt64) -> PacketBytes? {
        if runCount == 1, !isShared, unsafe runs[0].count &- runs[0].sealed >= Self.sealStep { seal(0) }
        var index = unsafe Int(lastRun[Int(flow & Self.flowMask)])
        while index < runCount {
            if unsafe takes(runs[index], kind) { break }
            index &+= 1
        }
        if index == runCount {
            guard runCount < Self.runLimit else { return nil }
            unsafe (runs + index).initialize(to: Run(kind: kind, count: 0, innerBytes: 0))
            runCount &+= 1
        }
        let position = unsafe runs[index].count
        let start = unsafe packet(index, position, kind) + kind.headerLength
        unsafe lengths[index &* Self.segmentLimit &+ position] = UInt16(truncatingIfNeeded: length)
        unsafe runs[index].count = position &+ 1
        unsafe runs[index].innerBytes &+= length
        unsafe lastRun[Int(flow & Self.flowMask)] = UInt8(truncatingIfNeeded: index)
        if unsafe !hasRoom(runs[index]) { isFull = true }
        return unsafe PacketBytes(start, count: length)
    }

    /// Gives every packet its sequence number and seals it; lost ones are counted.
    mutating func seal() {
        mergeShortRuns()
        for index in 0..<runCount where unsafe runs[index].count > 0 {
            seal(index)
            finish(index)
        }
    }

    /// The sealed runs, in the order of sending; valid until ``clear()``.
    var sealedRuns: UnsafeBufferPointer<OutgoingRun> {
        unsafe UnsafeBufferPointer(start: sealed, count: sealedCount)
    }

    /// How many runs are to be sent.
    var sealedRunCount: Int { sealedCount }

    /// Whether the numbers before those of sealed run `index` have left.
    func isTurn(of index: Int) -> Bool {
        precondition(index >= 0 && index < sealedCount, "no such run")
        let departure = unsafe departures[index]
        return unsafe departure.sa.pointee.isTurn(of: departure.first)
    }

    /// Sealed run `index`, to be sent alone in its turn.
    func sealedRun(_ index: Int) -> UnsafeBufferPointer<OutgoingRun> {
        precondition(index >= 0 && index < sealedCount, "no such run")
        return unsafe UnsafeBufferPointer(start: sealed + index, count: 1)
    }

    /// Says that sealed run `index` has left.
    func markDeparted(_ index: Int) {
        precondition(index >= 0 && index < sealedCount, "no such run")
        let departure = unsafe departures[index]
        unsafe departure.sa.pointee.markDeparted(departure.last)
    }

    /// Forgets everything.
    mutating func clear() {
        guard runCount > 0 else { return }
        runCount = 0
        sealedCount = 0
        isFull = false
        unsafe lastRun.update(repeating: 0, count: Int(Self.flowMask) + 1)
    }

    @inline(__always) private func packet(_ run: Int, _ position: Int, _ kind: Kind) -> UnsafeMutableRawPointer {
        unsafe memory + (run &* Self.bufferSize &+ position &* kind.size)
    }

    @inline(__always) private func takes(_ run: Run, _ kind: Kind) -> Bool {
        unsafe run.kind.sa == kind.sa && run.kind.size == kind.size && run.kind.trafficClass == kind.trafficClass
            && hasRoom(run)
    }

    @inline(__always) private func hasRoom(_ run: Run) -> Bool {
        run.count < Self.segmentLimit && (run.count &+ 1) &* run.kind.size <= Self.byteLimit
    }

    /// A run of one packet that is shorter than those of the run before it becomes that run's last packet, which UDP
    /// GSO allows to be shorter: the end of a super-packet then costs no send of its own.
    private mutating func mergeShortRuns() {
        guard runCount > 1 else { return }
        for index in 1..<runCount {
            let short = unsafe runs[index]
            let before = unsafe runs[index &- 1]
            guard short.count == 1, before.count > 0, before.tail == 0, unsafe before.kind.sa == short.kind.sa,
                before.kind.trafficClass == short.kind.trafficClass, short.kind.size < before.kind.size,
                hasRoom(before)
            else { continue }
            let length = unsafe Int(lengths[index &* Self.segmentLimit])
            // SAFETY: hasRoom left a whole packet's room; the two buffers do not overlap.
            unsafe (packet(index &- 1, before.count, before.kind) + before.kind.headerLength).copyMemory(
                from: packet(index, 0, short.kind) + short.kind.headerLength, byteCount: length)
            unsafe lengths[(index &- 1) &* Self.segmentLimit &+ before.count] = UInt16(truncatingIfNeeded: length)
            unsafe runs[index &- 1].count &+= 1
            unsafe runs[index &- 1].innerBytes &+= length
            unsafe runs[index &- 1].tail = short.kind.size
            unsafe runs[index].count = 0
        }
    }

    /// Seals what was placed in a run since the last time.
    private mutating func seal(_ index: Int) {
        let run = unsafe runs[index]
        guard run.failure == nil else { return }
        let sa = unsafe run.kind.sa
        let wanted = run.count &- run.sealed
        var innerBytes = 0
        for position in run.sealed..<run.count { innerBytes &+= innerLength(index, position) }
        // RFC 4303 §3.3.3: numbers are reserved before use; a spent SA sends nothing more.
        let block = unsafe sa.pointee.reserve(wanted, bytes: innerBytes, reader: reader)
        if block.count < wanted { unsafe runs[index].failure = .sequenceExhausted }
        if block.count > 0 {
            if run.sealed == 0 { unsafe runs[index].firstNumber = block.first }
            unsafe runs[index].lastNumber = block.first &+ UInt64(block.count &- 1)
        }
        for step in 0..<min(block.count, wanted) {
            let position = run.sealed &+ step
            let inner = unsafe packet(index, position, run.kind) + run.kind.headerLength
            // SAFETY: the packet lies in this run's buffer with its head-room before and the rest of its place behind.
            let size = unsafe ESPSeal.seal(
                inner, length: innerLength(index, position), sequence: block.first &+ UInt64(step), sa: sa,
                reader: reader)
            guard size > 0 else {
                unsafe runs[index].failure = .sealFailed
                return
            }
            unsafe runs[index].sealed = position &+ 1
        }
    }

    /// Hands a run over to be sent, without what could not be sealed.
    private mutating func finish(_ index: Int) {
        let run = unsafe runs[index]
        if let reason = run.failure { counters.drops.count(reason, packets: UInt64(run.count &- run.sealed)) }
        // With other workers, numbers that were reserved are given up in their turn, by a run of no bytes.
        guard run.sealed > 0 || (isShared && run.lastNumber > 0) else { return }
        counters.packetsOut.add(run.sealed)
        counters.bytesOut.add(run.innerBytes)
        let hasTail = run.sealed > 0 && run.sealed == run.count && run.tail > 0
        let size = run.kind.size
        let path = unsafe run.kind.sa.pointee.path
        unsafe (sealed + sealedCount).initialize(
            to: OutgoingRun(
                start: UnsafeRawPointer(packet(index, 0, run.kind)),
                length: hasTail ? (run.sealed &- 1) &* size &+ run.tail : run.sealed &* size, segmentSize: size,
                remote: path.remote, local: path.local.address, trafficClass: run.kind.trafficClass))
        unsafe (departures + sealedCount).initialize(
            to: Departure(sa: run.kind.sa, first: run.firstNumber, last: run.lastNumber))
        sealedCount &+= 1
    }

    @inline(__always) private func innerLength(_ run: Int, _ position: Int) -> Int {
        unsafe Int(lengths[run &* Self.segmentLimit &+ position])
    }
}
