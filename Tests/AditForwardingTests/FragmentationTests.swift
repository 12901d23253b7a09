// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

import Testing

@testable import AditForwarding

@Suite struct FragmentationTests {
    static func fragments(_ bytes: [UInt8], mtu: Int) -> [[UInt8]]? {
        let memory = PacketMemory(bytes)
        guard let header = memory.packet.ipHeader,
            let fragmentation = Fragmentation(memory.packet, header: header, mtu: mtu)
        else { return nil }
        return (0..<fragmentation.count).map { index in
            let place = PacketMemory(room: fragmentation.length(index))
            fragmentation.write(index, from: memory.packet, to: place.packet)
            #expect(place.isGuardIntact)
            return place.bytes
        }
    }

    /// RFC 791 §3.2, the other way round: puts the payload together, checking each header.
    static func reassembled(_ fragments: [[UInt8]], mtu: Int) -> (payload: [UInt8], hasMore: Bool) {
        var payload: [UInt8] = []
        var hasMore = true
        let base = fragments.first.map { Int(UInt16($0[6] & 0x1f) << 8 | UInt16($0[7])) * 8 } ?? 0
        for fragment in fragments {
            let header = Int(fragment[0] & 15) * 4
            #expect(fragment.count <= mtu)
            #expect(Int(fragment[2]) << 8 | Int(fragment[3]) == fragment.count)
            #expect(InnerPacket.checksum(Array(fragment[0..<header])) == 0)
            #expect((Int(fragment[6] & 0x1f) << 8 | Int(fragment[7])) * 8 == base + payload.count)
            #expect(hasMore)
            hasMore = fragment[6] & 0x20 != 0
            payload += fragment[header...]
        }
        return (payload, hasMore)
    }

    @Test(arguments: [576, 577, 1280, 1437, 1438])
    func fragmentsComeTogetherAgain(_ mtu: Int) throws {
        for length in [mtu - 28 + 1, mtu, 2 * mtu, 9000, 65_500] {
            var packet = InnerPacket()
            packet.isTCP = false
            packet.dontFragment = false
            packet.payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            let whole = packet.bytes
            let fragments = try #require(Self.fragments(whole, mtu: mtu))
            let (payload, hasMore) = Self.reassembled(fragments, mtu: mtu)
            #expect(payload == Array(whole[20...]) && !hasMore)
            // A fragment of a fragment keeps its place and its more-fragments bit.
            guard fragments.count > 2, mtu > 1000 else { continue }
            let again = try #require(Self.fragments(fragments[1], mtu: 576))
            let second = Self.reassembled(again, mtu: 576)
            #expect(second.payload == Array(fragments[1][20...]) && second.hasMore)
        }
    }

    @Test func onlyCopiedOptionsGoIntoLaterFragments() throws {
        var packet = InnerPacket()
        packet.dontFragment = false
        // Record route (not copied), router alert (copied), no operation, end.
        packet.networkOptions = [7, 7, 4, 0, 0, 0, 0, 0x94, 4, 0, 0, 1, 0, 0, 0, 0]
        packet.payload = [UInt8](repeating: 3, count: 2000)
        let fragments = try #require(Self.fragments(packet.bytes, mtu: 600))
        #expect(fragments[0][20..<36] == packet.bytes[20..<36])
        for fragment in fragments.dropFirst() {
            #expect(fragment[0] == 0x46)
            #expect(fragment[20..<24] == [0x94, 4, 0, 0])
        }
        #expect(Self.reassembled(fragments, mtu: 600).payload == Array(packet.bytes[36...]))
    }

    @Test func whatMustNotBeFragmentedIsNot() {
        var packet = InnerPacket()
        packet.payload = [UInt8](repeating: 3, count: 2000)
        #expect(Self.fragments(packet.bytes, mtu: 600) == nil, "DF")
        packet.dontFragment = false
        #expect(Self.fragments(packet.bytes, mtu: 575) == nil, "below the smallest MTU")
        #expect(Self.fragments(packet.bytes, mtu: 600) != nil)
        var lying = packet
        lying.networkOptions = [7, 3, 4, 9]
        #expect(Self.fragments(lying.bytes, mtu: 600) == nil, "an option past the header's end")
        lying.networkOptions = [7, 0, 0, 0]
        #expect(Self.fragments(lying.bytes, mtu: 600) == nil, "an option of no length")
        packet.isIPv6 = true
        #expect(Self.fragments(packet.bytes, mtu: 600) == nil, "IPv6")
        var end = InnerPacket()
        end.dontFragment = false
        end.payload = [UInt8](repeating: 3, count: 2000)
        var bytes = end.bytes
        bytes[6] = 0x1f
        bytes[7] = 0xff
        #expect(Self.fragments(bytes, mtu: 600) == nil, "reassembled larger than an IP packet")
    }
}
