// SPDX-License-Identifier: Apache-2.0
// Adit: AditESPTests

import AditWire
import Testing

@testable import AditESP

/// Random policies and flows against a search of every rule.
@Suite struct PolicyModelTests {
    struct Rule {
        let spi: UInt32
        let local: TrafficSelector
        let remote: TrafficSelector
        let order: UInt32
        let age: Int
    }

    private func matches(_ selector: TrafficSelector, _ address: IPAddress, _ flow: FlowKey, _ port: UInt16) -> Bool {
        guard selector.first.family == address.family, selector.first <= address, address <= selector.last else {
            return false
        }
        guard selector.ipProtocol == 0 || selector.ipProtocol == flow.ipProtocol else { return false }
        if selector.anyPort { return true }
        if selector.firstPort > selector.lastPort { return !flow.portsVisible }
        return flow.portsVisible && selector.firstPort <= port && port <= selector.lastPort
    }

    /// The block of the selector that an address lies in: the longer, the more specific.
    private func length(_ selector: TrafficSelector, _ address: IPAddress) -> Int {
        selector.prefixes.first { $0.contains(address) }?.length ?? -1
    }

    private func breadth(_ rule: Rule) -> UInt64 {
        func count(_ selector: TrafficSelector) -> UInt64 {
            selector.firstPort > selector.lastPort ? 1 : UInt64(selector.lastPort - selector.firstPort) + 1
        }
        let anyProtocol = rule.local.ipProtocol == 0 && rule.remote.ipProtocol == 0
        return count(rule.local) * count(rule.remote) + (anyProtocol ? 1 << 33 : 0)
    }

    private func expected(_ rules: [Rule], _ flow: FlowKey) -> UInt32? {
        let candidates = rules.filter {
            matches($0.local, flow.source, flow, flow.sourcePort)
                && matches($0.remote, flow.destination, flow, flow.destinationPort)
        }
        return candidates.min { left, right in
            let lengths = [left, right].map {
                (length($0.remote, flow.destination), length($0.local, flow.source))
            }
            if lengths[0] != lengths[1] { return lengths[0] > lengths[1] }
            if breadth(left) != breadth(right) { return breadth(left) < breadth(right) }
            if left.order != right.order { return left.order < right.order }
            return left.age > right.age
        }?.spi
    }

    private func selector(_ generator: inout SeededGenerator, base: UInt64, isV4: Bool) -> TrafficSelector {
        let host = { (bits: UInt64) -> IPAddress in
            isV4 ? IPAddress(v4: UInt32(base << 8 | bits)) : IPAddress(v6High: base << 32, low: bits)
        }
        let low = UInt64.random(in: 0...255, using: &generator)
        let kind = Int.random(in: 0..<4, using: &generator)
        var selector: TrafficSelector?
        if kind < 2 {
            let bits = isV4 ? 32 : 128
            selector = IPPrefix(host(low), length: bits - Int.random(in: 0...9, using: &generator)).map {
                TrafficSelector($0)
            }
        } else {
            let high = UInt64.random(in: low...255, using: &generator)
            selector = TrafficSelector(first: host(low), last: host(high))
        }
        guard var result = selector else { return selectors("10.0.0.0/8")[0] }
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: result.ipProtocol = 6
        case 1: (result.ipProtocol, result.firstPort, result.lastPort) = (17, 10, 20)
        case 2: (result.ipProtocol, result.firstPort, result.lastPort) = (17, .max, 0)
        default: break
        }
        return result
    }

    @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6])
    func agreesWithASearchOfEveryRule(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let table = SATable(workers: 1, capacity: 1000)
        let reader = table.reader(worker: 0)
        reader.leaveIdle()
        var rules: [Rule] = []
        for step in 0..<120 {
            if rules.count > 5, Int.random(in: 0..<3, using: &generator) == 0 {
                let gone = rules.remove(at: Int.random(in: 0..<rules.count, using: &generator))
                #expect(table.remove(inboundSPI: SPI(rawValue: gone.spi)) != nil)
            } else {
                let isV4 = Int.random(in: 0..<4, using: &generator) > 0
                var rule = Rule(
                    spi: UInt32(1000 + step), local: selector(&generator, base: 0x0a0100, isV4: isV4),
                    remote: selector(&generator, base: 0x0a0200, isV4: isV4),
                    order: UInt32.random(in: 0...2, using: &generator), age: step)
                // A pair of selectors of two protocols covers nothing.
                if rule.local.ipProtocol != rule.remote.ipProtocol, rule.local.ipProtocol != 0 {
                    var remote = rule.remote
                    remote.ipProtocol = rule.local.ipProtocol
                    rule = Rule(spi: rule.spi, local: rule.local, remote: remote, order: rule.order, age: rule.age)
                }
                var parameters = ChildSAParameters.sample(inbound: rule.spi, local: [rule.local], remote: [rule.remote])
                parameters.order = rule.order
                try table.install(parameters)
                rules.append(rule)
            }
            reader.quiescent()
            for _ in 0..<30 {
                let isV4 = Int.random(in: 0..<4, using: &generator) > 0
                let ends = [UInt64(0x0a0100), 0x0a0200].map { base in
                    let host = UInt64.random(in: 0...255, using: &generator)
                    return isV4 ? IPAddress(v4: UInt32(base << 8 | host)) : IPAddress(v6High: base << 32, low: host)
                }
                let visible = Int.random(in: 0..<4, using: &generator) > 0
                let flow = FlowKey(
                    source: ends[0], destination: ends[1],
                    ipProtocol: [1, 6, 17].randomElement(using: &generator) ?? 1,
                    sourcePort: visible ? UInt16.random(in: 5...25, using: &generator) : 0,
                    destinationPort: visible ? UInt16.random(in: 5...25, using: &generator) : 0, portsVisible: visible)
                var found: UInt32?
                if case .protect(let sa) = reader.outbound(for: flow) { found = sa.pointee.inboundSPI.rawValue }
                let wanted = expected(rules, flow)
                guard found == wanted else {
                    Issue.record("seed \(seed) step \(step) flow \(flow): \(found ?? 0), not \(wanted ?? 0)")
                    return
                }
            }
        }
    }
}
