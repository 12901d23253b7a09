// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

internal import Synchronization

/// One worker's drop counters: written by that worker with plain stores, readable by any thread.
@safe public final class DropCounters: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): atomics in memory owned by the object; one writer, any readers.
    private let counters: UnsafeMutablePointer<Atomic<UInt64>>

    /// All zero.
    public init() {
        unsafe counters = .allocate(capacity: DropReason.allCases.count)
        for index in DropReason.allCases.indices {
            unsafe (counters + index).initialize(to: Atomic(0))
        }
    }

    deinit {
        unsafe counters.deinitialize(count: DropReason.allCases.count)
        unsafe counters.deallocate()
    }

    /// Counts `packets` lost for `reason`. Only the owning worker calls this.
    @inline(__always) public func count(_ reason: DropReason, packets: UInt64 = 1) {
        // SAFETY: a raw value is an index below the number of cases.
        let counter = unsafe counters + Int(reason.rawValue)
        let old = unsafe counter.pointee.load(ordering: .relaxed)
        unsafe counter.pointee.store(old &+ packets, ordering: .relaxed)
    }

    /// How many packets were lost for `reason`.
    public subscript(_ reason: DropReason) -> UInt64 {
        unsafe counters[Int(reason.rawValue)].load(ordering: .relaxed)
    }
}
