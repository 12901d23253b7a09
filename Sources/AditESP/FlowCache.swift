// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

internal import AditWire

/// One worker's memory of recent policy lookups: direct-mapped, forgotten at once when policy changes.
@safe struct FlowCache {
    /// One line: flow, the policy generation that the answer is from, the answer.
    private struct Entry {
        let flow: FlowKey
        let generation: UInt64
        let target: PolicyTarget
    }

    /// How many flows; a power of two.
    static let size = 2048

    private let entries: UnsafeMutablePointer<Entry>

    init() {
        // SAFETY: freed by `deallocate()`; entries are trivial.
        unsafe entries = .allocate(capacity: Self.size)
        let nowhere = IPAddress(v4: 0)
        let flow = FlowKey(source: nowhere, destination: nowhere, ipProtocol: 0, sourcePort: 0, destinationPort: 0)
        // Generation 0 never is current.
        unsafe entries.initialize(repeating: Entry(flow: flow, generation: 0, target: .none), count: Self.size)
    }

    func deallocate() {
        unsafe entries.deallocate()
    }

    /// Where `flow` would be.
    @inline(__always) static func index(_ flow: FlowKey) -> Int {
        Int(truncatingIfNeeded: flow.mixed & UInt64(size - 1))
    }

    /// The answer remembered for `flow` in this generation; nil when there is none.
    @inline(__always) func target(for flow: FlowKey, at index: Int, generation: UInt64) -> PolicyTarget? {
        let entry = unsafe entries + index
        let cached = unsafe entry.pointee.flow
        let difference =
            (cached.sourceLow ^ flow.sourceLow) | (cached.destinationLow ^ flow.destinationLow)
            | (cached.tail ^ flow.tail) | (cached.sourceHigh ^ flow.sourceHigh)
            | (cached.destinationHigh ^ flow.destinationHigh)
        let age = unsafe entry.pointee.generation ^ generation
        return difference | age == 0 ? unsafe entry.pointee.target : nil
    }

    /// Remembers an answer.
    @inline(__always) func store(_ target: PolicyTarget, for flow: FlowKey, at index: Int, generation: UInt64) {
        unsafe entries[index] = Entry(flow: flow, generation: generation, target: target)
    }
}
