// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

import AditLinux
import AditWire
import Glibc
import Testing

@testable import AditForwarding

/// The kernel as the judge: it forwards super-packets from a device that has offloads to one that has none.
@Suite struct KernelSegmentationTests {
    /// Two devices of one namespace; the kernel forwards from one to the other.
    private struct Router {
        let inside: TUNDevice
        let outside: TUNDevice
        private let batch = PacketBatch(capacity: 16)

        init() throws {
            inside = try TUNDevice(.init(name: "fwdin", offloads: .all))
            outside = try TUNDevice(.init(name: "fwdout", offloads: []))
            let netlink = try Netlink()
            for device in [inside, outside] {
                setSysctl("ipv4/conf/\(device.name)/rp_filter", "0")
                try netlink.setMTU(1500, link: device.index)
                try netlink.setUp(true, link: device.index)
            }
            for (text, device) in [
                ("10.1.0.1/32", inside), ("10.1.0.2/32", outside), ("2001:db8::1/128", inside),
                ("2001:db8::2/128", outside),
            ] {
                guard let prefix = IPPrefix(text) else { continue }
                try netlink.addRoute(Route(prefix, link: device.index))
            }
            setSysctl("ipv4/conf/all/rp_filter", "0")
            setSysctl("ipv4/ip_forward", "1")
            setSysctl("ipv6/conf/all/forwarding", "1")
        }

        /// What leaves outside when `bytes` are written inside.
        func forward(_ bytes: [UInt8], _ offload: PacketOffload, count: Int) -> [[UInt8]] {
            let result = bytes.withUnsafeBytes { buffer in
                guard let start = buffer.baseAddress else { return DeviceResult.wouldBlock }
                let piece = PacketPiece(start: start, length: buffer.count)
                return withUnsafePointer(to: piece) {
                    inside.queues[0].write(UnsafeBufferPointer(start: $0, count: 1), offload: offload)
                }
            }
            guard case .done = result else { return [] }
            var packets: [[UInt8]] = []
            for _ in 0..<1000 where packets.count < count {
                if case .wouldBlock = outside.queues[0].read(into: batch) { usleep(1000) }
                for slot in 0..<batch.count {
                    let entry = batch.slots[slot]
                    let packet = Array(UnsafeRawBufferPointer(start: batch.base + entry.offset, count: entry.length))
                    // The kernel also says things of its own, such as multicast listener reports.
                    let isOurs = packet[0] >> 4 == 4 ? packet[19] == 2 : packet[8] == 0x20 && packet[39] == 2
                    if isOurs { packets.append(packet) }
                }
                batch.count = 0
            }
            return packets
        }
    }

    /// What a router sends of it.
    private static func forwarded(_ packet: InnerPacket) -> InnerPacket {
        var forwarded = packet
        forwarded.hopLimit -= 1
        return forwarded
    }

    /// The super-packet as the kernel hands it over: with the pseudo-header's sum in the checksum field.
    private static func superPacket(_ packet: InnerPacket, size: Int) -> (bytes: [UInt8], offload: PacketOffload) {
        var bytes = packet.bytes
        let start = packet.transportOffset
        let field = start + (packet.isTCP ? 16 : 6)
        let addresses = packet.isIPv6 ? bytes[8..<40] : bytes[12..<20]
        let pseudo = addresses + [0, packet.isTCP ? 6 : 17] + InnerPacket.big(UInt16(bytes.count - start))
        let sum = ~InnerPacket.checksum(Array(pseudo))
        bytes[field] = UInt8(sum >> 8)
        bytes[field + 1] = UInt8(sum & 0xff)
        var offload = SegmentationTests.offload(packet, size: size)
        offload.ecn = packet.isTCP && packet.flags & 0x80 != 0
        offload.checksumStart = UInt16(start)
        offload.checksumOffset = UInt16(field - start)
        return (bytes, offload)
    }

    @Test(.enabled(if: Privilege.canUseNamespaces, Privilege.reason))
    func theKernelSplitsAsWeDo() throws {
        try inNamespace {
            let router = try Router()
            var generator = SeededGenerator(seed: 21)
            for round in 0..<200 {
                var packet = InnerPacket.random(using: &generator)
                packet.trafficClass &= 0xfc
                packet.flags = [0x10, 0x18, 0x11, 0x90, 0x99].randomElement(using: &generator)!
                packet.payload = InnerPacket.randomBytes(.random(in: 600...9000, using: &generator), using: &generator)
                let size = Int.random(in: 500...1380, using: &generator)
                // The kernel takes what we coalesced, headers and all.
                let segments = packet.segments(of: size)
                guard segments.count > 1 else { continue }
                var cleared = packet
                cleared.flags &= 0x7f
                let coalesced = CoalescingTests.coalesce(cleared.segments(of: size))
                #expect(coalesced.count == 1)
                guard let written = coalesced.first else { continue }
                let expected = Self.forwarded(cleared).segments(of: size)
                let kernel = router.forward(written.bytes, written.offload, count: expected.count)
                #expect(kernel == expected, "round \(round): \(packet)")
                // And we split the very super-packet that the kernel splits as it does, CWR too.
                let whole = Self.superPacket(packet, size: size)
                let theirs = router.forward(whole.bytes, whole.offload, count: segments.count)
                let forwarded = Self.superPacket(Self.forwarded(packet), size: size)
                let ours = SegmentationTests.split(forwarded.bytes, forwarded.offload)
                #expect(theirs.count == segments.count && ours == theirs, "round \(round): \(packet)")
            }
        }
    }
}
