// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

internal import AditWire
internal import Synchronization

/// Hints from one worker to the control thread: one producer, one consumer, bounded, without read-modify-write.
@safe final class HintRing: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): a slot is written by the worker before `written` is released past it, and read by
    // control before `read` is released past it.

    /// How many hints may wait; what does not fit is told again when its cause recurs.
    static let limit = 4096

    private let slots: UnsafeMutablePointer<SAHint>
    private let written = Atomic<UInt64>(0)
    private let read = Atomic<UInt64>(0)

    init() {
        unsafe slots = .allocate(capacity: Self.limit)
        let nothing = SAHint.inboundActivity(inboundSPI: SPI(rawValue: 0))
        unsafe slots.initialize(repeating: nothing, count: Self.limit)
    }

    deinit {
        unsafe slots.deinitialize(count: Self.limit)
        unsafe slots.deallocate()
    }

    /// Worker: posts a hint; false when there is no room.
    func post(_ hint: SAHint) -> Bool {
        let position = written.load(ordering: .relaxed)
        guard position &- read.load(ordering: .acquiring) < UInt64(Self.limit) else { return false }
        unsafe slots[Int(position % UInt64(Self.limit))] = hint
        written.store(position &+ 1, ordering: .releasing)
        return true
    }

    /// Control: takes every hint that waits.
    func drain(_ body: (SAHint) -> Void) {
        let end = written.load(ordering: .acquiring)
        var position = read.load(ordering: .relaxed)
        while position != end {
            body(unsafe slots[Int(position % UInt64(Self.limit))])
            position &+= 1
            read.store(position, ordering: .releasing)
        }
    }
}
