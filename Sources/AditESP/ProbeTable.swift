// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

internal import Synchronization

/// A hash table from nonzero 64-bit keys to addresses: one writer, any readers, readers by acquire loads only.
///
/// Open addressing with linear probing over slots of two atomic words. A slot goes from empty to used, its value may
/// become a tombstone and another value later; a reader therefore verifies what it found, as the key word and the value
/// word may belong to two successive entries. The block is never resized in place: the writer publishes a larger one
/// and retires the old (``ProbeIndex``).
@safe struct ProbeTable {
    private struct Slot: ~Copyable {
        let key = Atomic<UInt64>(0)
        let value = Atomic<UInt>(0)
    }

    /// Header: the shift that brings a hash to a slot number, and the number of slots less one.
    private struct Header {
        let shift: UInt64
        let mask: Int
    }

    /// The block's address, which identifies it and is what roots hold.
    let base: UnsafeMutableRawPointer

    private static let headerLength = 64
    static let tombstone: UInt = 1

    /// A block that some root held.
    @inline(__always) init(_ base: UnsafeMutableRawPointer) { unsafe self.base = base }

    /// An empty block of `count` slots, a power of two of at least 2.
    init(slots count: Int) {
        // SAFETY: freed by the owner through `base`; slots are initialized before the block is published.
        unsafe base = .allocate(byteCount: Self.headerLength + count * MemoryLayout<Slot>.stride, alignment: 64)
        let header = Header(shift: UInt64(64 - count.trailingZeroBitCount), mask: count - 1)
        unsafe base.initializeMemory(as: Header.self, to: header)
        for index in 0..<count { unsafe slot(index).initialize(to: Slot()) }
    }

    private var header: Header { @inline(__always) get { unsafe base.assumingMemoryBound(to: Header.self).pointee } }

    @inline(__always) private func slot(_ index: Int) -> UnsafeMutablePointer<Slot> {
        unsafe (base + Self.headerLength).assumingMemoryBound(to: Slot.self) + index
    }

    /// How many slots there are.
    var slotCount: Int { header.mask + 1 }

    /// Where the search for `key` begins.
    @inline(__always) func start(_ key: UInt64) -> Int {
        Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> header.shift)
    }

    /// Reader: the next value stored under `key` at or after `cursor`, which moves past it; 0 when there is none.
    @inline(__always) func next(_ key: UInt64, _ cursor: inout Int) -> UInt {
        let mask = header.mask
        // The writer keeps at least half of the slots empty, so this ends; the bound is for a reader that is overtaken.
        for _ in 0...mask {
            let slot = unsafe slot(cursor & mask)
            cursor &+= 1
            let found = unsafe slot.pointee.key.load(ordering: .acquiring)
            if found == 0 { return 0 }
            if found == key {
                let value = unsafe slot.pointee.value.load(ordering: .acquiring)
                if value > Self.tombstone { return value }
            }
        }
        return 0
    }

    /// Writer: stores a value under a key; false when the slot was a tombstone, true when it was empty.
    func insert(_ key: UInt64, _ value: UInt) -> Bool {
        let mask = header.mask
        var index = start(key)
        while true {
            let slot = unsafe slot(index & mask)
            let found = unsafe slot.pointee.key.load(ordering: .relaxed)
            let isFree = unsafe found == 0 || slot.pointee.value.load(ordering: .relaxed) == Self.tombstone
            if isFree {
                // A reader that sees the new key with the old value finds no value, and goes on.
                if found == 0 { unsafe slot.pointee.value.store(Self.tombstone, ordering: .relaxed) }
                unsafe slot.pointee.key.store(key, ordering: .releasing)
                unsafe slot.pointee.value.store(value, ordering: .releasing)
                return found == 0
            }
            index &+= 1
        }
    }

    /// Writer: replaces `old` under `key` by `new`.
    func replace(_ key: UInt64, _ old: UInt, by new: UInt) {
        guard let index = find(key, old) else { return }
        unsafe slot(index).pointee.value.store(new, ordering: .releasing)
    }

    /// Writer: removes `value` under `key`; returns how many slots became empty again.
    func remove(_ key: UInt64, _ value: UInt) -> Int {
        guard var index = find(key, value) else { return 0 }
        unsafe slot(index).pointee.value.store(Self.tombstone, ordering: .releasing)
        // Tombstones right before an empty slot end no search that would have gone on: empty them too.
        let mask = header.mask
        guard unsafe slot((index + 1) & mask).pointee.key.load(ordering: .relaxed) == 0 else { return 0 }
        var emptied = 0
        while unsafe slot(index).pointee.key.load(ordering: .relaxed) != 0,
            unsafe slot(index).pointee.value.load(ordering: .relaxed) == Self.tombstone
        {
            unsafe slot(index).pointee.key.store(0, ordering: .releasing)
            emptied += 1
            index = (index - 1) & mask
        }
        return emptied
    }

    /// Writer: every entry.
    func forEach(_ body: (UInt64, UInt) -> Void) {
        for index in 0..<slotCount {
            let key = unsafe slot(index).pointee.key.load(ordering: .relaxed)
            let value = unsafe slot(index).pointee.value.load(ordering: .relaxed)
            if key != 0, value > Self.tombstone { body(key, value) }
        }
    }

    private func find(_ key: UInt64, _ value: UInt) -> Int? {
        var cursor = start(key)
        while true {
            let found = next(key, &cursor)
            if found == value { return (cursor - 1) & header.mask }
            if found == 0 { return nil }
        }
    }
}
