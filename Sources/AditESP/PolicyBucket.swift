// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

internal import AditWire

/// The rules of one pair of address blocks, best first, in one immutable run of memory: a change publishes another run.
@safe struct PolicyBucket {
    private struct Header {
        let localHigh: UInt64
        let localLow: UInt64
        let remoteHigh: UInt64
        let remoteLow: UInt64
        let count: Int
    }

    /// The run's address.
    let base: UnsafeMutableRawPointer

    /// How many rules may share one pair of blocks.
    static let ruleLimit = 1024

    /// A published run.
    @inline(__always) init?(_ word: UInt) {
        guard let base = unsafe UnsafeMutableRawPointer(bitPattern: word) else { return nil }
        unsafe self.base = base
    }

    /// A new run of `rules`, sorted here; freed through ``base``.
    init(_ block: PolicyBlock, _ rules: [PolicyRule]) {
        let length = MemoryLayout<Header>.stride + rules.count * MemoryLayout<PolicyRule>.stride
        // SAFETY: header and rules are trivial and initialized before anyone sees the run.
        unsafe base = .allocate(byteCount: length, alignment: 64)
        let header = Header(
            localHigh: block.localHigh, localLow: block.localLow, remoteHigh: block.remoteHigh,
            remoteLow: block.remoteLow, count: rules.count)
        unsafe base.initializeMemory(as: Header.self, to: header)
        let target = unsafe firstRule
        for (index, rule) in rules.sorted(by: { $0.precedes($1) }).enumerated() {
            unsafe (target + index).initialize(to: rule)
        }
    }

    @inline(__always) private var header: UnsafeMutablePointer<Header> {
        unsafe base.assumingMemoryBound(to: Header.self)
    }

    @inline(__always) private var firstRule: UnsafeMutablePointer<PolicyRule> {
        unsafe (base + MemoryLayout<Header>.stride).assumingMemoryBound(to: PolicyRule.self)
    }

    /// Whether the run is about this pair of blocks.
    @inline(__always) func isAbout(
        _ localHigh: UInt64, _ localLow: UInt64, _ remoteHigh: UInt64, _ remoteLow: UInt64
    ) -> Bool {
        let header = unsafe header
        let low = unsafe (header.pointee.localLow ^ localLow) | (header.pointee.remoteLow ^ remoteLow)
        let high = unsafe (header.pointee.localHigh ^ localHigh) | (header.pointee.remoteHigh ^ remoteHigh)
        return low | high == 0
    }

    /// The best rule's target for `flow`, whose addresses lie in the blocks.
    @inline(__always) func target(for flow: FlowKey) -> PolicyTarget {
        let count = unsafe header.pointee.count
        var rule = unsafe firstRule
        for _ in 0..<count {
            if unsafe rule.pointee.matches(flow) { return unsafe rule.pointee.target }
            unsafe rule += 1
        }
        return .none
    }

    /// Writer: the rules.
    var rules: [PolicyRule] {
        unsafe Array(UnsafeBufferPointer(start: firstRule, count: header.pointee.count))
    }
}
