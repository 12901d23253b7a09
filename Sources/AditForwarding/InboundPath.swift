// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditESP
internal import AditLinux
internal import AditWire

/// The walk of datagrams from the peers to the device.
///
/// 1. ``begin(_:mtu:)`` takes a batch that was received.
/// 2. ``advance()`` walks its datagrams: IKE, ESP or keepalive (RFC 3948 §2) → SA by SPI → replay check, ICV,
///    selectors, ECN (all in `ESPOpen`, in place) → MSS clamp → coalescing. It returns ``OutboundPath/Step/full``
///    when packets should be written first.
/// 3. The worker writes ``coalescing``'s ready packets, whose bytes lie in the batch.
/// 4. ``noteNewest(now:)`` tells control what the batch says of its sender.
///
/// One worker's, not thread-safe; between a receive and a write nothing is allocated, locked, retained or thrown.
@safe struct InboundPath: ~Copyable {
    var coalescing: Coalescing
    /// How many packets of the batch were delivered that are not TCP's.
    private(set) var datagramCount = 0
    private var activity = HintLimiter()
    private var moves = HintLimiter()
    private let worker: Int
    private let reader: SAReader
    private let counters: WorkerCounters
    private let control: ControlLink

    /// The batch that ``begin(_:mtu:)`` was given: its memory, so that walking counts no references.
    private var base: UnsafeMutableRawPointer?
    private var runs: UnsafeMutablePointer<DatagramBatch.Run>?
    private var runCount = 0
    private var run = 0
    private var position = 0
    private var clock = TurnClock()
    /// The SA of the newest packet, and where that came from, until ``noteNewest(now:)``.
    private var newest: UnsafeMutablePointer<InboundSA>?
    private var newestRemote = Endpoint(IPAddress(v4: 0), port: 0)
    private var unknownSPIQuietUntil = Timestamp(nanoseconds: 0)
    private var mtu = PathMTU.smallest

    init(
        worker: Int, reader: SAReader, capabilities: DeviceCapabilities, counters: WorkerCounters, control: ControlLink
    ) {
        self.worker = worker
        self.reader = reader
        self.counters = counters
        self.control = control
        coalescing = Coalescing(capabilities: capabilities)
    }

    /// Takes a batch that was received; `mtu` is the largest inner packet.
    ///
    /// The caller keeps the batch alive and unchanged until ``advance()`` has drained it.
    mutating func begin(_ batch: DatagramBatch, mtu: Int) {
        unsafe base = batch.base
        unsafe runs = batch.runs
        runCount = batch.count
        clock = TurnClock()
        self.mtu = mtu
        run = 0
        position = 0
        datagramCount = 0
    }

    /// Walks until the batch is drained, which ends what was being coalesced, or packets should be written.
    mutating func advance() -> OutboundPath.Step {
        guard let base = unsafe base, let runs = unsafe runs else { return .drained }
        while run < runCount {
            let entry = unsafe runs[run]
            // SAFETY: the transport filled the run inside the batch's block, which outlives the walk.
            let bytes = unsafe PacketBytes(base + entry.offset, count: entry.length)
            if case .full = walk(bytes, entry) { return .full }
            run &+= 1
            position = 0
        }
        coalescing.finish()
        return .drained
    }

    /// The walk of the datagrams of one run, from ``position``.
    @inline(__always) private mutating func walk(_ bytes: PacketBytes, _ entry: DatagramBatch.Run) -> OutboundPath.Step
    {
        let step = entry.segmentSize > 0 ? entry.segmentSize : max(bytes.count, 1)
        var packets = 0
        var innerBytes = 0
        var lastSPI: UInt32 = 0
        var lastSA: UnsafeMutablePointer<InboundSA>?
        var hasNewest = false
        while position < bytes.count, coalescing.hasRoom {
            let datagram = bytes.slice(position, min(step, bytes.count &- position))
            position &+= datagram.count
            guard DatagramKind(datagram) == .esp else {
                other(datagram, entry)
                continue
            }
            guard datagram.count >= ESPHeader.length else {
                counters.drops.count(.truncated)
                continue
            }
            let number = datagram.uint32(0)
            if unsafe number != lastSPI || lastSA == nil {
                if hasNewest { unsafe keepNewest(entry.remote, lastSA) }
                hasNewest = false
                lastSPI = number
                unsafe lastSA = find(SPI(rawValue: number), from: entry.remote)
            }
            guard let sa = unsafe lastSA else {
                continue
            }
            // SAFETY: the datagram's bytes are this worker's until the batch is received into again.
            let verdict = unsafe ESPOpen.open(
                datagram.start, length: datagram.count, outerTrafficClass: entry.trafficClass, sa: sa, reader: reader)
            switch verdict {
            case .drop(let reason): counters.drops.count(reason)
            case .packet(let opened):
                if opened.isNewest { hasNewest = true }
                packets &+= 1
                innerBytes &+= opened.length
                unsafe deliver(datagram.slice(opened.offset, opened.length), sa)
            }
        }
        if hasNewest { unsafe keepNewest(entry.remote, lastSA) }
        counters.packetsIn.add(packets)
        counters.bytesIn.add(innerBytes)
        return position < bytes.count ? .full : .drained
    }

    /// The SA of an SPI, if it is this worker's; nil is counted.
    @inline(__always) private mutating func find(
        _ spi: SPI, from remote: Endpoint
    ) -> UnsafeMutablePointer<InboundSA>? {
        guard let sa = unsafe reader.inbound(spi) else {
            counters.drops.count(.unknownSPI)
            noteUnknown(spi, from: remote)
            return nil
        }
        // The replay window has one owner; the transport steers datagrams by SPI.
        guard unsafe sa.pointee.owner == worker else {
            counters.drops.count(.wrongWorker)
            return nil
        }
        return unsafe sa
    }

    /// Once a second: the control thread may tell the sender that the SA is gone (RFC 7296 §1.5).
    @inline(never) private mutating func noteUnknown(_ spi: SPI, from remote: Endpoint) {
        let now = clock.now()
        guard now >= unknownSPIQuietUntil, !spi.isReserved else { return }
        unknownSPIQuietUntil = now + .seconds(1)
        control.post(.unknownSPI(spi, from: remote))
    }

    @inline(__always) private mutating func deliver(_ packet: PacketBytes, _ sa: UnsafeMutablePointer<InboundSA>) {
        guard let header = packet.ipHeader else {
            counters.drops.count(.malformed)
            return
        }
        if unsafe sa.pointee.clampMSS {
            MSSClamp.apply(to: packet, header: header, mtu: mtu, checksumIsUnfinished: false)
        }
        if header.ipProtocol != IPProtocol.tcp { datagramCount &+= 1 }
        coalescing.add(packet, header: header)
    }

    /// Keeps what a run says of its sender until its packets were written; a batch of several senders tells at once.
    @inline(__always)
    private mutating func keepNewest(_ remote: Endpoint, _ sa: UnsafeMutablePointer<InboundSA>?) {
        if let other = unsafe newest, unsafe other != sa || newestRemote != remote { noteNewest(now: clock.now()) }
        unsafe newest = sa
        newestRemote = remote
    }

    /// Tells at once when the newest packet came from elsewhere, before answers to it are sent.
    @inline(__always) mutating func noteMove() {
        guard let sa = unsafe newest, unsafe ESPOpen.isElsewhere(newestRemote, sa: sa) else { return }
        noteNewest(now: clock.now())
    }

    /// Where the newest packet came from (RFC 7296 §2.23), and that the peer is alive. Before the reader's next
    /// quiescent point.
    @inline(never) mutating func noteNewest(now: Timestamp) {
        guard let sa = unsafe newest else { return }
        unsafe newest = nil
        let remote = newestRemote
        let spi = unsafe sa.pointee.spi
        if unsafe ESPOpen.isElsewhere(remote, sa: sa) {
            // At once, so that nothing is sent to a mapping that a NAT has forgotten; a peer that goes on moving waits
            // for the next drain.
            if case .quiet = moves.verdict(spi.rawValue, now: now) {
                unsafe ESPOpen.noteRemote(remote, sa: sa, reader: reader)
            } else {
                control.post(.peerMoved(inboundSPI: spi, to: remote))
            }
        }
        switch activity.verdict(spi.rawValue, now: now) {
        case .first: control.post(.firstPacket(inboundSPI: spi))
        case .again: control.post(.activity(inboundSPI: spi))
        case .quiet: break
        }
    }

    @inline(never) private func other(_ datagram: PacketBytes, _ entry: DatagramBatch.Run) {
        switch DatagramKind(datagram) {
        case .ike:
            control.post(
                datagram.suffix(from: DatagramKind.markerLength), local: entry.local, remote: entry.remote)
        case .keepalive, .esp: break
        case .junk: counters.drops.count(.malformed)
        }
    }
}
