// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinuxTests

import Testing

@testable import AditLinux

@Suite struct VirtioHeaderTests {
    @Test func everyCombinationComesBack() {
        for segmentation in [PacketOffload.Segmentation.none, .tcpV4, .tcpV6, .udp] {
            for bits in 0..<4 {
                var offload = PacketOffload()
                offload.segmentation = segmentation
                offload.ecn = bits & 1 != 0
                offload.needsChecksum = bits & 2 != 0
                offload.segmentSize = 1398
                offload.headerLength = 52
                offload.checksumStart = 20
                offload.checksumOffset = 16
                #expect(decode(encode(offload)) == offload)
            }
        }
    }

    /// The bytes of virtio 1.2 §5.1.6 in little-endian order.
    @Test func bytesAreTheSpecifications() {
        let bytes: [UInt8] = [1, 0x81, 0x34, 0, 0x76, 0x05, 20, 0, 16, 0]
        let offload = decode(bytes)
        #expect(offload?.segmentation == .tcpV4)
        #expect(offload?.ecn == true)
        #expect(offload?.needsChecksum == true)
        #expect(offload?.headerLength == 52)
        #expect(offload?.segmentSize == 1398)
        #expect(offload?.checksumStart == 20)
        #expect(offload?.checksumOffset == 16)
        #expect(offload.map(encode) == bytes)
    }

    /// Values that cannot be true are passed on for whoever splits the packet; kinds that were never asked for are
    /// refused.
    @Test func lyingValuesArePassedOnAndUnknownKindsRefused() {
        let lying = decode([0xff, 0x85] + [UInt8](repeating: 0xff, count: 8))
        #expect(lying?.segmentation == .udp)
        #expect(lying?.segmentSize == .max)
        #expect(lying?.headerLength == .max)
        #expect(lying?.checksumStart == .max)
        for kind: UInt8 in [2, 3, 6, 0x20, 0x40, 0x7f] {
            #expect(decode([0, kind] + [UInt8](repeating: 0, count: 8)) == nil, "kind \(kind)")
        }
    }

    private func encode(_ offload: PacketOffload) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xee, count: VirtioHeader.size)
        bytes.withUnsafeMutableBytes { VirtioHeader.encode(offload, to: $0.baseAddress!) }
        return bytes
    }

    private func decode(_ bytes: [UInt8]) -> PacketOffload? {
        bytes.withUnsafeBytes { VirtioHeader.decode($0.baseAddress!) }
    }
}
