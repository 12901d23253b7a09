// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks

import AditCrypto
import AditESP
import AditLinux
import AditWire

/// SAs with static keys between gateway A and gateway B; pair `n` joins one address of either side.
public enum Fixture {
    /// What the SAs of a table are like.
    public struct Kind: Sendable {
        /// The suite.
        public var suite: CipherSuite
        /// Whether sequence numbers have 64 bits.
        public var esn: Bool
        /// Whether the inner packets are IPv6.
        public var isV6: Bool
        /// How many workers share the table.
        public var workers: Int

        /// AES-128-GCM over IPv4 with one worker, but for what is said.
        public init(
            suite: CipherSuite = .aesGCM16(.bits128), esn: Bool = false, isV6: Bool = false, workers: Int = 1
        ) {
            self.suite = suite
            self.esn = esn
            self.isV6 = isV6
            self.workers = workers
        }
    }

    /// Where gateway A is.
    public static let endpointA = Endpoint(IPAddress(v4: 0xc000_0201), port: 4500)
    /// Where gateway B is.
    public static let endpointB = Endpoint(IPAddress(v4: 0xc000_0202), port: 4500)

    /// The inner addresses of pair `number`.
    public static func inner(_ number: Int, isA: Bool, isV6: Bool = false) -> IPAddress {
        let host = UInt32(number) + 1
        return isV6
            ? IPAddress(v6High: isA ? 0xfd00_0000_0000_000a : 0xfd00_0000_0000_000b, low: UInt64(host))
            : IPAddress(v4: (isA ? 0x0a00_0000 : 0x0b00_0000) + host)
    }

    /// The SPI of pair `number` of packets towards A or B.
    public static func spi(_ number: Int, towardsA: Bool) -> SPI {
        // Spread as random ones are, and different for every pair and direction: each step can be undone.
        var mixed = UInt32(number) << 1 | (towardsA ? 1 : 0)
        mixed = (mixed ^ mixed >> 16) &* 0x85eb_ca6b
        mixed = (mixed ^ mixed >> 13) &* 0xc2b2_ae35
        return SPI(rawValue: max(mixed ^ mixed >> 16, 0x100))
    }

    /// A UDP flow of pair `number`.
    public static func flow(
        _ number: Int, fromA: Bool = true, sourcePort: UInt16 = 40_000, isV6: Bool = false
    ) -> FlowKey {
        FlowKey(
            source: inner(number, isA: fromA, isV6: isV6), destination: inner(number, isA: !fromA, isV6: isV6),
            ipProtocol: 17, sourcePort: sourcePort, destinationPort: 5001)
    }

    /// Pair `number` as gateway A or B installs it.
    public static func parameters(_ number: Int, isA: Bool, kind: Kind = Kind()) -> ChildSAParameters {
        let mine = inner(number, isA: isA, isV6: kind.isV6)
        let theirs = inner(number, isA: !isA, isV6: kind.isV6)
        return parameters(
            number, isA: isA, kind: kind, local: [TrafficSelector(first: mine, last: mine)].compactMap { $0 },
            remote: [TrafficSelector(first: theirs, last: theirs)].compactMap { $0 })
    }

    /// Pair `number` with selectors of its own.
    public static func parameters(
        _ number: Int, isA: Bool, kind: Kind, local: [TrafficSelector], remote: [TrafficSelector]
    ) -> ChildSAParameters {
        let inbound = spi(number, towardsA: isA)
        let outbound = spi(number, towardsA: !isA)
        return ChildSAParameters(
            connection: "c", child: "c", inboundSPI: inbound, outboundSPI: outbound, suite: kind.suite,
            inboundKey: key(kind.suite, inbound), outboundKey: key(kind.suite, outbound), esn: kind.esn,
            localSelectors: local, remoteSelectors: remote,
            local: isA ? endpointA : endpointB, remote: isA ? endpointB : endpointA)
    }

    /// A table with `count` SA pairs, as gateway A or B has them.
    public static func table(_ count: Int, isA: Bool = true, kind: Kind = Kind()) throws -> SATable {
        let table = SATable(workers: kind.workers)
        for number in 0..<count { try table.install(parameters(number, isA: isA, kind: kind)) }
        return table
    }

    /// An inner packet from A to B of pair `number` with `payload` bytes after its TCP or UDP header. A UDP packet has
    /// its checksum, unless it is IPv4 and not to be summed; that of TCP is left to whoever splits it.
    public static func packet(
        _ number: Int = 0, payload: Int, tcp: Bool = false, isV6: Bool = false, isSummed: Bool = true
    ) -> [UInt8] {
        let start = ipLength(isV6: isV6)
        let length = start + (tcp ? 20 : 8) + payload
        var bytes = [UInt8](repeating: 0x5a, count: length)
        func put(_ value: UInt32, _ offset: Int, _ count: Int) {
            for index in 0..<count {
                bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * (count - 1 - index)))
            }
        }
        func sum(_ range: Range<Int>) -> InternetChecksum {
            var sum = InternetChecksum()
            bytes.withUnsafeBytes {
                if let base = $0.baseAddress { sum.add(base + range.lowerBound, count: range.count) }
            }
            return sum
        }
        let addresses = [true, false].flatMap { inner(number, isA: $0, isV6: isV6).bytes }
        if isV6 {
            put(0x6000_0000, 0, 4)
            put(UInt32(length - start), 4, 2)
            put(tcp ? 0x0640 : 0x1140, 6, 2)
            bytes.replaceSubrange(8..<40, with: addresses)
        } else {
            put(0x4500, 0, 2)
            put(UInt32(length), 2, 2)
            put(0x0001_4000, 4, 4)  // identification 1, DF
            put(tcp ? 0x4006_0000 : 0x4011_0000, 8, 4)
            bytes.replaceSubrange(12..<20, with: addresses)
            put(UInt32(sum(0..<20).checksum), 10, 2)
        }
        put(0x9c40_1389, start, 4)
        if tcp {
            put(1, start + 4, 4)
            put(1, start + 8, 4)
            put(0x5010_ffff, start + 12, 4)
            put(0, start + 16, 4)
        } else {
            put(UInt32(8 + payload) << 16, start + 4, 4)
            // The pseudo-header's addresses lie right before the UDP header; protocol and length are added.
            var whole = sum(start - addresses.count..<length)
            let pseudo = [UInt8(0), 17, UInt8((8 + payload) >> 8), UInt8((8 + payload) & 0xff)]
            pseudo.withUnsafeBytes { if let base = $0.baseAddress { whole.add(base, count: 4) } }
            if isSummed || isV6 { put(UInt32(whole.checksum), start + 6, 2) }
        }
        return bytes
    }

    /// 45 TCP segments of ``mtu`` bytes in one packet, as a device with segmentation offload gives them.
    public static func superPacket(isV6: Bool = false) -> (bytes: [UInt8], offload: PacketOffload) {
        let start = ipLength(isV6: isV6)
        var offload = PacketOffload()
        offload.segmentation = isV6 ? .tcpV6 : .tcpV4
        offload.headerLength = UInt16(start + 20)
        offload.segmentSize = UInt16(mtu) - offload.headerLength
        offload.needsChecksum = true
        offload.checksumStart = UInt16(start)
        offload.checksumOffset = 16
        return (packet(payload: 45 * Int(offload.segmentSize), tcp: true, isV6: isV6), offload)
    }

    /// The largest inner packet.
    public static let mtu = 1438

    /// How long the IP header of an inner packet is.
    public static func ipLength(isV6: Bool) -> Int { isV6 ? 40 : 20 }

    private static func key(_ suite: CipherSuite, _ spi: SPI) -> SecretBytes {
        let count = suite.encryptionKeyLength + suite.integrityKeyLength
        return SecretBytes((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ Int(spi.rawValue & 0xff)) })
    }
}
