// SPDX-License-Identifier: Apache-2.0
// Adit: AditESPTests

import Synchronization
import Testing

@testable import AditESP

@Suite struct ProbeTableTests {
    /// Any order of insertions and removals against a dictionary; keys are few, so that they collide and come again.
    @Test(arguments: [(UInt64(1), 40), (2, 1000), (3, 20_000)])
    func agreesWithADictionary(seed: UInt64, keys: Int) {
        var generator = SeededGenerator(seed: seed)
        let root = UnsafeMutablePointer<Atomic<UInt>>.allocate(capacity: 1)
        root.initialize(to: Atomic(0))
        let reclamation = Reclamation(workers: 1, quarantines: false)
        var index = ProbeIndex(root: root)
        var model: [UInt64: UInt] = [:]
        for step in 0..<60_000 {
            let key = UInt64.random(in: 1...UInt64(keys), using: &generator)
            if let value = model[key] {
                if Bool.random(using: &generator) {
                    index.remove(key, value)
                    model[key] = nil
                } else {
                    let new = UInt(step) * 64 + 64
                    index.replace(key, value, by: new)
                    model[key] = new
                }
            } else {
                let value = UInt(step) * 64 + 64
                index.insert(key, value, reclamation)
                model[key] = value
            }
            if step % 16 == 0 { reclamation.advance() }
            if step % 64 == 0 { reclamation.reclaim() }
            let probe = UInt64.random(in: 1...UInt64(keys), using: &generator)
            guard index.first(probe, where: { _ in true }) == model[probe], index.count == model.count else {
                Issue.record("seed \(seed) step \(step) key \(probe)")
                return
            }
        }
        for key in 1...UInt64(keys) { #expect(index.first(key, where: { _ in true }) == model[key]) }
        let table = ProbeTable(UnsafeMutableRawPointer(bitPattern: root.pointee.load(ordering: .relaxed))!)
        #expect(table.slotCount >= 2 * model.count, "never more than half full")
        #expect(table.slotCount <= max(16, 16 * keys), "and not out of proportion")
        index.retire(reclamation)
        reclamation.advance()
        reclamation.reclaim()
        #expect(reclamation.waiting == 0)
        root.deallocate()
    }
}
