// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditWire
import Simulation
import Testing

@testable import AditIKE

@Suite struct TimerTableTests {
    private func at(_ value: UInt64) -> Timestamp { Timestamp(nanoseconds: value) }

    @Test("timers run in order of their deadlines, whatever was moved or cancelled")
    func order() {
        var random = SplitMix(5)
        var table = TimerTable()
        var expected: [IKESPI: UInt64] = [:]
        for _ in 0..<5000 {
            let spi = IKESPI(rawValue: random.next() % 400)
            if random.chance(0.3) {
                table.cancel(.liveness(spi))
                expected[spi] = nil
            } else {
                let deadline = random.next() % 10_000
                table.set(.liveness(spi), at: at(deadline))
                expected[spi] = deadline
            }
            #expect(table.next?.nanoseconds == expected.values.min())
        }
        #expect(table.count == expected.count)
        var last: UInt64 = 0
        for now in stride(from: UInt64(0), through: 10_000, by: 500) {
            while let timer = table.popExpired(at(now)) {
                guard case .liveness(let spi) = timer, let deadline = expected.removeValue(forKey: spi) else {
                    Issue.record("a timer that is not set")
                    return
                }
                #expect(deadline <= now && deadline >= last)
                last = deadline
            }
        }
        #expect(expected.isEmpty && table.next == nil)
    }

    @Test("equal deadlines run in the order in which they were set")
    func ties() {
        var table = TimerTable()
        for value in [3, 1, 2] as [UInt64] { table.set(.closing(IKESPI(rawValue: value)), at: at(7)) }
        #expect(table.popExpired(at(6)) == nil)
        #expect(table.popExpired(at(7)) == .closing(IKESPI(rawValue: 3)))
        #expect(table.popExpired(at(7)) == .closing(IKESPI(rawValue: 1)))
        #expect(table.popExpired(at(7)) == .closing(IKESPI(rawValue: 2)))
    }

    @Test("a rate limit lets its rate through, and no burst above it")
    func rateLimit() {
        var limit = RateLimit(perSecond: 10)
        #expect((0..<100).filter { _ in limit.take(at(1_000_000_000)) }.count == 10)
        #expect((0..<100).filter { _ in limit.take(at(1_500_000_000)) }.count == 5)
        #expect((0..<100).filter { _ in limit.take(at(9_000_000_000)) }.count == 10)
    }
}

@Suite struct MessageWindowTests {
    @Test("one request at a time; the last answer is repeated, older ones are not (RFC 7296 §2.3)")
    func window() {
        var window = MessageWindow()
        #expect(window.classify(request: 0) == .fresh)
        #expect(window.classify(request: 1) == .outside)
        window.answer(with: [[1]])
        #expect(window.classify(request: 0) == .retransmission([[1]]))
        window.answer(with: [[2], [3]])
        #expect(window.classify(request: 0) == .outside)
        #expect(window.classify(request: 1) == .retransmission([[2], [3]]))
        #expect(window.classify(request: 2) == .fresh)
        #expect(window.classify(request: .max) == .outside)
        #expect(!window.awaits(response: 0))
        window.send([[9]], wait: .seconds(1))
        #expect(window.awaits(response: 0) && !window.awaits(response: 1))
        #expect(window.retransmit(tries: 3)?.wait == .milliseconds(1800))
        #expect(window.retransmit(tries: 3)?.datagrams == [[9]])
        #expect(window.retransmit(tries: 3) == nil)
        window.settle()
        window.send([[8]], wait: .seconds(1))
        #expect(window.awaits(response: 1))
    }
}
