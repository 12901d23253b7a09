// SPDX-License-Identifier: Apache-2.0
// Adit: AditESPTests

import Testing

@testable import AditESP

@Suite struct DropCountersTests {
    @Test func countsEachReasonForItself() {
        let counters = DropCounters()
        for (index, reason) in DropReason.allCases.enumerated() {
            #expect(counters[reason] == 0)
            counters.count(reason, packets: UInt64(index))
            counters.count(reason)
        }
        for (index, reason) in DropReason.allCases.enumerated() { #expect(counters[reason] == UInt64(index) + 1) }
    }

    /// Raw values index the counters; names are part of the status format.
    @Test func reasonsAreDenseAndNamedOnce() {
        #expect(DropReason.allCases.map { Int($0.rawValue) } == Array(DropReason.allCases.indices))
        #expect(Set(DropReason.allCases.map(\.description)).count == DropReason.allCases.count)
        for reason in DropReason.allCases {
            #expect(reason.description.allSatisfy { $0.isLowercase || $0 == "_" })
        }
        #expect(DropReason.replayed.description == "replayed")
        #expect(DropReason.badICV.description == "bad_icv")
        #expect(DropReason.unknownSPI.description == "unknown_spi")
    }
}
