// SPDX-License-Identifier: Apache-2.0
// Adit: AditControlTests

import AditIKE
import AditLinux
import AditWire
import Testing

@testable import AditControl

@Suite struct ControlRequestTests {
    @Test func requestsAreTakenInOrderAndOnce() throws {
        let requests = try ControlRequests()
        for name in ["a", "b", "c"] { #expect(requests.post(.command(.terminate(connection: name)))) }
        let names = requests.take().compactMap { request -> String? in
            guard case .command(.terminate(let name)) = request else { return nil }
            return name
        }
        #expect(names == ["a", "b", "c"])
        #expect(requests.take().isEmpty)
    }

    @Test func theQueueIsBounded() throws {
        let requests = try ControlRequests()
        for _ in 0..<ControlRequests.limit { #expect(requests.post(.stop)) }
        #expect(!requests.post(.stop))
        #expect(requests.take().count == ControlRequests.limit)
        #expect(requests.post(.stop))
    }

    @Test func aClosedQueueTakesNothingAndKeepsNobodyWaiting() throws {
        let requests = try ControlRequests()
        let reply = Reply<ControlStatus>()
        #expect(requests.post(.status(reply)))
        requests.close()
        #expect(reply.wait(seconds: 5) == nil)
        #expect(!requests.post(.stop))
        #expect(requests.take().isEmpty)
    }

    @Test func aRequestWakesASleeper() throws {
        let requests = try ControlRequests()
        let poll = try EventPoll()
        try poll.add(requests.wakeUp.descriptor, token: 7)
        #expect(poll.wait(until: MonotonicClock.now()) == 0)
        #expect(requests.post(.stop))
        #expect(poll.wait(until: MonotonicClock.now() + .seconds(5)) == 1)
        #expect(poll[0].token == 7)
        _ = requests.take()
        #expect(poll.wait(until: MonotonicClock.now()) == 0)
    }
}
