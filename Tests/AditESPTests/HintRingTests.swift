// SPDX-License-Identifier: Apache-2.0
// Adit: AditESPTests

import AditWire
import Testing

@testable import AditESP

@Suite struct HintRingTests {
    @Test func keepsOrderAndRefusesMoreThanItsLimit() {
        let ring = HintRing()
        for round in 0..<3 {
            for number in 0..<HintRing.limit {
                #expect(ring.post(.inboundActivity(inboundSPI: SPI(rawValue: UInt32(round * 10_000 + number)))))
            }
            #expect(!ring.post(.lifetimeReached(inboundSPI: SPI(rawValue: 1))))
            var next = round * 10_000
            ring.drain { hint in
                #expect(hint == .inboundActivity(inboundSPI: SPI(rawValue: UInt32(next))))
                next += 1
            }
            #expect(next == round * 10_000 + HintRing.limit)
        }
    }
}
