// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

internal import Synchronization

/// The words through which control and workers meet: stored by control, loaded by workers. Owned by ``SATable`` and
/// every
/// ``SAReader`` together, so that it outlives whoever looks.
@safe final class SharedRoots: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): atomics at fixed addresses; reclamation and rings say themselves who may do what.

    /// One cache line that changes only when control changes something.
    struct Words: ~Copyable {
        /// The address of the inbound ``ProbeTable``.
        let inbound = Atomic<UInt>(0)
        /// The address of the ``PolicyDirectory``.
        let directory = Atomic<UInt>(0)
        /// Advances after each change of policy; flow caches of an earlier one are void.
        let generation = Atomic<UInt64>(1)
        /// Advances with each drain of hints.
        let tick = Atomic<UInt64>(1)
    }

    let words: UnsafeMutablePointer<Words>
    let reclamation: Reclamation
    let rings: [HintRing]

    init(workers: Int, quarantines: Bool) {
        // SAFETY: freed in deinit, when no table and no reader is left.
        let block = UnsafeMutableRawPointer.allocate(byteCount: MemoryLayout<Words>.size, alignment: 64)
        unsafe words = block.bindMemory(to: Words.self, capacity: 1)
        unsafe words.initialize(to: Words())
        reclamation = Reclamation(workers: workers, quarantines: quarantines)
        rings = (0..<workers).map { _ in HintRing() }
    }

    deinit {
        unsafe words.deinitialize(count: 1)
        unsafe words.deallocate()
    }

    /// The words' members at their addresses.
    var inboundRoot: UnsafeMutablePointer<Atomic<UInt>> {
        unsafe UnsafeMutableRawPointer(words).assumingMemoryBound(to: Atomic<UInt>.self)
    }
    var directoryRoot: UnsafeMutablePointer<Atomic<UInt>> {
        unsafe UnsafeMutableRawPointer(words).assumingMemoryBound(to: Atomic<UInt>.self) + 1
    }
}
