// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

internal import AditWire
internal import Synchronization

// Tuple space search:
// 1. Selectors become pairs of address blocks; all pairs with the same two prefix lengths share one hash table.
// 2. The directory lists those tables, longest remote prefix first, then longest local prefix.
// 3. A lookup masks the flow's addresses once per table and takes the first rule that matches: the most specific.
// The cost depends on how many pairs of prefix lengths are in use, not on how many rules there are.
// Threading: the writer adds and removes; readers use ``PolicyDirectory`` alone.

/// The writer's side of outbound policy (RFC 4301 §4.4.1).
@safe struct PolicyTable {
    /// One hash table: rules whose blocks have one shape. Outlives its listing in the directory by an epoch.
    @safe private final class Tuple {
        let root: UnsafeMutablePointer<Atomic<UInt>>
        var index: ProbeIndex

        init() {
            // SAFETY: freed by `retire`, after the directory no longer lists it.
            unsafe root = .allocate(capacity: 1)
            unsafe root.initialize(to: Atomic(0))
            unsafe index = ProbeIndex(root: root)
        }

        func retire(_ reclamation: Reclamation) {
            index.retire(reclamation)
            unsafe reclamation.retire(.memory(UnsafeMutableRawPointer(root)))
        }
    }

    private var tuples: [PolicyBlock.Shape: Tuple] = [:]
    private var directory: PolicyDirectory
    private let root: UnsafeMutablePointer<Atomic<UInt>>
    private var age: UInt64 = 0

    /// How many pairs of prefix lengths may be in use; a lookup that finds nothing visits all of them.
    static let shapeLimit = 1024

    /// An empty table, published at `root`, which outlives it.
    init(root: UnsafeMutablePointer<Atomic<UInt>>) {
        unsafe self.root = root
        directory = PolicyDirectory([])
        unsafe root.pointee.store(UInt(bitPattern: directory.base), ordering: .releasing)
    }

    /// Adds rules that lead to `target`; all of them or, when a limit is passed, none.
    mutating func add(
        _ expansion: PolicyExpansion, target: PolicyTarget, order: UInt32, _ reclamation: Reclamation
    ) throws(SATableError) {
        age += 1
        var done = 0
        for entry in expansion.entries {
            guard add(entry, target, order, reclamation) else {
                remove(expansion.entries[..<done], target: target, reclamation)
                throw .tooManySelectors
            }
            done += 1
        }
    }

    /// Removes the rules that lead to `target`.
    mutating func remove(
        _ entries: ArraySlice<PolicyExpansion.Entry>, target: PolicyTarget, _ reclamation: Reclamation
    ) {
        for entry in entries { remove(entry.block, target, reclamation) }
    }

    /// Gives the rules that lead to `target` another order, each in one step; how new they are stays.
    func reorder(
        _ expansion: PolicyExpansion, target: PolicyTarget, order: UInt32, _ reclamation: Reclamation
    ) {
        for block in expansion.entries.map(\.block) {
            guard let tuple = tuples[block.shape], let old = bucket(of: block, in: tuple) else { continue }
            let rules = old.rules.map { rule in
                var rule = rule
                if rule.target == target { rule.order = order }
                return rule
            }
            replace(old, by: PolicyBucket(block, rules), block, tuple, reclamation)
        }
    }

    /// Frees everything; no reader is left.
    mutating func retireAll(_ reclamation: Reclamation) {
        for tuple in tuples.values {
            tuple.index.forEach { _, word in
                guard let bucket = PolicyBucket(word) else { return }
                unsafe reclamation.retire(.memory(bucket.base))
            }
            tuple.retire(reclamation)
        }
        tuples = [:]
        unsafe reclamation.retire(.memory(directory.base))
    }

    private mutating func add(
        _ entry: PolicyExpansion.Entry, _ target: PolicyTarget, _ order: UInt32, _ reclamation: Reclamation
    ) -> Bool {
        let block = entry.block
        let rule = PolicyRule(
            target: target, ipProtocol: entry.ipProtocol, localPorts: entry.localPorts,
            remotePorts: entry.remotePorts, order: order, age: age)
        if tuples[block.shape] == nil {
            guard tuples.count < Self.shapeLimit else { return false }
            tuples[block.shape] = Tuple()
            publishDirectory(reclamation)
        }
        guard let tuple = tuples[block.shape] else { return false }
        guard let old = bucket(of: block, in: tuple) else {
            let bucket = PolicyBucket(block, [rule])
            unsafe tuple.index.insert(block.hash, UInt(bitPattern: bucket.base), reclamation)
            return true
        }
        // One that is there already becomes the newest in the same step.
        let rules = old.rules.filter { !($0.target == target && $0.isLike(rule)) }
        guard rules.count < PolicyBucket.ruleLimit else { return false }
        replace(old, by: PolicyBucket(block, rules + [rule]), block, tuple, reclamation)
        return true
    }

    private mutating func remove(_ block: PolicyBlock, _ target: PolicyTarget, _ reclamation: Reclamation) {
        guard let tuple = tuples[block.shape], let old = bucket(of: block, in: tuple) else { return }
        let rules = old.rules
        let rest = rules.filter { $0.target != target }
        guard rest.count < rules.count else { return }
        guard rest.isEmpty else {
            replace(old, by: PolicyBucket(block, rest), block, tuple, reclamation)
            return
        }
        unsafe tuple.index.remove(block.hash, UInt(bitPattern: old.base))
        unsafe reclamation.retire(.memory(old.base))
        if tuple.index.count == 0 {
            tuples[block.shape] = nil
            publishDirectory(reclamation)
            tuple.retire(reclamation)
        }
    }

    private func replace(
        _ old: PolicyBucket, by new: PolicyBucket, _ block: PolicyBlock, _ tuple: Tuple, _ reclamation: Reclamation
    ) {
        unsafe tuple.index.replace(block.hash, UInt(bitPattern: old.base), by: UInt(bitPattern: new.base))
        unsafe reclamation.retire(.memory(old.base))
    }

    private func bucket(of block: PolicyBlock, in tuple: Tuple) -> PolicyBucket? {
        let word = tuple.index.first(block.hash) { word in
            PolicyBucket(word)?.isAbout(block.localHigh, block.localLow, block.remoteHigh, block.remoteLow) ?? false
        }
        return word.flatMap { PolicyBucket($0) }
    }

    private mutating func publishDirectory(_ reclamation: Reclamation) {
        let listing = tuples.map { unsafe PolicyDirectory.Listing(shape: $0.key, root: $0.value.root) }
        let new = PolicyDirectory(listing)
        unsafe root.pointee.store(UInt(bitPattern: new.base), ordering: .releasing)
        unsafe reclamation.retire(.memory(directory.base))
        directory = new
    }
}
