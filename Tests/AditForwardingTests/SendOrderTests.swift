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
    @Test func packetsOfTwoWorkersLeaveWithinAWindowOf32() throws {
        let peer = try MemoryTransport(local: TestSA.endpointB)
        let devices = [try MemoryDevice(), try MemoryDevice()]
        let transports = try devices.map { _ in try MemoryTransport(local: TestSA.endpointA, peer: peer) }
        let table = SATable(workers: 2)
        try table.install(TestSA.parameters(isA: true))
        let each = 4000
        for (number, device) in devices.enumerated() {
            device.toWorker.put(
                (0..<each).map { index in
                    var packet = ForwarderTests.packet(isTCP: false, payload: 64)
                    packet.sourcePort = UInt16(1000 + number * 100 + index % 8)
                    return MemoryDevice.Packet(bytes: packet.bytes)
                })
        }
        let forwarder = try Forwarder(
            devices: devices, transports: transports, table: table, mailbox: Mailbox(producers: 2), mtu: 1438)
        #expect(TestGateway.eventually { forwarder.counters.packetsOut == UInt64(2 * each) })
        forwarder.stop()
        #expect(forwarder.counters.drops.isEmpty)
        #expect(forwarder.countersByWorker.map(\.packetsOut) == [UInt64(each), UInt64(each)])
        let numbers = peer.arriving.take(10_000).flatMap(\.datagrams).map { InnerPacketReader.uint32($0, 4) }
        #expect(Set(numbers) == Set(1...UInt32(2 * each)))
        var newest: UInt32 = 0
        var late = 0
        for number in numbers {
            if number &+ 32 <= newest { late += 1 }
            newest = max(newest, number)
        }
        // A worker that the system stops for longer than the others' patience is overtaken.
        #expect(late * 20 < numbers.count)
    }
}
