// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

internal import AditWire

/// A port range as packets are compared with it (RFC 4301 §4.4.1.1).
struct PortRange: Equatable {
    let first: UInt16
    let last: UInt16

    init(_ selector: TrafficSelector) {
        first = selector.firstPort
        last = selector.lastPort
    }

    /// How many ports, for specificity; OPAQUE is as narrow as one port.
    var breadth: UInt64 { first > last ? 1 : UInt64(last - first) + 1 }

    /// ANY matches also what cannot be seen, OPAQUE only that.
    @inline(__always) func matches(_ port: UInt16, visible: Bool) -> Bool {
        if first == 0 && last == .max { return true }
        if first > last { return !visible }
        return visible && first <= port && port <= last
    }
}

/// The selectors of one side of one SA in memory of their own; immutable, shared freely until it is freed.
@safe struct SelectorSet {
    private struct Entry {
        let firstHigh: UInt64
        let firstLow: UInt64
        let lastHigh: UInt64
        let lastLow: UInt64
        let ports: PortRange
        let ipProtocol: UInt8
        let family: IPAddress.Family
    }

    private let entries: UnsafeMutablePointer<Entry>
    private let count: Int

    init(_ selectors: [TrafficSelector]) {
        // SAFETY: freed by `deallocate()`, which the owning SA's deinit calls.
        unsafe entries = .allocate(capacity: max(selectors.count, 1))
        count = selectors.count
        for (index, selector) in selectors.enumerated() {
            unsafe (entries + index).initialize(
                to: Entry(
                    firstHigh: selector.first.high, firstLow: selector.first.low, lastHigh: selector.last.high,
                    lastLow: selector.last.low, ports: PortRange(selector), ipProtocol: selector.ipProtocol,
                    family: selector.family))
        }
    }

    func deallocate() {
        unsafe entries.deallocate()
    }

    /// Whether one selector covers an end of a packet.
    @inline(__always) func covers(
        high: UInt64, low: UInt64, family: IPAddress.Family, ipProtocol: UInt8, port: UInt16, visible: Bool
    ) -> Bool {
        for index in 0..<count {
            let entry = unsafe entries + index
            guard unsafe entry.pointee.family == family,
                unsafe entry.pointee.ipProtocol == 0 || entry.pointee.ipProtocol == ipProtocol,
                unsafe entry.pointee.ports.matches(port, visible: visible)
            else { continue }
            if family == .v4 {
                if unsafe entry.pointee.firstLow <= low && low <= entry.pointee.lastLow { return true }
            } else {
                let notBelow = unsafe (entry.pointee.firstHigh, entry.pointee.firstLow) <= (high, low)
                let notAbove = unsafe (high, low) <= (entry.pointee.lastHigh, entry.pointee.lastLow)
                if notBelow && notAbove { return true }
            }
        }
        return false
    }
}
