// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks

import AditCrypto
import AditESP
import AditWire

/// SAs with static keys between gateway A and gateway B; pair `n` joins one address of either side.
public enum Fixture {
    /// Where gateway A is.
    public static let endpointA = Endpoint(IPAddress(v4: 0xc000_0201), port: 4500)
    /// Where gateway B is.
    public static let endpointB = Endpoint(IPAddress(v4: 0xc000_0202), port: 4500)

    /// The inner addresses of pair `number`.
    public static func inner(_ number: Int, isA: Bool) -> IPAddress {
        IPAddress(v4: (isA ? 0x0a00_0000 : 0x0b00_0000) + UInt32(number) + 1)
    }

    /// The SPI of pair `number` of packets towards A or B.
    public static func spi(_ number: Int, towardsA: Bool) -> SPI {
        // Spread as random ones would be, and different for every pair.
        let mixed = (UInt32(number) &* 2_654_435_761) & 0x7fff_ffff
        return SPI(rawValue: max(mixed, 0x100) | (towardsA ? 0x8000_0000 : 0))
    }

    /// A UDP flow of pair `number`.
    public static func flow(_ number: Int, fromA: Bool = true, sourcePort: UInt16 = 40_000) -> FlowKey {
        FlowKey(
            source: inner(number, isA: fromA), destination: inner(number, isA: !fromA), ipProtocol: 17,
            sourcePort: sourcePort, destinationPort: 5001)
    }

    /// Pair `number` as gateway A or B installs it.
    public static func parameters(_ number: Int, isA: Bool, suite: CipherSuite = .aesGCM16(.bits128))
        -> ChildSAParameters
    {
        let inbound = spi(number, towardsA: isA)
        let outbound = spi(number, towardsA: !isA)
        let mine = inner(number, isA: isA)
        let theirs = inner(number, isA: !isA)
        return ChildSAParameters(
            connection: "c", child: "c", inboundSPI: inbound, outboundSPI: outbound, suite: suite,
            inboundKey: key(suite, inbound), outboundKey: key(suite, outbound), esn: false,
            localSelectors: [TrafficSelector(first: mine, last: mine)].compactMap { $0 },
            remoteSelectors: [TrafficSelector(first: theirs, last: theirs)].compactMap { $0 },
            local: isA ? endpointA : endpointB, remote: isA ? endpointB : endpointA)
    }

    /// A table with `count` SA pairs, as gateway A or B has them.
    public static func table(_ count: Int, isA: Bool = true, suite: CipherSuite = .aesGCM16(.bits128)) throws -> SATable
    {
        let table = SATable(workers: 1)
        for number in 0..<count { try table.install(parameters(number, isA: isA, suite: suite)) }
        return table
    }

    /// An inner IPv4 packet of `length` bytes from A to B of pair `number`: TCP with its header, or UDP.
    public static func packet(_ number: Int = 0, length: Int, tcp: Bool = false) -> [UInt8] {
        var bytes = [UInt8](repeating: 0x5a, count: length)
        func put(_ value: UInt32, _ offset: Int, _ count: Int) {
            for index in 0..<count {
                bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * (count - 1 - index)))
            }
        }
        put(0x4500, 0, 2)
        put(UInt32(length), 2, 2)
        put(0x0001_4000, 4, 4)  // identification 1, DF
        put(tcp ? 0x4006_0000 : 0x4011_0000, 8, 4)
        put(0x0a00_0001 + UInt32(number), 12, 4)
        put(0x0b00_0001 + UInt32(number), 16, 4)
        put(0x9c40_1389, 20, 4)
        if tcp {
            put(1, 24, 4)
            put(1, 28, 4)
            put(0x5010_ffff, 32, 4)
            put(0, 36, 4)
        } else {
            put(UInt32(length - 20) << 16, 24, 4)
        }
        var sum = InternetChecksum()
        bytes.withUnsafeBytes { if let base = $0.baseAddress { sum.add(base, count: 20) } }
        put(UInt32(sum.checksum), 10, 2)
        return bytes
    }

    private static func key(_ suite: CipherSuite, _ spi: SPI) -> SecretBytes {
        let count = suite.encryptionKeyLength + suite.integrityKeyLength
        return SecretBytes((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ Int(spi.rawValue & 0xff)) })
    }
}
