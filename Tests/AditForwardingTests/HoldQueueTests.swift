// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

import AditESP
import AditWire
import Testing

@testable import AditForwarding

@Suite struct HoldQueueTests {
    /// The macro cannot look into a value that is not copyable.
    private func expect(_ holds: Bool, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(holds, sourceLocation: sourceLocation)
    }

    private func hold(
        _ queue: inout HoldQueue, _ number: UInt8, length: Int = 40, policy: UInt32, now: UInt64 = 0
    ) -> Int {
        let memory = PacketMemory([UInt8](repeating: number, count: length))
        return withExtendedLifetime(memory) {
            queue.hold(memory.packet, policy: PolicyID(rawValue: policy), now: Timestamp(nanoseconds: now))
        }
    }

    @Test func oldestOfThePolicyGivesWay() {
        var queue = HoldQueue()
        expect(hold(&queue, 99, policy: 2) == 0)
        for number in 0..<UInt8(HoldQueue.policyLimit) {
            expect(hold(&queue, number, policy: 1) == 0)
        }
        expect(hold(&queue, 50, policy: 1) == 1)
        expect(queue.count == HoldQueue.policyLimit + 1)
        expect((0..<queue.count).map { queue.packet($0)[0] } == [99] + (1..<16).map { UInt8($0) } + [50])
    }

    @Test func oldestOfAllGivesWayWhenFull() {
        var queue = HoldQueue()
        for number in 0..<HoldQueue.capacity {
            expect(hold(&queue, UInt8(number), policy: UInt32(number), now: UInt64(number)) == 0)
        }
        expect(hold(&queue, 200, policy: 1000, now: 99) == 1)
        expect(queue.count == HoldQueue.capacity)
        expect(queue.packet(0)[0] == 1)
        expect(queue.packet(HoldQueue.capacity - 1)[0] == 200)
    }

    @Test func sizeAndPatienceAreLimited() {
        var queue = HoldQueue()
        expect(hold(&queue, 1, length: HoldQueue.packetLimit + 1, policy: 1, now: 0) == 1)
        expect(queue.isEmpty)
        expect(hold(&queue, 1, length: HoldQueue.packetLimit, policy: 1, now: 7) == 0)
        expect(!queue.isExpired(0, now: Timestamp(nanoseconds: 7 + HoldQueue.patience - 1)))
        expect(queue.isExpired(0, now: Timestamp(nanoseconds: 7 + HoldQueue.patience)))
        queue.remove(0)
        expect(queue.isEmpty)
    }

    @Test func bytesAreLimited() {
        var queue = HoldQueue()
        let most = HoldQueue.byteLimit / HoldQueue.packetLimit
        for number in 0..<most {
            expect(hold(&queue, UInt8(number), length: HoldQueue.packetLimit, policy: UInt32(number)) == 0)
        }
        let rest = HoldQueue.byteLimit - most * HoldQueue.packetLimit
        expect(hold(&queue, 99, length: rest, policy: 99) == 0)
        expect(hold(&queue, 100, length: 1, policy: 99) == 1)
        expect(queue.count == most + 1 && queue.packet(0)[0] == 1 && queue.packet(most)[0] == 100)
        // What was given up or taken out makes room.
        for _ in 0..<queue.count { queue.remove(0) }
        for number in 0..<most {
            expect(hold(&queue, UInt8(number), length: HoldQueue.packetLimit, policy: UInt32(number)) == 0)
        }
    }

    @Test func contentsSurviveRemovals() {
        var queue = HoldQueue()
        for round in 0..<200 {
            _ = hold(&queue, UInt8(round), length: 20 + round, policy: UInt32(round % 9), now: 0)
            if round % 3 == 0 { queue.remove(queue.count / 2) }
            for index in 0..<queue.count {
                let held = queue.packet(index)
                expect(held.count == 20 + Int(held[0]) && held[held.count - 1] == held[0])
            }
        }
    }
}
