// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditWire
import Testing

@testable import AditIKE

/// Putting fragments together within limits (RFC 7383 §2.6).
@Suite struct FragmentationTests {
    private func fragment(_ number: UInt16, of total: UInt16, _ bytes: [UInt8] = []) -> MessageFragment {
        MessageFragment(
            number: number, total: total, firstPayload: number == 1 ? .vendorID : .none, bytes: bytes)
    }

    @Test func anyOrderAndDuplicates() {
        var reassembly = FragmentReassembly()
        #expect(reassembly.add(fragment(3, of: 3, [9]), messageID: 5) == .waiting)
        #expect(reassembly.add(fragment(3, of: 3, [8]), messageID: 5) == .ignored)
        #expect(reassembly.add(fragment(1, of: 3, [0, 0]), messageID: 5) == .waiting)
        #expect(reassembly.add(fragment(2, of: 3, [0, 5]), messageID: 5) == .complete([.vendorID([9])]))
        #expect(reassembly.isEmpty)
    }

    @Test func aFinerSplitStartsAnewAndACoarserIsIgnored() {
        var reassembly = FragmentReassembly()
        #expect(reassembly.add(fragment(1, of: 2, [0, 0, 0]), messageID: 5) == .waiting)
        #expect(reassembly.add(fragment(1, of: 3, [0, 0]), messageID: 5) == .waiting)
        #expect(reassembly.add(fragment(2, of: 2, [4]), messageID: 5) == .ignored)
        #expect(reassembly.add(fragment(2, of: 3, [0]), messageID: 5) == .waiting)
        #expect(reassembly.add(fragment(3, of: 3, [4]), messageID: 5) == .complete([.vendorID([])]))
    }

    @Test func anotherMessageStartsAnew() {
        var reassembly = FragmentReassembly()
        #expect(reassembly.add(fragment(1, of: 2, [0, 0]), messageID: 5) == .waiting)
        #expect(reassembly.add(fragment(2, of: 2, [0, 4]), messageID: 6) == .waiting)
        #expect(reassembly.add(fragment(1, of: 2, [0, 0]), messageID: 6) == .complete([.vendorID([])]))
    }

    @Test func limits() {
        var reassembly = FragmentReassembly()
        let most = UInt16(FragmentReassembly.fragmentLimit)
        #expect(reassembly.add(fragment(1, of: most + 1), messageID: 1) == .ignored)
        #expect(reassembly.add(fragment(1, of: .max), messageID: 1) == .ignored)
        #expect(reassembly.add(fragment(0, of: 2), messageID: 1) == .ignored)
        #expect(reassembly.add(fragment(3, of: 2), messageID: 1) == .ignored)
        let half = Array(repeating: UInt8(0), count: FragmentReassembly.lengthLimit / 2 + 1)
        #expect(reassembly.add(fragment(1, of: most, half), messageID: 1) == .waiting)
        #expect(reassembly.add(fragment(2, of: most, half), messageID: 1) == .tooLong)
        #expect(reassembly.add(fragment(2, of: most, Array(half.dropLast(2))), messageID: 1) == .waiting)
        reassembly.discard()
        #expect(reassembly.isEmpty)
    }

    @Test func aWholeOfOneFragment() {
        var reassembly = FragmentReassembly()
        #expect(reassembly.add(fragment(1, of: 1, [0, 0, 0, 4]), messageID: 1) == .complete([.vendorID([])]))
        #expect(reassembly.add(fragment(1, of: 1, [0, 0, 0, 3]), messageID: 1) == .malformed(.truncated))
        #expect(reassembly.isEmpty)
    }
}
