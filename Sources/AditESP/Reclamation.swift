// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

internal import Synchronization

// Quiescent-state reclamation:
// 1. The writer makes a thing unreachable, then retires it under the current epoch, then advances the epoch.
// 2. A worker announces the epoch it sees at each batch boundary, where it holds no pointer.
// 3. A thing is freed once every worker announced a later epoch than the thing's, or sleeps.
// Threading: retire, advance and reclaim belong to the writer; announce, sleep and wake to each worker.

/// Decides when memory that readers may still see can be freed.
@safe final class Reclamation: @unchecked Sendable {
    /// What waits to be freed.
    @safe enum Retired {
        case memory(UnsafeMutableRawPointer)
        case inbound(UnsafeMutablePointer<InboundSA>)
        case outbound(UnsafeMutablePointer<OutboundSA>)
    }

    /// What a worker announces while it sleeps and holds nothing.
    static let asleep = UInt64.max
    private static let line = 64

    // SAFETY (@unchecked Sendable): announcements are atomics; the queue is the writer's alone.
    private let epoch = Atomic<UInt64>(1)
    private let announcements: UnsafeMutableRawPointer
    private let workers: Int
    private var queue: [(epoch: UInt64, item: Retired)] = []
    private var head = 0
    private let quarantines: Bool

    /// For `workers` workers, all asleep. With `quarantines` nothing is given back to the allocator: what is freed is
    /// poisoned, so that a test sees a reader that holds it too long.
    init(workers: Int, quarantines: Bool) {
        self.workers = workers
        self.quarantines = quarantines
        // SAFETY: lives as long as the object; each worker's word has a cache line of its own.
        unsafe announcements = .allocate(byteCount: workers * Self.line, alignment: Self.line)
        for worker in 0..<workers { unsafe announcement(worker).initialize(to: Atomic(Self.asleep)) }
    }

    deinit {
        // No reader is left: readers hold the table, and with it this object.
        while head < queue.count {
            free(queue[head].item)
            head += 1
        }
        unsafe announcements.deallocate()
    }

    /// How many things wait.
    var waiting: Int { queue.count - head }

    /// Writer: `item` is unreachable for whoever looks from now on.
    func retire(_ item: Retired) {
        queue.append((epoch.load(ordering: .relaxed), item))
    }

    /// Writer: ends the epoch of what was retired so far.
    func advance() {
        epoch.store(epoch.load(ordering: .relaxed) &+ 1, ordering: .sequentiallyConsistent)
    }

    /// Writer: frees what no worker can hold.
    func reclaim() {
        guard head < queue.count else { return }
        // Pairs with the fence in `wake`: either we see the worker awake, or it sees what was unpublished.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        var oldest = Self.asleep
        for worker in 0..<workers {
            oldest = min(oldest, unsafe announcement(worker).pointee.load(ordering: .acquiring))
        }
        while head < queue.count, queue[head].epoch < oldest {
            free(queue[head].item)
            head += 1
        }
        if head == queue.count {
            queue.removeAll(keepingCapacity: true)
            head = 0
        } else if head > Self.compactionThreshold {
            queue.removeFirst(head)
            head = 0
        }
    }

    /// Worker: a batch boundary.
    @inline(__always) func announce(_ worker: Int) {
        let seen = epoch.load(ordering: .acquiring)
        unsafe announcement(worker).pointee.store(seen, ordering: .releasing)
    }

    /// Worker: holds nothing until it wakes.
    func sleep(_ worker: Int) {
        unsafe announcement(worker).pointee.store(Self.asleep, ordering: .releasing)
    }

    /// Worker: will look things up again.
    func wake(_ worker: Int) {
        announce(worker)
        // The announcement must be visible before the first pointer is loaded.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
    }

    @inline(__always) private func announcement(_ worker: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        unsafe (announcements + worker &* Self.line).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    private func free(_ item: Retired) {
        // SAFETY: no worker holds the item; the queue held the last reference to it.
        switch item {
        case .memory(let block):
            unsafe block.deallocate()
        case .inbound(let sa):
            unsafe sa.deinitialize(count: 1)
            unsafe release(sa, MemoryLayout<InboundSA>.size)
        case .outbound(let sa):
            unsafe sa.deinitialize(count: 1)
            unsafe release(sa, MemoryLayout<OutboundSA>.size)
        }
    }

    private func release(_ block: UnsafeMutableRawPointer, _ count: Int) {
        if quarantines {
            unsafe block.initializeMemory(as: UInt8.self, repeating: Self.poison, count: count)
        } else {
            unsafe block.deallocate()
        }
    }

    static let poison: UInt8 = 0xdb
    private static let compactionThreshold = 4096
}
