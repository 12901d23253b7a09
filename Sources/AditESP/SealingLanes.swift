// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

internal import AditCrypto
internal import Synchronization

/// One worker's part of an ``OutboundSA``: its sealer and its counters.
@safe struct SealingLane: ~Copyable {
    let sealer: Unmanaged<PacketSealer>
    let packets = Atomic<UInt64>(0)
    let bytes = Atomic<UInt64>(0)

    init(_ sealer: PacketSealer) {
        // SAFETY: retained here, released in deinit; used in between without reference counting.
        unsafe self.sealer = Unmanaged.passRetained(sealer)
    }

    deinit {
        unsafe sealer.release()
    }
}

/// The mutable part of an ``OutboundSA``: shared counters on one cache line, then a line for each worker.
@safe struct SealingLanes {
    private let base: UnsafeMutableRawPointer
    private let count: Int

    init(_ sealers: [PacketSealer]) {
        count = sealers.count
        // SAFETY: freed by `deallocate()`; each part is initialized at a line of its own and stays in place.
        unsafe base = .allocate(byteCount: (sealers.count + 1) * Self.line, alignment: Self.line)
        unsafe sequence.initialize(to: Atomic(0))
        unsafe bytes.initialize(to: Atomic(0))
        unsafe toldLifetime.initialize(to: Atomic(false))
        unsafe departed.initialize(to: Atomic(0))
        for (index, sealer) in sealers.enumerated() {
            unsafe lane(index).initialize(to: SealingLane(sealer))
        }
    }

    func deallocate() {
        for index in 0..<count { unsafe lane(index).deinitialize(count: 1) }
        unsafe base.deallocate()
    }

    /// The last sequence number reserved.
    var sequence: UnsafeMutablePointer<Atomic<UInt64>> {
        unsafe base.assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Inner bytes reserved, where the SA counts them.
    var bytes: UnsafeMutablePointer<Atomic<UInt64>> {
        unsafe (base + 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Whether the soft lifetime was told.
    var toldLifetime: UnsafeMutablePointer<Atomic<Bool>> {
        unsafe (base + 16).assumingMemoryBound(to: Atomic<Bool>.self)
    }

    /// The last sequence number that left, or was given up, with all before it.
    var departed: UnsafeMutablePointer<Atomic<UInt64>> {
        unsafe (base + 24).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// The part of worker `index`.
    @inline(__always) func lane(_ index: Int) -> UnsafeMutablePointer<SealingLane> {
        unsafe (base + (index &+ 1) &* Self.line).assumingMemoryBound(to: SealingLane.self)
    }

    /// What all workers carried: packets, inner bytes.
    var totals: (packets: UInt64, bytes: UInt64) {
        var packets: UInt64 = 0
        var bytes: UInt64 = 0
        for index in 0..<count {
            packets &+= unsafe lane(index).pointee.packets.load(ordering: .relaxed)
            bytes &+= unsafe lane(index).pointee.bytes.load(ordering: .relaxed)
        }
        return (packets, bytes)
    }

    /// A cache line.
    private static let line = 64
}
