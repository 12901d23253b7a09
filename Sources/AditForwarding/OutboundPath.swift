// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditESP
internal import AditLinux
internal import AditWire

/// The walk of packets from the device to the peers.
///
/// 1. ``begin(_:mtu:)`` takes a batch that was read.
/// 2. ``advance()`` walks its packets: header → policy and SA (RFC 4301 §5.1) → MSS clamp → size → place in a run, with
///    super-packets split and large ones fragmented on the way. It returns ``Step/full`` when runs should leave first.
/// 3. ``seal()``, then the worker sends ``outgoing``'s sealed runs, and ``OutgoingBatch/clear()``.
///
/// Packets without an SA are held, and released by ``release(mtu:)``. One worker's, not thread-safe; between a
/// read and a send nothing is allocated, locked, retained or thrown.
@safe struct OutboundPath: ~Copyable {
    /// How a call ended.
    enum Step { case drained, full }

    /// What became of one packet.
    private enum Outcome {
        /// It is placed, answered or counted.
        case done
        /// There is no room now; the same packet comes again.
        case full
        /// It waits for an SA.
        case waiting(PolicyID)
    }

    /// What the pieces of one packet have in common.
    @safe private struct Destination {
        let sa: UnsafeMutablePointer<OutboundSA>
        let headerLength: Int
        let trafficClass: UInt8
        let flow: UInt64

        @inline(__always) func kind(_ length: Int) -> OutgoingBatch.Kind {
            unsafe OutgoingBatch.Kind(
                sa: sa, size: sa.pointee.sealedLength(length), headerLength: headerLength, trafficClass: trafficClass)
        }
    }

    var outgoing: OutgoingBatch
    var replies = TooBigReply()
    private var held = HoldQueue()
    private var acquires = HintLimiter()
    private let reader: SAReader
    private let counters: WorkerCounters
    private let control: ControlLink
    /// For segments that must be fragmented; used by no ordinary packet.
    private let scratch: UnsafeMutableRawPointer

    /// The batch that ``begin(_:mtu:)`` was given: its memory, so that walking counts no references.
    private var base: UnsafeMutableRawPointer?
    private var slots: UnsafeMutablePointer<PacketBatch.Slot>?
    private var slotCount = 0
    private var slot = 0
    private var segment = 0
    private var fragment = 0
    private var clock = TurnClock()
    private var mtu = PathMTU.smallest

    /// With `isShared` there are other workers that seal for the same SAs.
    init(reader: SAReader, counters: WorkerCounters, control: ControlLink, isShared: Bool) {
        self.reader = reader
        self.counters = counters
        self.control = control
        outgoing = OutgoingBatch(reader: reader, counters: counters, isShared: isShared)
        // SAFETY: this value's alone and freed in deinit; only slices of at most packetLimit bytes are made of it.
        unsafe scratch = .allocate(byteCount: PacketBatch.packetLimit, alignment: 64)
    }

    deinit { unsafe scratch.deallocate() }

    /// Whether packets wait for an SA, so that ``release(mtu:)`` has something to do.
    var holdsPackets: Bool { !held.isEmpty }

    /// Takes a batch that was read; `mtu` is the largest inner packet.
    ///
    /// The caller keeps the batch alive and unchanged until ``advance()`` has drained it.
    mutating func begin(_ batch: PacketBatch, mtu: Int) {
        unsafe base = batch.base
        unsafe slots = batch.slots
        slotCount = batch.count
        clock = TurnClock()
        self.mtu = mtu
        slot = 0
    }

    /// Walks until the batch is drained or runs should leave.
    mutating func advance() -> Step {
        guard let base = unsafe base, let slots = unsafe slots else { return .drained }
        while slot < slotCount {
            let entry = unsafe slots[slot]
            // SAFETY: the device filled the slot inside the batch's block, which outlives the walk.
            let packet = unsafe PacketBytes(base + entry.offset, count: entry.length)
            switch walk(packet, offload: entry.offload) {
            case .full: return .full
            case .done: break
            case .waiting(let policy): hold(packet, offload: entry.offload, policy: policy)
            }
            slot &+= 1
            if outgoing.isFull { return .full }
        }
        return .drained
    }

    /// Tries the held packets again: those with an SA now are placed, those that waited too long are counted.
    mutating func release(mtu: Int) -> Step {
        clock = TurnClock()
        self.mtu = mtu
        var index = 0
        while index < held.count {
            switch walk(held.packet(index), offload: PacketOffload()) {
            case .full: return .full
            case .done: held.remove(index)
            case .waiting:
                if held.isExpired(index, now: clock.now()) {
                    held.remove(index)
                    counters.drops.count(.noSA)
                } else {
                    index &+= 1
                }
            }
        }
        return .drained
    }

    /// Numbers and seals what was placed.
    mutating func seal() { outgoing.seal() }

    /// The walk of one packet or super-packet, one guard for each step.
    @inline(__always) private mutating func walk(_ packet: PacketBytes, offload: PacketOffload) -> Outcome {
        guard let header = packet.ipHeader else { return lose(.malformed) }
        let packet = packet.slice(0, header.totalLength)
        let flow = packet.flowKey(header)
        let destination: Destination
        // RFC 4301 §5.1: the policy decides, and names the SA.
        switch unsafe reader.outbound(for: flow) {
        case .drop(let reason): return lose(reason)
        case .acquire(let policy): return .waiting(policy)
        case .protect(let sa):
            unsafe destination = Destination(
                sa: sa, headerLength: sa.pointee.headerLength,
                trafficClass: sa.pointee.outerTrafficClass(inner: header.trafficClass), flow: flow.mixed)
        }
        if unsafe destination.sa.pointee.clampMSS {
            MSSClamp.apply(to: packet, header: header, mtu: mtu, checksumIsUnfinished: offload.needsChecksum)
        }
        guard offload.segmentation == .none else {
            return split(packet, header: header, offload: offload, to: destination)
        }
        guard !offload.needsChecksum || packet.holdsChecksum(offload) else { return lose(.badOffload) }
        // RFC 8200 §5: IPv6 always passes 1,280 bytes.
        guard packet.count <= (header.isIPv6 ? max(mtu, PathMTU.smallest) : mtu) else {
            return tooBig(packet, header: header, offload: offload, to: destination)
        }
        guard let place = outgoing.place(destination.kind(packet.count), length: packet.count, flow: destination.flow)
        else { return .full }
        packet.writeFinished(offload, to: place)
        return .done
    }

    /// Places the segments of a super-packet, going on where a full batch stopped it.
    @inline(__always) private mutating func split(
        _ packet: PacketBytes, header: IPHeader, offload: PacketOffload, to destination: Destination
    ) -> Outcome {
        guard let segmentation = Segmentation(packet, header: header, offload: offload) else {
            return lose(.badOffload)
        }
        guard segmentation.largestSegment <= mtu else {
            return splitTooBig(packet, header: header, segmentation: segmentation, to: destination)
        }
        let whole = destination.kind(segmentation.largestSegment)
        while segment < segmentation.count {
            let length = segmentation.length(segment)
            let kind = length == segmentation.largestSegment ? whole : destination.kind(length)
            guard let place = outgoing.place(kind, length: length, flow: destination.flow) else { return .full }
            segmentation.write(segment, from: packet, to: place)
            segment &+= 1
            if outgoing.isFull, segment < segmentation.count { return .full }
        }
        segment = 0
        return .done
    }

    /// Segments larger than the tunnel: answered once for all with DF, else each is fragmented.
    @inline(never) private mutating func splitTooBig(
        _ packet: PacketBytes, header: IPHeader, segmentation: Segmentation, to destination: Destination
    ) -> Outcome {
        guard !header.dontFragment else { return refuse(packet, header: header, packets: segmentation.count) }
        while segment < segmentation.count {
            let copy = unsafe PacketBytes(scratch, count: segmentation.length(segment))
            segmentation.write(segment, from: packet, to: copy)
            guard let header = copy.ipHeader else { return lose(.malformed) }
            if case .full = tooBig(copy, header: header, offload: PacketOffload(), to: destination) { return .full }
            segment &+= 1
        }
        segment = 0
        return .done
    }

    /// A packet larger than the tunnel: fragmented before encryption (RFC 4301 §8.2.1) or answered (RFC 4301 §8.1).
    @inline(never) private mutating func tooBig(
        _ packet: PacketBytes, header: IPHeader, offload: PacketOffload, to destination: Destination
    ) -> Outcome {
        guard let fragmentation = Fragmentation(packet, header: header, mtu: mtu) else {
            return refuse(packet, header: header, packets: 1)
        }
        while fragment < fragmentation.count {
            let length = fragmentation.length(fragment)
            guard let place = outgoing.place(destination.kind(length), length: length, flow: destination.flow)
            else { return .full }
            // Once, and only when the first fragment has its place: the packet itself changes.
            if fragment == 0, offload.needsChecksum, !packet.finishChecksum(offload) { return lose(.badOffload) }
            fragmentation.write(fragment, from: packet, to: place)
            fragment &+= 1
        }
        fragment = 0
        return .done
    }

    private mutating func refuse(_ packet: PacketBytes, header: IPHeader, packets: Int) -> Outcome {
        replies.answer(packet, header: header, mtu: header.isIPv6 ? max(mtu, PathMTU.smallest) : mtu, now: clock.now())
        counters.drops.count(.tooBig, packets: UInt64(packets))
        return .done
    }

    @inline(never) private mutating func hold(_ packet: PacketBytes, offload: PacketOffload, policy: PolicyID) {
        guard let header = packet.ipHeader else {
            counters.drops.count(.malformed)
            return
        }
        let flow = packet.slice(0, header.totalLength).flowKey(header)
        let now = clock.now()
        // A flow is told of and not a policy only: the SA that comes up first may be narrowed, and not for this one.
        if case .quiet = acquires.verdict(policy.rawValue ^ UInt32(truncatingIfNeeded: flow.mixed >> 32), now: now) {
        } else {
            control.post(.acquire(policy: policy.rawValue, packet: flow))
        }
        let packet = packet.slice(0, header.totalLength)
        guard offload.segmentation == .none else {
            let segments = Segmentation(packet, header: header, offload: offload)?.count ?? 1
            counters.drops.count(.noSA, packets: UInt64(segments))
            return
        }
        guard !offload.needsChecksum || packet.finishChecksum(offload) else {
            counters.drops.count(.badOffload)
            return
        }
        counters.drops.count(.noSA, packets: UInt64(held.hold(packet, policy: policy, now: now)))
    }

    @inline(__always) private func lose(_ reason: DropReason) -> Outcome {
        counters.drops.count(reason)
        return .done
    }
}
