// SPDX-License-Identifier: Apache-2.0
// Adit: AditControlTests

import AditLinux
import AditWire
import Testing

@testable import AditControl

@Suite struct ReplyTests {
    @Test func aValueSetByAnotherThreadArrives() throws {
        let reply = Reply<Int>()
        let thread = try PinnedThread(name: "fulfils") { reply.fulfil(42) }
        #expect(reply.wait(seconds: 5) == 42)
        thread.join()
    }

    @Test func aValueSetBeforehandIsThere() {
        let reply = Reply<String>()
        reply.fulfil("early")
        #expect(reply.wait(seconds: 1) == "early")
    }

    @Test func nobodyAnswersAndTheWaitEnds() {
        let began = MonotonicClock.now()
        #expect(Reply<Int>().wait(seconds: 1) == nil)
        #expect(MonotonicClock.now() - began >= .milliseconds(900))
    }
}
