// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks

import AditESP
import AditWire

/// A table whose policies have many pairs of prefix lengths (shapes), and flows that only the least specific one takes:
/// the worst case of a search, which visits every shape.
public final class ShapeSubject: @unchecked Sendable {
    // Used by one thread at a time.
    private let table: SATable
    private let reader: SAReader
    private let known: [FlowKey]
    private let new: [FlowKey]
    private var position = 0

    /// `count` shapes, from 1 to 1,000.
    public init(_ count: Int) throws {
        table = SATable(workers: 1)
        let all = [Self.block(0, length: 0)].compactMap { $0 }
        try table.install(Fixture.parameters(0, isA: true, kind: Fixture.Kind(), local: all, remote: all))
        // Their addresses begin with bits that no flow of the fixture has.
        let lengths = 1...32
        let shapes = lengths.flatMap { local in lengths.map { (local, $0) } }.prefix(count - 1)
        try table.setPolicies(
            shapes.enumerated().map { number, shape in
                ChildPolicy(
                    id: PolicyID(rawValue: UInt32(number)),
                    localSelectors: [Self.block(0xc0a8_fffc, length: shape.0)].compactMap { $0 },
                    remoteSelectors: [Self.block(0xc0a9_fffc, length: shape.1)].compactMap { $0 },
                    order: UInt32(number), action: .drop)
            })
        reader = table.reader(worker: 0)
        reader.leaveIdle()
        known = (0..<Self.passLength).map { Fixture.flow($0 % 10) }
        new = (0..<Self.flowCount).map { Fixture.flow($0) }
    }

    /// Nanoseconds of a policy decision that the flow cache answers.
    public func known(rounds: Int) -> Double { medianTime(rounds) { decide(known) } }

    /// Nanoseconds of one for which the policies are searched: there are 32 times as many flows as lines in the cache.
    public func searched(rounds: Int) -> Double {
        medianTime(rounds) {
            let range = position..<position + Self.passLength
            position = range.upperBound % Self.flowCount
            return decide(new[range])
        }
    }

    private func decide(_ flows: some Collection<FlowKey>) -> Int {
        for flow in flows { if case .protect = reader.outbound(for: flow) { continue } else { fatalError("no SA") } }
        return flows.count
    }

    private static let flowCount = 65_536
    /// How many flows are decided in a pass: so few that a busy machine seldom interrupts.
    private static let passLength = 128

    private static func block(_ address: UInt32, length: Int) -> TrafficSelector? {
        let mask = length == 0 ? 0 : UInt32.max << UInt32(32 - length)
        return TrafficSelector(first: IPAddress(v4: address & mask), last: IPAddress(v4: address | ~mask))
    }
}
