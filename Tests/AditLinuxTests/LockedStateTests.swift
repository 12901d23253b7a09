// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinuxTests

import Testing

@testable import AditLinux

@Suite struct LockedStateTests {
    private struct Refused: Error {}

    /// Threads that wait for one another lose no step; under the thread sanitizer this is also silent.
    @Test func threadsThatContendLoseNothing() throws {
        let shared = LockedState((sum: 0, log: [Int]()))
        let threads = try (0..<4).map { worker in
            try PinnedThread(name: "locked-\(worker)") {
                for step in 0..<2000 {
                    shared.withLock {
                        $0.sum += step
                        if step % 100 == 0 { $0.log.append(worker) }
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(shared.withLock { $0.sum } == 4 * 1999 * 1000)
        #expect(shared.withLock { $0.log.count } == 80)
    }

    @Test func anErrorLeavesTheLockFree() {
        let shared = LockedState(1)
        #expect(throws: Refused.self) {
            try shared.withLock { state throws(Refused) in
                state = 2
                throw Refused()
            }
        }
        #expect(shared.withLock { $0 } == 2)
    }
}
