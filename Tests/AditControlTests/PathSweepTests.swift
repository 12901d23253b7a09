// SPDX-License-Identifier: Apache-2.0
// Adit: AditControlTests

import AditCrypto
import AditWire
import Testing

@testable import AditControl

@Suite struct PathSweepTests {
    private static func time(_ seconds: UInt64) -> Timestamp { Timestamp(nanoseconds: seconds * 1_000_000_000) }

    private func paths(_ count: UInt32) -> Set<PathSweep.Path> {
        Set((0..<count).map { PathSweep.Path(peer: IPAddress(v4: $0), suite: .chaCha20Poly1305) })
    }

    @Test func everyPathIsAskedOnceInARoundAndAFewAtATime() {
        var sweep = PathSweep()
        var asked: [IPAddress] = []
        let everybody = paths(UInt32(PathSweep.pathsPerTurn) * 2 + 3)
        var answers: [Int] = []
        for second in 0...70 {
            let before = asked.count
            let answer = sweep.turn(Self.time(UInt64(second)), { everybody }) { path in
                asked.append(path.peer)
                return path.peer == IPAddress(v4: 5) ? 1300 : 1400
            }
            #expect(asked.count - before <= PathSweep.pathsPerTurn)
            #expect(second >= 60 || asked.isEmpty)
            if let answer { answers.append(answer) }
        }
        #expect(answers == [1300] && Set(asked).count == everybody.count && asked.count == everybody.count)
    }

    @Test func whatIsFoundMeanwhileCounts() {
        var sweep = PathSweep()
        let everybody = paths(UInt32(PathSweep.pathsPerTurn) + 1)
        _ = sweep.turn(Self.time(0), { everybody }) { _ in 1400 }
        #expect(sweep.turn(Self.time(60), { everybody }) { _ in 1400 } == nil)
        sweep.note(1280)
        #expect(sweep.turn(Self.time(61), { everybody }) { _ in 1400 } == 1280)
        // In the next round no longer.
        _ = sweep.turn(Self.time(121), { everybody }) { _ in 1400 }
        #expect(sweep.turn(Self.time(122), { everybody }) { _ in 1400 } == 1400)
    }

    @Test func withoutPathsThereIsNoAnswer() {
        var sweep = PathSweep()
        for second in 0...130 { #expect(sweep.turn(Self.time(UInt64(second)), { [] }) { _ in 0 } == nil) }
    }
}
