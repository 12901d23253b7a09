// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditESP
internal import AditLinux
internal import AditWire
internal import Synchronization

/// What all workers of a forwarder read.
final class SharedSettings: Sendable {
    /// The largest inner packet.
    let mtu: Atomic<Int>
    /// Set once, to end the workers.
    let isStopping = Atomic<Bool>(false)

    init(mtu: Int) { self.mtu = Atomic(mtu) }
}

/// One packet thread: runs both directions to completion, sleeps when there is nothing to do.
///
/// A turn: 1. receive once, and write; 2. read the device until it is drained or ``readLimit`` or ``readBytes`` are
/// reached, and send; 3. all that can wait until then: hints, counts, the quiescent point. Neither direction can
/// starve the other. A lone packet is sent in the turn that read it; the turn after a sleep asks only what woke the
/// worker, and after a lone packet the worker sleeps again at once. Only where packets come one by one by the ten
/// thousand (``ArrivalRate``), a turn that took all there were is followed by a pause, and the thread gives up its
/// priority.
///
/// A struct, as a class would check its fields' exclusivity at run time. Generic code calls the device and the
/// transport once a batch; the walks in between work on concrete types.
struct Worker<Device: PacketDevice, Transport: DatagramTransport>: ~Copyable {
    /// Batches read in one turn at most.
    private let readLimit = 16
    /// Bytes after which a turn reads no more: what was received waits only while these are sealed.
    private let readBytes = 128 << 10
    /// Super-packets read at once: few, because what is read should still be in the cache when it is sealed.
    private let slotsPerRead = 4
    /// Bytes up to which what a turn carried is taken for a lone packet.
    private let loneBytes = 2048
    /// Runs received at once: one, because opening, coalescing and writing it is a whole turn's work.
    private let runsPerReceive = 1
    /// The pause of a worker whose packets come one by one and often, in nanoseconds: a hundred packets gather at
    /// 400,000 a second, far fewer than the device's queue holds.
    private let crowdPause: UInt64 = 250_000
    /// How often held packets are tried again.
    private let holdInterval: UInt64 = 20_000_000
    /// How often it is asked whether datagrams had to leave in fragments.
    private let pathInterval: UInt64 = 1_000_000_000
    /// How long a run waits for other workers' runs with smaller numbers of the same SA; only a worker that the system
    /// stopped for longer is overtaken.
    private let turnPatience: UInt64 = 1_000_000_000
    /// How often another worker is given way before the wait becomes a sleep, and how long that is.
    private let yieldLimit = 64
    private let turnPause: UInt64 = 50_000
    /// After so many failed reads in a row the device is gone: a single one may be about one packet.
    private let deviceFailureLimit = 16

    /// Read from.
    private let device: Device
    /// Written to: the same, or another worker's, whose only writer this is.
    private let sink: Device
    private let transport: Transport
    private let socketTransport: UDPTransport?
    private let reader: SAReader
    private let settings: SharedSettings
    private let counters: WorkerCounters
    private let control: ControlLink
    private let wake: WakeUp
    private let poll: EventPoll
    private let packets: PacketBatch
    private let datagrams: DatagramBatch
    private let isShared: Bool
    private let niceness: Int?
    private var outbound: OutboundPath
    private var inbound: InboundPath
    private var arrivals = ArrivalRate()
    private var patience = Patience()
    private var runDelay: RunDelay?
    /// Whether there may be something: after a sleep that says which.
    private var deviceIsReady = true
    private var transportIsReady = true
    /// Whether no turn has passed since a sleep.
    private var isWoken = false
    private var carried = 0
    private var nextRelease: UInt64 = 0
    private var nextPathCheck: UInt64 = 0
    private var deviceFailures = 0
    private var hasDevice = true
    private var unreadable: UInt64 = 0

    init(
        number: Int, device: Device, sink: Device, transport: Transport, reader: SAReader, mailbox: Mailbox,
        settings: SharedSettings, counters: WorkerCounters, wake: WakeUp, isShared: Bool, niceness: Int? = nil
    ) throws(SystemError) {
        let poll = try EventPoll()
        try poll.add(device.descriptor, token: Token.device)
        for descriptor in transport.descriptors { try poll.add(descriptor, token: Token.transport) }
        try poll.add(wake.descriptor, token: Token.wake)
        self.poll = poll
        self.isShared = isShared
        self.niceness = niceness
        self.device = device
        self.sink = sink
        self.transport = transport
        socketTransport = transport as? UDPTransport
        self.reader = reader
        self.settings = settings
        self.counters = counters
        self.wake = wake
        control = ControlLink(mailbox: mailbox, producer: number, counters: counters)
        packets = PacketBatch(capacity: slotsPerRead)
        datagrams = DatagramBatch(capacity: runsPerReceive)
        outbound = OutboundPath(reader: reader, counters: counters, control: control, isShared: isShared)
        inbound = InboundPath(
            worker: number, reader: reader, capabilities: sink.capabilities, counters: counters, control: control)
    }

    /// The thread's body: returns after the forwarder was stopped.
    mutating func run() {
        // Who gave its threads another policy than the usual one keeps it.
        if PinnedThread.hasUsualPolicy { runDelay = RunDelay() }
        reader.leaveIdle()
        while !settings.isStopping.load(ordering: .acquiring) {
            switch turn() {
            case .again: break
            case .pause: PinnedThread.sleep(nanoseconds: crowdPause)
            case .sleep: sleep()
            }
        }
        reader.enterIdle()
    }

    /// What follows a turn.
    enum Next {
        /// Another turn: there is more, or there may be.
        case again
        /// A pause in which packets that come one by one gather, as this turn took all there were of many.
        case pause
        /// Sleep until something comes.
        case sleep
    }

    /// One turn.
    mutating func turn() -> Next {
        let mtu = settings.mtu.load(ordering: .relaxed)
        if outbound.holdsPackets { release(mtu: mtu) }
        carried = 0
        guard !arrivals.isCrowded else { return crowdedTurn(mtu: mtu) }
        let didReceive = transportIsReady ? inboundTurn(mtu: mtu) : false
        if didReceive { inbound.noteMove() }
        // What was written may have been answered at once, at the same queue.
        let reading = deviceIsReady || (didReceive && sink === device) ? outboundTurn(mtu: mtu) : .nothing
        finishTurn()
        let isLone = isWoken && carried <= loneBytes
        expectBoth()
        return isLone || (!didReceive && reading == .nothing) ? .sleep : .again
    }

    /// A turn where a pause may follow: what came while packets were sealed is taken before it.
    private mutating func crowdedTurn(mtu: Int) -> Next {
        let reading = outboundTurn(mtu: mtu)
        let didReceive = inboundTurn(mtu: mtu)
        finishTurn()
        expectBoth()
        if didReceive || reading == .more { return .again }
        return reading == .nothing ? .sleep : .pause
    }

    /// The next turn asks the device and the transport, unless a sleep comes before it.
    private mutating func expectBoth() {
        isWoken = false
        deviceIsReady = true
        transportIsReady = true
    }

    /// What can wait until everything was sent and written.
    private mutating func finishTurn() {
        let now = MonotonicClock.now()
        inbound.noteNewest(now: now)
        if arrivals.hasChanged(at: now) { changePriority() }
        if patience.isDue(at: now) { judgePatience(now) }
        if now.nanoseconds >= nextPathCheck { checkPath(now) }
        countUnreadable()
        reader.quiescent()
    }

    @inline(never) private mutating func judgePatience(_ now: Timestamp) {
        guard patience.hasChanged(at: now, runDelay?.sample(), isCrowded: arrivals.isCrowded) else { return }
        PinnedThread.setPatient(patience.isPatient)
    }

    /// A crowded worker waits by itself, and then runs before nobody.
    @inline(never) private mutating func changePriority() {
        if patience.isPatient { PinnedThread.setPatient(false) }
        patience.giveUp()
        guard let niceness else { return }
        PinnedThread.setNiceness(arrivals.isCrowded ? max(niceness, 0) : niceness)
    }

    private mutating func sleep() {
        reader.enterIdle()
        let deadline = outbound.holdsPackets ? Timestamp(nanoseconds: nextRelease) : nil
        let events = poll.wait(until: deadline)
        deviceIsReady = false
        transportIsReady = false
        for index in 0..<events {
            switch poll[index].token {
            case Token.device: deviceIsReady = true
            case Token.transport: transportIsReady = true
            default:
                wake.acknowledge()
                nextRelease = 0
            }
        }
        isWoken = true
        reader.leaveIdle()
    }

    /// What the events of ``poll`` are of.
    private enum Token {
        static var device: UInt64 { 0 }
        static var transport: UInt64 { 1 }
        static var wake: UInt64 { 2 }
    }

    /// What a turn found at the device.
    private enum Reading { case nothing, all, more }

    private mutating func outboundTurn(mtu: Int) -> Reading {
        var reading = Reading.nothing
        let enough = carried + readBytes
        for _ in 0..<readLimit where carried < enough && hasDevice {
            let result = device.read(into: packets)
            guard packets.count > 0 else {
                noteEmptyRead(result)
                if reading == .more { reading = .all }
                break
            }
            deviceFailures = 0
            reading = .more
            arrivals.add(packets.count)
            counters.deviceReads.add(packets.count)
            for slot in 0..<packets.count { unsafe carried &+= packets.slots[slot].length }
            outbound.begin(packets, mtu: mtu)
            while case .full = outbound.advance() { flush() }
            guard packets.count == packets.capacity else {
                reading = .all
                break
            }
        }
        flush()
        writeReplies()
        return reading
    }

    /// A device whose interface was removed fails for ever, and its descriptor always wants to be read.
    private mutating func noteEmptyRead(_ result: DeviceResult) {
        guard case .failed(let code) = result else {
            deviceFailures = 0
            return
        }
        deviceFailures += 1
        guard deviceFailures >= deviceFailureLimit, control.post(.deviceFailed(code: code)) else { return }
        hasDevice = false
        poll.remove(device.descriptor)
    }

    /// What device and transport could not make out is lost like anything else.
    private mutating func countUnreadable() {
        let total = device.unreadable &+ transport.unreadable
        guard total != unreadable else { return }
        counters.drops.count(.malformed, packets: total &- unreadable)
        unreadable = total
    }

    private mutating func inboundTurn(mtu: Int) -> Bool {
        _ = transport.receive(into: datagrams)
        guard datagrams.count > 0 else { return false }
        arrivals.add(datagrams.count)
        counters.runsReceived.add(datagrams.count)
        for run in 0..<datagrams.count { unsafe carried &+= datagrams.runs[run].length }
        inbound.begin(datagrams, mtu: mtu)
        while case .full = inbound.advance() { writeReady() }
        arrivals.add(inbound.datagramCount)
        writeReady()
        return true
    }

    /// Seals and sends what was placed.
    private mutating func flush() {
        guard !outbound.outgoing.isEmpty else { return }
        outbound.seal()
        let lost = isShared ? sendInTurn() : unsafe transport.send(outbound.outgoing.sealedRuns)
        counters.runsSent.add(outbound.outgoing.sealedRunCount)
        if lost > 0 { countLost(lost) }
        outbound.outgoing.clear()
    }

    /// Sends run by run, each after other workers' runs with smaller numbers of its SA: a peer's replay window may
    /// be 32.
    ///
    /// Numbers are reserved in the order in which a worker's runs wait, so no two workers can wait for each other.
    private func sendInTurn() -> Int {
        var lost = 0
        for index in 0..<outbound.outgoing.sealedRunCount {
            if !outbound.outgoing.isTurn(of: index) { awaitTurn(of: index) }
            let run = unsafe outbound.outgoing.sealedRun(index)
            // One of which nothing could be sealed only gives its numbers up.
            if unsafe run[0].length > 0 { lost += unsafe transport.send(run) }
            outbound.outgoing.markDeparted(index)
        }
        return lost
    }

    @inline(never) private func awaitTurn(of index: Int) {
        for _ in 0..<yieldLimit {
            if outbound.outgoing.isTurn(of: index) { return }
            PinnedThread.yield()
        }
        let deadline = MonotonicClock.now().nanoseconds &+ turnPatience
        while !outbound.outgoing.isTurn(of: index), MonotonicClock.now().nanoseconds < deadline {
            PinnedThread.sleep(nanoseconds: turnPause)
        }
    }

    @inline(never) private func countLost(_ lost: Int) {
        counters.drops.count(.sendFailed, packets: UInt64(lost))
        tellPath()
    }

    /// Datagrams that left in fragments were not lost, but the MTU should follow.
    @inline(never) private mutating func checkPath(_ now: Timestamp) {
        nextPathCheck = now.nanoseconds &+ pathInterval
        tellPath()
    }

    private func tellPath() {
        if let peer = socketTransport?.takeOversizedPeer() { control.post(.pathTooSmall(peer: peer)) }
    }

    private mutating func writeReady() {
        for index in 0..<inbound.coalescing.readyCount {
            // SAFETY: the pieces lie in the batch, which is not received into before they are cleared.
            let (pieces, offload) = unsafe inbound.coalescing.ready(index)
            if case .done = unsafe sink.write(pieces, offload: offload) { continue }
            counters.drops.count(.deviceFull)
        }
        counters.deviceWrites.add(inbound.coalescing.readyCount)
        inbound.coalescing.clear()
    }

    private mutating func writeReplies() {
        guard outbound.replies.count > 0 else { return }
        for index in 0..<outbound.replies.count {
            let packet = outbound.replies.packet(index)
            // SAFETY: the answer lies in the path's own memory until it is cleared.
            var piece = unsafe PacketPiece(start: UnsafeRawPointer(packet.start), length: packet.count)
            let result = unsafe withUnsafePointer(to: &piece) {
                unsafe sink.write(UnsafeBufferPointer(start: $0, count: 1), offload: PacketOffload())
            }
            if case .done = result { continue }
            counters.drops.count(.deviceFull)
        }
        outbound.replies.clear()
    }

    /// Tries the held packets again after a wake-up, and now and then.
    @inline(never) private mutating func release(mtu: Int) {
        let now = MonotonicClock.now()
        guard now.nanoseconds >= nextRelease else { return }
        nextRelease = now.nanoseconds &+ holdInterval
        while case .full = outbound.release(mtu: mtu) { flush() }
        flush()
        writeReplies()
    }
}

/// Keeps a worker for the thread that runs it.
final class WorkerBox<Device: PacketDevice, Transport: DatagramTransport> {
    private var worker: Worker<Device, Transport>

    init(_ worker: consuming Worker<Device, Transport>) { self.worker = worker }

    /// The thread's body.
    func run() { worker.run() }
}
