// SPDX-License-Identifier: Apache-2.0
// Adit: AditWireTests

import Testing

@testable import AditWire

@Suite struct InternetChecksumTests {
    /// RFC 1071 §1, word by word.
    static func plain(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[index]) << 8 | (index + 1 < bytes.count ? UInt32(bytes[index + 1]) : 0)
            sum = sum & 0xffff + sum >> 16
        }
        return ~UInt16(sum)
    }

    static func fast(_ bytes: [UInt8]) -> UInt16 {
        var sum = InternetChecksum()
        bytes.withUnsafeBytes { if let base = $0.baseAddress { sum.add(base, count: $0.count) } }
        return sum.checksum
    }

    /// RFC 1071 §3's example.
    @Test func example() {
        #expect(Self.fast([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]) == ~0xddf2)
    }

    @Test func agreesWithThePlainSumAtEveryLength() {
        var state: UInt64 = 42
        for count in 0..<300 {
            let bytes = (0..<count).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1
                return UInt8(truncatingIfNeeded: state >> 33)
            }
            #expect(Self.fast(bytes) == Self.plain(bytes), "\(count)")
        }
        let full = [UInt8](repeating: 0xff, count: 65_535)
        #expect(Self.fast(full) == Self.plain(full))
    }

    @Test func wordsAndPartsAddUp() {
        var sum = InternetChecksum()
        sum.add(UInt16(0x0102))
        sum.add(UInt32(0x0304_0506))
        sum.add(UInt64(0x0708_090a_0b0c_0d0e))
        #expect(sum.checksum == Self.plain(Array(1...14)))
        #expect(InternetChecksum(sum: sum.folded).checksum == sum.checksum)
    }

    /// RFC 1624: the update equals a new computation, for all the words that matter.
    @Test func incrementalUpdate() {
        let words: [UInt16] = [0, 1, 0x7fff, 0x8000, 0xfffe, 0xffff, 0x1234, 0x5555]
        for rest in words {
            for old in words {
                for new in words where !(rest == 0 && new == 0) {
                    let before = Self.plain([UInt8(rest >> 8), UInt8(rest & 255), UInt8(old >> 8), UInt8(old & 255)])
                    let after = Self.plain([UInt8(rest >> 8), UInt8(rest & 255), UInt8(new >> 8), UInt8(new & 255)])
                    guard !(rest == 0 && old == 0) else { continue }
                    #expect(InternetChecksum.updated(before, from: old, to: new) == after)
                }
            }
        }
        // RFC 1624 §4's example.
        #expect(InternetChecksum.updated(0xdd2f, from: 0x5555, to: 0x3285) == 0x0000)
    }

    @Test func pseudoHeaders() throws {
        let v4 = IPHeaderTests.v4(payload: IPHeaderTests.ports)
        let v6 = IPHeaderTests.v6(payload: IPHeaderTests.ports)
        for (packet, addresses) in [(v4, 12..<20), (v6, 8..<40)] {
            let header = try #require(IPHeaderTests.parse(packet)).0
            var sum = InternetChecksum()
            sum.addPseudoHeader(of: header, upperLength: 8)
            #expect(sum.checksum == Self.plain(Array(packet[addresses]) + [0, 0, 0, 8, 0, 0, 0, 17]))
        }
    }
}
