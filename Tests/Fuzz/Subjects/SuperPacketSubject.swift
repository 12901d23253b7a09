// SPDX-License-Identifier: Apache-2.0
// Adit: Fuzz

// The packet paths' parts are internal to their module: debug builds can reach them, and scripts/fuzz enables it.
#if TESTABLE
    @testable import AditForwarding
    import AditLinux
    import AditWire

    extension FuzzSubject {
        /// Super-packets with lying offload headers are split, and packets of one flow are merged.
        ///
        /// Bytes 0 and 1 are the offload's kind and the device's capabilities, 2 to 5 its sizes; then packets, each
        /// after its length (two bytes). Each is split as the offload says; all of them, and all segments, are
        /// coalesced.
        public static let superPacket = FuzzSubject(
            name: "SuperPacket",
            run: { bytes in
                var choices = Choices(bytes)
                var offload = PacketOffload()
                offload.segmentation = PacketOffload.Segmentation(rawValue: choices.byte() % 4) ?? .none
                let capabilities = DeviceCapabilities(rawValue: choices.byte() & 7)
                offload.segmentSize = UInt16(choices.word())
                offload.headerLength = UInt16(choices.word())
                var packets: [[UInt8]] = []
                while !choices.isEmpty && packets.count < 32 {
                    let count = choices.word()
                    let packet = choices.bytes(count)
                    packets.append(packet)
                    packets += segments(of: packet, offload)
                }
                coalesce(packets.prefix(Coalescing.flowLimit * 16), capabilities)
            },
            seeds: {
                let tcp: [UInt8] = [0x10, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0]
                let udp: [UInt8] = [0x10, 0, 0, 53, 0, 108, 0, 0]
                let payload = [UInt8](0..<100)
                let big = packet4(ipProtocol: 6, upper: tcp + payload)
                let datagram = packet4(ipProtocol: 17, upper: udp + payload)
                let size: (Int) -> [UInt8] = { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
                return [
                    ("tcp", [1, 7, 0, 30, 0, 40] + size(big.count) + big),
                    ("udp", [3, 7, 0, 30, 0, 28] + size(datagram.count) + datagram),
                    ("zero_size", [1, 7, 0, 0, 0, 40] + size(big.count) + big),
                    ("wrong_protocol", [3, 7, 0, 30, 0, 40] + size(big.count) + big),
                    ("two_packets", [0, 7, 0, 0, 0, 0] + size(big.count) + big + size(datagram.count) + datagram),
                ]
            })

        /// What `offload` makes of the packet; nothing when it lies.
        private static func segments(of packet: [UInt8], _ offload: PacketOffload) -> [[UInt8]] {
            var copy = packet
            return copy.withUnsafeMutableBytes { buffer in
                guard let start = buffer.baseAddress, let header = IPHeader(start, available: buffer.count) else {
                    return []
                }
                let whole = PacketBytes(start, count: buffer.count)
                guard let plan = Segmentation(whole, header: header, offload: offload) else { return [] }
                precondition(plan.count > 0 && plan.count <= Segmentation.segmentLimit)
                var payload = 0
                let written = (0..<plan.count).map { index -> [UInt8] in
                    precondition(plan.length(index) <= plan.largestSegment, "no segment is larger than the largest")
                    var segment = [UInt8](repeating: 0, count: plan.length(index))
                    segment.withUnsafeMutableBytes { room in
                        guard let place = room.baseAddress else { return }
                        plan.write(index, from: whole, to: PacketBytes(place, count: room.count))
                        guard let parsed = IPHeader(place, available: room.count) else {
                            preconditionFailure("a segment is an IP packet")
                        }
                        precondition(parsed.totalLength == room.count && parsed.ipProtocol == header.ipProtocol)
                    }
                    payload += segment.count
                    return segment
                }
                precondition(payload >= packet.count, "nothing is lost")
                return written
            }
        }

        private static func coalesce(_ packets: ArraySlice<[UInt8]>, _ capabilities: DeviceCapabilities) {
            let total = packets.reduce(0) { $0 + $1.count }
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(total, 1), alignment: 16)
            defer { memory.deallocate() }
            guard let start = memory.baseAddress else { return }
            var coalescing = Coalescing(capabilities: capabilities)
            var offset = 0
            var taken = 0
            for packet in packets {
                UnsafeMutableRawBufferPointer(rebasing: memory[offset..<offset + packet.count]).copyBytes(from: packet)
                let place = start + offset
                offset += packet.count
                guard let header = IPHeader(place, available: packet.count), header.totalLength == packet.count else {
                    continue
                }
                guard coalescing.hasRoom else { break }
                coalescing.add(PacketBytes(place, count: packet.count), header: header)
                taken += packet.count
            }
            coalescing.finish()
            var given = 0
            for index in 0..<coalescing.readyCount {
                let (pieces, offload) = coalescing.ready(index)
                var length = 0
                for piece in pieces {
                    precondition(piece.length > 0)
                    length += piece.length
                }
                precondition(length <= 65_535, "a super-packet fits an IP packet")
                if pieces.count > 1 { precondition(offload.segmentation != .none && offload.segmentSize > 0) }
                given += length
            }
            precondition(given <= taken, "nothing is invented")
        }
    }
#endif
