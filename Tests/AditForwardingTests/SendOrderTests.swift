// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

import AditCrypto
import AditESP
import AditLinux
import AditWire
import Testing

@testable import AditForwarding

@Suite(.serialized) struct SendOrderTests {
    /// Two workers seal for one SA: what leaves stays within the smallest replay window that a peer may have.
    @Test func packetsOfTwoWorkersLeaveInOrder() throws {
        let (numbers, drops) = try Self.sent(TestSA.parameters(isA: true), each: 4000) { $0.packetsOut == 8000 }
        #expect(drops.isEmpty)
        #expect(Set(numbers) == Set(1...8000))
        #expect(Self.late(numbers) == 0)
    }

    /// An SA comes to its end while both send: numbers that could not be used hold nobody up.
    @Test func theEndOfAnSAKeepsTheOrder() throws {
        var parameters = TestSA.parameters(isA: true)
        parameters.lifetime.hardBytes = 200_000
        let began = MonotonicClock.now()
        let (numbers, drops) = try Self.sent(parameters, each: 4000) {
            $0.packetsOut + ($0.drops[.sequenceExhausted] ?? 0) == 8000
        }
        #expect(MonotonicClock.now() - began < .seconds(10))
        #expect(drops[.sequenceExhausted] == 8000 - UInt64(numbers.count))
        #expect(numbers.count > 100 && numbers.count <= 200_000 / 84)
        #expect(Set(numbers).count == numbers.count)
        #expect(Self.late(numbers) == 0)
    }

    /// The sequence numbers that left, in order, when two workers had `each` packets of 84 or 92 bytes.
    private static func sent(
        _ parameters: ChildSAParameters, each: Int, until done: (ForwardingCounters) -> Bool
    ) throws -> (numbers: [UInt32], drops: [DropReason: UInt64]) {
        let peer = try MemoryTransport(local: TestSA.endpointB)
        let devices = [try MemoryDevice(), try MemoryDevice()]
        let transports = try devices.map { _ in try MemoryTransport(local: TestSA.endpointA, peer: peer) }
        let table = SATable(workers: 2)
        try table.install(parameters)
        for (number, device) in devices.enumerated() {
            device.toWorker.put(
                (0..<each).map { index in
                    var packet = ForwarderTests.packet(isTCP: false, payload: 56 + index % 2 * 8)
                    packet.sourcePort = UInt16(1000 + number * 100 + index % 8)
                    return MemoryDevice.Packet(bytes: packet.bytes)
                })
        }
        let forwarder = try Forwarder(
            devices: devices, transports: transports, table: table, mailbox: Mailbox(producers: 2), mtu: 1438)
        #expect(TestGateway.eventually { done(forwarder.counters) })
        forwarder.stop()
        let runs = peer.arriving.take(20_000)
        return (runs.flatMap(\.datagrams).map { InnerPacketReader.uint32($0, 4) }, forwarder.counters.drops)
    }

    /// How many numbers a window of 32 would have refused.
    private static func late(_ numbers: [UInt32]) -> Int {
        var newest: UInt32 = 0
        var late = 0
        for number in numbers {
            if number &+ 32 <= newest { late += 1 }
            newest = max(newest, number)
        }
        return late
    }
}
