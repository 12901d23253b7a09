// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditWire
import Synchronization
import Testing

@testable import AditIKE

/// RFC 7296 §2.6.
@Suite struct CookieChallengeTests {
    private let nonce = Array(repeating: UInt8(7), count: 32)
    private let address = IPAddress(v4: 0xc000_0201)
    private let spi = IKESPI(rawValue: 42)

    private func at(_ seconds: Int) -> Timestamp { Timestamp(nanoseconds: 0) + .seconds(seconds) }

    private func challenge() -> CookieChallenge {
        let generator = Mutex(SeededGenerator(seed: 1))
        return CookieChallenge(entropy: EntropySource { count in generator.withLock { $0.bytes(count) } }, now: at(0))
    }

    @Test func onlyTheSameValuesAreAccepted() {
        var challenge = challenge()
        let cookie = challenge.cookie(nonce: nonce, address: address, initiatorSPI: spi, now: at(1))
        #expect((1...CookieChallenge.lengthLimit).contains(cookie.count))
        #expect(challenge.accepts(cookie, nonce: nonce, address: address, initiatorSPI: spi, now: at(1)) == true)
        #expect(challenge.accepts(cookie, nonce: nonce + [0], address: address, initiatorSPI: spi, now: at(1)) == false)
        let other = IPAddress(v4: 0xc000_0202)
        #expect(challenge.accepts(cookie, nonce: nonce, address: other, initiatorSPI: spi, now: at(1)) == false)
        #expect(challenge.accepts(cookie, nonce: nonce, address: address, initiatorSPI: .zero, now: at(1)) == false)
        for index in cookie.indices {
            var forged = cookie
            forged[index] ^= 1
            #expect(challenge.accepts(forged, nonce: nonce, address: address, initiatorSPI: spi, now: at(1)) == false)
        }
        for length in [0, 65] {
            let wrong = Array(repeating: UInt8(0), count: length)
            #expect(challenge.accepts(wrong, nonce: nonce, address: address, initiatorSPI: spi, now: at(1)) == false)
        }
    }

    @Test(arguments: [(59, true), (60, true), (119, true), (120, false), (500, false)])
    func aSecretLivesForTwoIntervals(_ seconds: Int, _ accepted: Bool) {
        var challenge = challenge()
        let cookie = challenge.cookie(nonce: nonce, address: address, initiatorSPI: spi, now: at(0))
        #expect(
            challenge.accepts(cookie, nonce: nonce, address: address, initiatorSPI: spi, now: at(seconds)) == accepted)
    }

    @Test func rotationStepByStep() {
        var challenge = challenge()
        let cookie = challenge.cookie(nonce: nonce, address: address, initiatorSPI: spi, now: at(0))
        #expect(challenge.accepts(cookie, nonce: nonce, address: address, initiatorSPI: spi, now: at(61)) == true)
        let second = challenge.cookie(nonce: nonce, address: address, initiatorSPI: spi, now: at(61))
        #expect(second != cookie)
        #expect(challenge.accepts(cookie, nonce: nonce, address: address, initiatorSPI: spi, now: at(122)) == false)
        #expect(challenge.accepts(second, nonce: nonce, address: address, initiatorSPI: spi, now: at(122)) == true)
    }
}
