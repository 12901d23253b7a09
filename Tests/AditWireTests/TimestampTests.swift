// SPDX-License-Identifier: Apache-2.0
// Adit: AditWireTests

import Testing

@testable import AditWire

@Suite struct TimestampTests {
    @Test func addsAndSubtracts() {
        let start = Timestamp(nanoseconds: 5)
        #expect((start + .milliseconds(3)).nanoseconds == 3_000_005)
        #expect(start + .seconds(-1) == start)
        #expect((start + .seconds(Int64.max)).nanoseconds == .max)
        #expect((Timestamp(nanoseconds: .max) + .nanoseconds(1)).nanoseconds == .max)
        #expect(Timestamp(nanoseconds: 9) - start == .nanoseconds(4))
        #expect(start - Timestamp(nanoseconds: 9) == .zero)
        #expect(start < Timestamp(nanoseconds: 6))
    }
}
