// SPDX-License-Identifier: Apache-2.0
// Adit: AditESPTests

import Testing

@testable import AditESP

/// RFC 4303 §3.4.3 and RFC 6479.
@Suite struct ReplayWindowTests {
    /// `#expect` takes copyable things only.
    final class Boxed {
        var window: ReplayWindow
        init(size: Int) { window = ReplayWindow(size: size) }
        var size: UInt64 { window.size }
        var top: UInt64 { window.top }
        func check(_ sequence: UInt64) -> ReplayWindow.Verdict { window.check(sequence) }
        @discardableResult func commit(_ sequence: UInt64) -> Bool { window.commit(sequence) }
    }

    /// The same rules, said with a set.
    struct Model {
        let size: UInt64
        var top: UInt64 = 0
        var seen: Set<UInt64> = []

        func check(_ sequence: UInt64) -> ReplayWindow.Verdict {
            if sequence == 0 { return .tooOld }
            if sequence > top { return .fresh }
            if top - sequence >= size { return .tooOld }
            return seen.contains(sequence) ? .replayed : .fresh
        }

        mutating func commit(_ sequence: UInt64) -> Bool {
            seen.insert(sequence)
            defer { top = max(top, sequence) }
            return sequence > top
        }
    }

    @Test(arguments: [64, 65, 100, 127, 128, 4096, 65_535, 65_536], [UInt64(1), 2, 3])
    func agreesWithTheModel(size: Int, seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let window = Boxed(size: size)
        var model = Model(size: UInt64(size))
        #expect(window.size == UInt64(size))
        for step in 0..<20_000 {
            let jump = Int.random(in: 0..<100, using: &generator)
            let reach = jump == 0 ? 4 * size : jump < 20 ? size + 70 : 80
            let offset = Int.random(in: -reach...reach / 2, using: &generator)
            let sequence = offset < 0 ? model.top - min(model.top, UInt64(-offset)) : model.top + UInt64(offset)
            let verdict = window.check(sequence)
            guard verdict == model.check(sequence) else {
                Issue.record("size \(size) seed \(seed) step \(step): \(sequence) of \(model.top) is \(verdict)")
                return
            }
            if verdict == .fresh {
                let isNewest = model.commit(sequence)
                #expect(window.commit(sequence) == isNewest)
            }
            #expect(window.top == model.top)
        }
    }

    @Test(arguments: [64, 4096, 65_536])
    func edges(size: Int) {
        let window = Boxed(size: size)
        let top = UInt64(size) * 3 + 17
        #expect(window.commit(top))
        #expect(window.check(top) == .replayed)
        #expect(window.check(top - UInt64(size) + 1) == .fresh)
        #expect(window.check(top - UInt64(size)) == .tooOld)
        #expect(window.check(top + 1) == .fresh)
        #expect(!window.commit(top - UInt64(size) + 1))
        #expect(window.check(top - UInt64(size) + 1) == .replayed)
        #expect(window.top == top)
    }

    @Test func zeroIsNeverAccepted() {
        let window = Boxed(size: 64)
        #expect(window.check(0) == .tooOld)
        #expect(window.check(1) == .fresh)
    }

    @Test func numbersAreSixtyFourBitsWide() {
        let window = Boxed(size: 64)
        #expect(window.commit(.max - 1))
        #expect(window.check(.max) == .fresh)
        #expect(window.commit(.max))
        #expect(window.check(.max) == .replayed)
        #expect(window.check(.max - 1) == .replayed)
        #expect(window.check(.max - 2) == .fresh)
        #expect(window.check(.max - 64) == .tooOld)
        #expect(window.check(1) == .tooOld)
    }

    /// A jump over exactly the ring must leave nothing behind.
    @Test(arguments: [63, 64, 127, 128, 129, 191, 192, 4096, 1 << 40])
    func jumpsForgetWhatTheyPass(jump: UInt64) {
        let window = Boxed(size: 64)
        for sequence in UInt64(1)...200 { window.commit(sequence) }
        window.commit(200 + jump)
        for sequence in (200 + jump - 63)..<(200 + jump) {
            let wanted: ReplayWindow.Verdict = sequence <= 200 ? .replayed : .fresh
            #expect(window.check(sequence) == wanted)
        }
    }

    @Test(arguments: [(-5, 64), (0, 64), (63, 64), (64, 64), (65_536, 65_536), (65_537, 65_536), (Int.max, 65_536)])
    func sizeIsBroughtIntoItsLimits(asked: Int, given: Int) {
        let window = Boxed(size: asked)
        #expect(window.size == UInt64(given))
    }
}
