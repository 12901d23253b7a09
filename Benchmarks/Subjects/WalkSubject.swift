// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks

import AditESP
import AditForwarding
import AditLinux
import AditWire
import CBaseline
import Glibc
import Synchronization

/// What a worker read at two moments of its steady state: after the warm-up and at the end.
public struct Span<Mark: Sendable>: Sendable {
    /// How many passed in between.
    public var packets: Int
    /// How long that took.
    public var nanoseconds: UInt64
    /// What was read at the beginning.
    public var begin: Mark
    /// What was read at the end.
    public var end: Mark
}

/// Both packet walks, run by a real worker thread on a device and a transport that are memory.
public final class WalkSubject<Mark: Sendable> {
    /// What the packets are.
    public enum Traffic: String, CaseIterable, Sendable {
        /// Super-packets of TCP with 45 segments of 1,438 bytes: segmentation, coalescing.
        case tcp
        /// Datagrams of 1,200 bytes one by one.
        case large
        /// Datagrams of 64 bytes one by one.
        case small
    }

    private let traffic: Traffic
    private let kind: Fixture.Kind
    private let isSummed: Bool
    private let batches: Int
    private let mark: @Sendable () -> Mark

    /// `batches` reads of each worker in a steady state; `mark` is taken at its beginning and end. Datagrams have
    /// checksums when they are summed, so that they are checked and joined at the other side.
    public init(
        _ traffic: Traffic, kind: Fixture.Kind = Fixture.Kind(), isSummed: Bool = true, batches: Int,
        mark: @escaping @Sendable () -> Mark
    ) {
        self.traffic = traffic
        self.kind = kind
        self.isSummed = isSummed
        self.batches = batches
        self.mark = mark
    }

    /// Runs the walk out, where all workers seal for one SA, then the walk in of the SA's owner with what came out.
    public func run() throws -> (out: [Span<Mark>], into: Span<Mark>) {
        let workers = 0..<kind.workers
        let wires = workers.map { _ in
            Wire<Mark>(capacity: 2 * batches * (traffic == .tcp ? 4 * 70_000 : 4 * 1_400))
        }
        let sources = try workers.map { _ in try Source(template(), batches: 2 * batches, mark: mark) }
        try walk(Fixture.table(1, isA: true, kind: kind), sources, wires) { sources.allSatisfy(\.isDone) }
        let table = try Fixture.table(1, isA: false, kind: kind)
        let owner = table.owner(of: Fixture.spi(0, towardsA: false))
        let sinks = try workers.map { _ in
            try Source<Mark>((bytes: [], offload: PacketOffload()), batches: 0, mark: mark)
        }
        let replays = try workers.map { try Replay($0 == owner ? wires : [], mark: mark) }
        try walk(table, sinks, replays) { replays[owner].isDone }
        return (
            zip(sources, wires).map { $0.span(packets: $1.count / 2) },
            replays[owner].span()
        )
    }

    private func walk<Device: PacketDevice, Transport: DatagramTransport>(
        _ table: SATable, _ devices: [Device], _ transports: [Transport], until done: () -> Bool
    ) throws {
        let forwarder = try Forwarder(
            devices: devices, transports: transports, table: table, mailbox: Mailbox(producers: devices.count),
            mtu: Fixture.mtu)
        while !done() { usleep(1000) }
        forwarder.stop()
        let lost = forwarder.counters.drops
        if !lost.isEmpty { fatalError("lost \(lost)") }
    }

    private func template() -> (bytes: [UInt8], offload: PacketOffload) {
        switch traffic {
        case .large: (Fixture.packet(payload: 1200, isV6: kind.isV6, isSummed: isSummed), PacketOffload())
        case .small: (Fixture.packet(payload: 64, isV6: kind.isV6, isSummed: isSummed), PacketOffload())
        case .tcp: Fixture.superPacket(isV6: kind.isV6)
        }
    }
}

/// Marks of one walk, taken by its worker.
final class Marks<Mark: Sendable>: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): written by the worker, read after it was stopped.
    private let mark: @Sendable () -> Mark
    private var taken: [(mark: Mark, at: UInt64)] = []

    init(_ mark: @escaping @Sendable () -> Mark) {
        self.mark = mark
        taken.reserveCapacity(2)
    }

    func take() { taken.append((mark(), baseline_now())) }

    func span(packets: Int) -> Span<Mark> {
        Span(packets: packets, nanoseconds: taken[1].at - taken[0].at, begin: taken[0].mark, end: taken[1].mark)
    }
}

/// Gives copies of one packet, four at a time; its second half is the steady state, and what was read before it and
/// within it has left when the marks are taken.
final class Source<Mark: Sendable>: PacketDevice {
    private let wake: WakeUp
    private let template: UnsafeMutableRawPointer
    private let length: Int
    private let offload: PacketOffload
    private let batches: Int
    private let marks: Marks<Mark>
    private var given = 0
    /// After how many batches it last gave nothing, so that the worker sends what it has.
    private var restedAt = 0
    private let done = Atomic<Bool>(false)

    init(_ packet: (bytes: [UInt8], offload: PacketOffload), batches: Int, mark: @escaping @Sendable () -> Mark) throws
    {
        wake = try WakeUp()
        // Plain memory, so that reading it counts no references.
        length = packet.bytes.count
        template = .allocate(byteCount: max(length, 1), alignment: 64)
        offload = packet.offload
        self.batches = batches
        marks = Marks(mark)
        packet.bytes.withUnsafeBytes {
            if let start = $0.baseAddress { template.copyMemory(from: start, byteCount: length) }
        }
        if batches > 0 { wake.signal() }
    }

    deinit { template.deallocate() }

    var descriptor: CInt { wake.descriptor }
    var capabilities: DeviceCapabilities { [.checksum, .tcpSegmentation, .udpSegmentation] }
    var isDone: Bool { done.load(ordering: .acquiring) }

    func span(packets: Int) -> Span<Mark> { marks.span(packets: packets) }

    func read(into batch: PacketBatch) -> DeviceResult {
        batch.count = 0
        if given == batches / 2 || given == batches, given != restedAt {
            restedAt = given
            return .wouldBlock
        }
        guard given < batches else {
            if given == batches, batches > 0 {
                marks.take()
                given += 1
                wake.acknowledge()
                done.store(true, ordering: .releasing)
            }
            return .wouldBlock
        }
        if given == batches / 2 { marks.take() }
        given += 1
        let count = min(batch.capacity, 4)
        for index in 0..<count {
            let offset = index * batch.stride + PacketBatch.headRoom
            (batch.base + offset).copyMemory(from: template, byteCount: length)
            batch.slots[index] = PacketBatch.Slot(offset: offset, length: length, offload: offload)
        }
        batch.count = count
        return .done
    }

    func write(_ pieces: UnsafeBufferPointer<PacketPiece>, offload: PacketOffload) -> DeviceResult { .done }
}

/// Keeps what is sent.
final class Wire<Mark: Sendable>: DatagramTransport {
    struct Run {
        var start: UnsafeMutableRawPointer
        var length: Int
        var size: Int

        var packets: Int { (length + size - 1) / size }

        /// The low half of its first packet's sequence number.
        var sequence: UInt32 { UInt32(bigEndian: start.loadUnaligned(fromByteOffset: 4, as: UInt32.self)) }
    }

    private let memory: UnsafeMutableRawPointer
    private let runs: UnsafeMutablePointer<Run>
    private let capacity: Int
    private let runLimit: Int
    private var runCount = 0
    private(set) var count = 0
    private var used = 0

    init(capacity: Int) {
        self.capacity = capacity
        memory = .allocate(byteCount: capacity, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: capacity)
        runLimit = capacity / 64
        runs = .allocate(capacity: runLimit)
    }

    deinit {
        memory.deallocate()
        runs.deallocate()
    }

    /// What was sent so far.
    var kept: [Run] { Array(UnsafeBufferPointer(start: runs, count: runCount)) }

    var descriptors: [CInt] { [] }
    func receive(into batch: DatagramBatch) -> DeviceResult {
        batch.count = 0
        return .wouldBlock
    }

    func send(_ sent: UnsafeBufferPointer<OutgoingRun>) -> Int {
        for run in sent {
            guard used + run.length <= capacity, runCount < runLimit else { fatalError("the wire is too short") }
            (memory + used).copyMemory(from: run.start, byteCount: run.length)
            (runs + runCount).initialize(to: Run(start: memory + used, length: run.length, size: run.segmentSize))
            runCount += 1
            used += run.length
            count += runs[runCount - 1].packets
        }
        return 0
    }
}

/// Delivers what wires kept; its second half is the steady state.
final class Replay<Mark: Sendable>: DatagramTransport {
    private let wires: [Wire<Mark>]
    private let runs: UnsafeMutablePointer<Wire<Mark>.Run>
    private let count: Int
    /// How many packets the second half has.
    private let steadyPackets: Int
    private let from = Fixture.endpointA
    private let to = Fixture.endpointB
    private let wake: WakeUp
    private let marks: Marks<Mark>
    private var next = 0
    private let done = Atomic<Bool>(false)

    /// Several workers' wires are put together in the order of the sequence numbers, in which their runs left.
    init(_ wires: [Wire<Mark>], mark: @escaping @Sendable () -> Mark) throws {
        self.wires = wires
        let kept = wires.flatMap(\.kept).sorted { $0.sequence < $1.sequence }
        count = kept.count
        steadyPackets = kept.dropFirst(count / 2).reduce(0) { $0 + $1.packets }
        runs = .allocate(capacity: max(count, 1))
        for (index, run) in kept.enumerated() { (runs + index).initialize(to: run) }
        marks = Marks(mark)
        wake = try WakeUp()
        wake.signal()
    }

    deinit { runs.deallocate() }

    var descriptors: [CInt] { [wake.descriptor] }
    var isDone: Bool { done.load(ordering: .acquiring) }

    func span() -> Span<Mark> { marks.span(packets: steadyPackets) }

    func send(_ runs: UnsafeBufferPointer<OutgoingRun>) -> Int { 0 }

    func receive(into batch: DatagramBatch) -> DeviceResult {
        batch.count = 0
        guard next < count else {
            if next == count {
                marks.take()
                next += 1
                wake.acknowledge()
                done.store(true, ordering: .releasing)
            }
            return .wouldBlock
        }
        if next == count / 2 { marks.take() }
        let run = runs[next]
        next += 1
        batch.base.copyMemory(from: run.start, byteCount: run.length)
        batch.runs[0] = DatagramBatch.Run(
            offset: 0, length: run.length, segmentSize: run.size, remote: from, local: to, trafficClass: 0)
        batch.count = 1
        return .done
    }
}
