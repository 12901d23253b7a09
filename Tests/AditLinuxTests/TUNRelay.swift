// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinuxTests

import AditLinux
import AditWire
import Glibc
import Synchronization

/// Two namespaces joined by two TUN devices whose packets are carried over by a thread: kernel TCP on both sides, our
/// reads and writes between.
final class TUNRelay: Sendable {
    struct Counters: Sendable {
        var packets = 0
        var superPackets: [PacketOffload.Segmentation: Int] = [:]
        var unfinishedChecksums = 0
        var largest = 0
        var failedWrites = 0
        /// Super-packets whose checksum or segment fields contradict the packet.
        var implausible = 0
    }

    let client: TUNDevice
    let server: TUNDevice
    let counters = Mutex(Counters())
    private let stop = Atomic(false)

    init(client: TUNDevice, server: TUNDevice) {
        self.client = client
        self.server = server
    }

    /// A device at `address` that is up, in the calling thread's namespace.
    static func device(_ name: String, address: IPPrefix, offloads: TUNOffloads, queues: Int = 1) throws -> TUNDevice {
        let device = try TUNDevice(.init(name: name, queues: queues, offloads: offloads))
        let netlink = try Netlink()
        try netlink.addAddress(address, link: device.index)
        try netlink.setMTU(1438, link: device.index)
        try netlink.setUp(true, link: device.index)
        return device
    }

    /// Carries packets until ``end()``.
    func run() throws {
        let poll = try EventPoll()
        let batch = PacketBatch(capacity: 4)
        let ways = [(client.queues, server.queues), (server.queues, client.queues)]
        let pairs = ways.flatMap { way in way.0.map { ($0, way.1[0]) } }
        for (index, pair) in pairs.enumerated() { try poll.add(pair.0.descriptor, token: UInt64(index)) }
        while !stop.load(ordering: .relaxed) {
            for position in 0..<poll.wait(until: MonotonicClock.now() + .milliseconds(50)) {
                let (from, to) = pairs[Int(poll[position].token)]
                _ = from.read(into: batch)
                for slot in 0..<batch.count { carry(batch, slot, to: to) }
            }
        }
    }

    func end() { stop.store(true, ordering: .relaxed) }

    private func carry(_ batch: PacketBatch, _ index: Int, to queue: TUNQueue) {
        let slot = batch.slots[index]
        let start = UnsafeRawPointer(batch.base + slot.offset)
        // In up to three pieces, as a coalescer would write.
        let cuts = [0, min(40, slot.length), min(1000, slot.length), slot.length]
        let pieces = (0..<3).map { PacketPiece(start: start + cuts[$0], length: cuts[$0 + 1] - cuts[$0]) }
        let result = pieces.withUnsafeBufferPointer { queue.write($0, offload: slot.offload) }
        let isV4 = start.load(as: UInt8.self) >> 4 == 4
        let transport = start.load(fromByteOffset: isV4 ? 9 : 6, as: UInt8.self)
        counters.withLock { counters in
            counters.packets += 1
            counters.largest = max(counters.largest, slot.length)
            if case .done = result {} else { counters.failedWrites += 1 }
            if slot.offload.needsChecksum { counters.unfinishedChecksums += 1 }
            guard slot.offload.segmentation != .none else { return }
            counters.superPackets[slot.offload.segmentation, default: 0] += 1
            let offload = slot.offload
            let plausible: Bool =
                switch offload.segmentation {
                case .tcpV4: isV4 && transport == 6 && offload.checksumStart == 20 && offload.checksumOffset == 16
                case .tcpV6: !isV4 && transport == 6 && offload.checksumStart == 40 && offload.checksumOffset == 16
                case .udp: transport == 17 && offload.checksumOffset == 6
                case .none: true
                }
            let isSplit = offload.segmentSize > 0 && Int(offload.segmentSize) < slot.length
            if !plausible || !isSplit || !offload.needsChecksum { counters.implausible += 1 }
        }
    }
}
