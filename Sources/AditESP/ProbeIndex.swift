// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

internal import Synchronization

/// The writer's side of a published ``ProbeTable``: keeps it at most half full, by doubling.
///
/// The root is one atomic word that readers load; blocks that were replaced go to ``Reclamation``.
@safe struct ProbeIndex {
    private var table: ProbeTable
    /// Entries.
    private(set) var count = 0
    /// Entries and tombstones.
    private var used = 0
    // SAFETY: lent by `SharedRoots`, which outlives every index.
    private let root: UnsafeMutablePointer<Atomic<UInt>>

    /// An empty table, published at `root`, which outlives the index.
    init(root: UnsafeMutablePointer<Atomic<UInt>>) {
        table = ProbeTable(slots: 16)
        unsafe self.root = root
        unsafe root.pointee.store(UInt(bitPattern: table.base), ordering: .releasing)
    }

    mutating func insert(_ key: UInt64, _ value: UInt, _ reclamation: Reclamation) {
        if (used + 1) * 2 > table.slotCount { rebuild(reclamation) }
        if table.insert(key, value) { used += 1 }
        count += 1
    }

    func replace(_ key: UInt64, _ old: UInt, by new: UInt) { table.replace(key, old, by: new) }

    mutating func remove(_ key: UInt64, _ value: UInt) {
        used -= table.remove(key, value)
        count -= 1
    }

    /// The first value under `key` that `matches` accepts.
    func first(_ key: UInt64, where matches: (UInt) -> Bool) -> UInt? {
        var cursor = table.start(key)
        while true {
            let value = table.next(key, &cursor)
            if value == 0 { return nil }
            if matches(value) { return value }
        }
    }

    func forEach(_ body: (UInt64, UInt) -> Void) { table.forEach(body) }

    /// Gives the block up; the root must not be reachable for new readers.
    func retire(_ reclamation: Reclamation) {
        unsafe reclamation.retire(.memory(table.base))
    }

    /// Copies the entries to a block that they fill to a quarter or less; tombstones stay behind.
    private mutating func rebuild(_ reclamation: Reclamation) {
        var slots = 16
        while slots < (count + 1) * 4 { slots *= 2 }
        let larger = ProbeTable(slots: slots)
        table.forEach { key, value in _ = larger.insert(key, value) }
        unsafe root.pointee.store(UInt(bitPattern: larger.base), ordering: .releasing)
        unsafe reclamation.retire(.memory(table.base))
        table = larger
        used = count
    }
}
