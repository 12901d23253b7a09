// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

import Testing

@testable import AditForwarding

@Suite struct DatagramKindTests {
    /// RFC 3948 §2.
    @Test(arguments: [
        ([], DatagramKind.junk), ([0xff], .keepalive), ([0xfe], .junk), ([0xff, 0xff], .junk), ([0, 0, 0], .junk),
        ([0, 0, 0, 1], .esp), ([0xff, 0xff, 0xff, 0xff], .esp), ([0, 0, 0, 0], .junk),
        ([UInt8](repeating: 0, count: 31), .junk), ([UInt8](repeating: 0, count: 32), .ike),
        ([0, 0, 0, 0] + [UInt8](repeating: 9, count: 28), .ike), ([1] + [UInt8](repeating: 0, count: 100), .esp),
    ])
    func decides(_ bytes: [UInt8], _ kind: DatagramKind) {
        #expect(PacketMemory.lend(bytes) { DatagramKind($0) } == kind)
    }
}
