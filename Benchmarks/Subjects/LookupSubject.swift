// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks

import AditESP
import AditWire
import CBaseline

/// A table with many SAs, and keys to look up in it, made beforehand.
public final class LookupSubject: @unchecked Sendable {
    // Used by one thread at a time.

    /// Which of the entries are asked for.
    public enum Traffic: String, CaseIterable, Sendable {
        /// Ten SAs in turn, as many as carry packets at one moment.
        case active = "ten active"
        /// Any of all, so that every lookup may miss the processor's caches.
        case scattered = "any"
    }

    /// What is looked up.
    public enum Search: String, CaseIterable, Sendable {
        /// An SA by its number in a plain array of pointers, and its SPI read: what no table can undercut.
        case array = "SA by array"
        case inbound = "SA by SPI"
        /// Flows that the worker's flow cache answers, where they are ten; more than it has room for, where any.
        case known = "policy of known flows"
        /// Flows that are new each time, so that the policies are searched.
        case new = "policy of new flows"
    }

    private struct Keys {
        var numbers: [Int]
        var spis: [SPI]
        var known: [FlowKey]
        var new: [FlowKey]
    }

    private let table: SATable
    private let reader: SAReader
    private let pointers: UnsafeMutablePointer<UnsafeMutablePointer<InboundSA>>
    private let keys: [Traffic: Keys]
    private var position = 0

    /// A table of `count` SA pairs.
    public init(_ count: Int) throws {
        table = try Fixture.table(count)
        reader = table.reader(worker: 0)
        reader.leaveIdle()
        pointers = .allocate(capacity: count)
        for number in 0..<count {
            guard let sa = reader.inbound(Fixture.spi(number, towardsA: true)) else { fatalError("not found") }
            (pointers + number).initialize(to: sa)
        }
        var keys: [Traffic: Keys] = [:]
        for traffic in Traffic.allCases {
            let numbers = Self.numbers(traffic, count)
            keys[traffic] = Keys(
                numbers: numbers, spis: numbers.map { Fixture.spi($0, towardsA: true) },
                known: numbers.map { Fixture.flow($0) },
                new: numbers.enumerated().map {
                    Fixture.flow($1, sourcePort: UInt16(truncatingIfNeeded: $0))
                })
        }
        self.keys = keys
    }

    deinit { pointers.deallocate() }

    private static func numbers(_ traffic: Traffic, _ count: Int) -> [Int] {
        (0..<Self.keyCount).map { index in
            switch traffic {
            case .active: index % 10 * max(count / 10, 1) % count
            case .scattered: Int((UInt64(index) &* 0x9e37_79b9_7f4a_7c15) >> 20 % UInt64(count))
            }
        }
    }

    /// Looks the next keys up once; gives how many they are.
    public func pass(_ search: Search, _ traffic: Traffic) -> Int {
        guard let keys = keys[traffic] else { fatalError("no keys") }
        let range = position..<position + Self.passLength
        position = range.upperBound % Self.keyCount
        switch search {
        case .array:
            var sum: UInt32 = 0
            for index in range { sum &+= pointers[keys.numbers[index]].pointee.spi.rawValue }
            if sum == 1 { fatalError("a sum that cannot be") }
        case .inbound: for index in range where reader.inbound(keys.spis[index]) == nil { fatalError("not found") }
        case .known: decide(keys.known, range)
        case .new: decide(keys.new, range)
        }
        return range.count
    }

    /// Nanoseconds of one lookup: the median of `rounds` passes.
    public func median(_ search: Search, _ traffic: Traffic, rounds: Int) -> Double {
        medianTime(rounds) { pass(search, traffic) }
    }

    private func decide(_ flows: [FlowKey], _ range: Range<Int>) {
        for index in range {
            if case .protect = reader.outbound(for: flows[index]) { continue } else { fatalError("no SA") }
        }
    }

    /// How many keys there are: what scattered ones touch of 100,000 SAs fits no cache but the last one.
    private static let keyCount = 65_536
    /// How many of them are looked up in a pass: so few that a busy machine seldom interrupts.
    private static let passLength = 1024
}

/// Nanoseconds of one of the things that `body` does and counts: the median of `rounds`.
public func medianTime(_ rounds: Int, _ body: () -> Int) -> Double {
    var times: [Double] = []
    for _ in 0..<rounds {
        let begun = baseline_now()
        let count = body()
        times.append(Double(baseline_now() - begun) / Double(count))
    }
    return SealSubject.median(times)
}
