// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

import AditLinux
import AditWire
import Foundation
import Synchronization

/// A queue between a test and a worker, with a descriptor that is readable while something is in it.
///
/// Under a POSIX lock, which the thread sanitizer knows: where `Mutex` has to wait, it waits in a library that is not
/// instrumented, and every access would be reported.
final class TestQueue<Element: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var items: [Element] = []
    private let wake: WakeUp
    var descriptor: CInt { wake.descriptor }

    init() throws { wake = try WakeUp() }

    func put(_ elements: [Element]) {
        lock.withLock {
            items += elements
            wake.signal()
        }
    }

    func take(_ limit: Int) -> [Element] {
        lock.withLock {
            // A copy: two threads that share storage by reference counts alone are a race to the sanitizer.
            let taken = items.prefix(limit).map { $0 }
            items.removeFirst(taken.count)
            if items.isEmpty { wake.acknowledge() }
            return taken
        }
    }

    var count: Int { lock.withLock { items.count } }
}

/// A device whose packets a test puts in and takes out; a packet without bytes is one that cannot be read.
final class MemoryDevice: PacketDevice {
    struct Packet: Sendable, Equatable {
        var bytes: [UInt8]
        var offload = PacketOffload()
    }

    let toWorker: TestQueue<Packet>
    let fromWorker: TestQueue<Packet>
    let capabilities: DeviceCapabilities
    let refusesWrites: Bool
    /// With this errno every read fails.
    let readError: CInt?
    /// How often it was read; any thread.
    let reads = Atomic(0)
    private(set) var unreadable: UInt64 = 0

    init(
        capabilities: DeviceCapabilities = [.checksum, .tcpSegmentation, .udpSegmentation], refusesWrites: Bool = false,
        readError: CInt? = nil
    ) throws {
        toWorker = try TestQueue()
        fromWorker = try TestQueue()
        self.capabilities = capabilities
        self.refusesWrites = refusesWrites
        self.readError = readError
    }

    var descriptor: CInt { toWorker.descriptor }

    func read(into batch: PacketBatch) -> DeviceResult {
        reads.add(1, ordering: .relaxed)
        batch.count = 0
        if let readError { return .failed(readError) }
        let taken = toWorker.take(batch.capacity)
        let packets = taken.filter { !$0.bytes.isEmpty }
        unreadable += UInt64(taken.count - packets.count)
        for (index, packet) in packets.enumerated() {
            let offset = index * batch.stride + PacketBatch.headRoom
            packet.bytes.withUnsafeBytes {
                if let start = $0.baseAddress { (batch.base + offset).copyMemory(from: start, byteCount: $0.count) }
            }
            batch.slots[index] = PacketBatch.Slot(offset: offset, length: packet.bytes.count, offload: packet.offload)
        }
        batch.count = packets.count
        return packets.isEmpty ? .wouldBlock : .done
    }

    func write(_ pieces: UnsafeBufferPointer<PacketPiece>, offload: PacketOffload) -> DeviceResult {
        guard !refusesWrites else { return .failed(5) }
        let bytes = pieces.flatMap { Array(UnsafeRawBufferPointer(start: $0.start, count: $0.length)) }
        fromWorker.put([Packet(bytes: bytes, offload: offload)])
        return .done
    }
}

/// A transport that carries runs to its peer, as UDP GSO and GRO would; a run without bytes cannot be read.
final class MemoryTransport: DatagramTransport {
    struct Run: Sendable {
        var bytes: [UInt8]
        var segmentSize: Int
        var trafficClass: UInt8 = 0
        var remote: Endpoint

        var datagrams: [[UInt8]] {
            stride(from: 0, to: max(bytes.count, 1), by: segmentSize).map {
                Array(bytes[$0..<min($0 + segmentSize, bytes.count)])
            }
        }
    }

    let local: Endpoint
    let arriving: TestQueue<Run>
    /// Everything sent, when it does not go to a peer.
    let sent: TestQueue<Run>
    let peer: MemoryTransport?
    /// Set before the worker starts: changes what is sent to the peer.
    let wire: @Sendable (Run) -> [Run]
    private(set) var unreadable: UInt64 = 0

    init(local: Endpoint, peer: MemoryTransport? = nil, wire: @escaping @Sendable (Run) -> [Run] = { [$0] }) throws {
        arriving = try TestQueue()
        sent = try TestQueue()
        self.local = local
        self.peer = peer
        self.wire = wire
    }

    var descriptors: [CInt] { [arriving.descriptor] }

    func receive(into batch: DatagramBatch) -> DeviceResult {
        let taken = arriving.take(batch.capacity)
        let runs = taken.filter { !$0.bytes.isEmpty }
        unreadable += UInt64(taken.count - runs.count)
        for (index, run) in runs.enumerated() {
            let offset = index * batch.stride
            run.bytes.withUnsafeBytes {
                if let start = $0.baseAddress { (batch.base + offset).copyMemory(from: start, byteCount: $0.count) }
            }
            batch.runs[index] = DatagramBatch.Run(
                offset: offset, length: run.bytes.count, segmentSize: run.segmentSize, remote: run.remote, local: local,
                trafficClass: run.trafficClass)
        }
        batch.count = runs.count
        return runs.isEmpty ? .wouldBlock : .done
    }

    func send(_ runs: UnsafeBufferPointer<OutgoingRun>) -> Int {
        for run in runs {
            let bytes = Array(UnsafeRawBufferPointer(start: run.start, count: run.length))
            // The peer sees this transport as the sender.
            let copy = Run(bytes: bytes, segmentSize: run.segmentSize, trafficClass: run.trafficClass, remote: local)
            (peer?.arriving ?? sent).put(wire(copy))
        }
        return 0
    }
}
