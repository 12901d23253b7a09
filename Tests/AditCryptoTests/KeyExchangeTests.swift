// SPDX-License-Identifier: Apache-2.0
// Adit: AditCryptoTests

import Testing

@testable import AditCrypto

@Suite struct KeyExchangeTests {
    private static func exchange(_ group: KeyExchangeGroup, seed: UInt64) throws -> KeyExchange {
        try KeyExchange(group: group, entropy: SecretBytes(arbitraryBytes(group.privateLength, seed: seed)))
    }

    @Test(arguments: KeyExchangeGroup.allCases)
    func bothEndsAgree(_ group: KeyExchangeGroup) throws {
        for seed in 0..<8 as Range<UInt64> {
            let initiator = try Self.exchange(group, seed: 2 * seed)
            let responder = try Self.exchange(group, seed: 2 * seed + 1)
            #expect(initiator.publicValue.count == group.publicLength)
            #expect(initiator.publicValue != responder.publicValue)
            let secret = try initiator.sharedSecret(with: responder.publicValue)
            #expect(try secret == responder.sharedSecret(with: initiator.publicValue))
            #expect(try secret == initiator.sharedSecret(with: responder.publicValue), "usable again")
            let expected: Int =
                switch group {
                case .ecp256, .x25519: 32
                case .ecp384: 48
                case .ecp521: 66
                default: group.publicLength
                }
            #expect(secret.count == expected)
        }
    }

    @Test(arguments: KeyExchangeGroup.allCases)
    func entropyAloneDecides(_ group: KeyExchangeGroup) throws {
        let once = try Self.exchange(group, seed: 5)
        let again = try Self.exchange(group, seed: 5)
        #expect(once.publicValue == again.publicValue)
        let peer = try Self.exchange(group, seed: 6)
        #expect(try once.sharedSecret(with: peer.publicValue) == again.sharedSecret(with: peer.publicValue))
        for byte in 0..<group.privateLength {
            var entropy = arbitraryBytes(group.privateLength, seed: 5)
            entropy[byte] ^= 0x10
            let other = try KeyExchange(group: group, entropy: SecretBytes(entropy))
            #expect(other.publicValue != once.publicValue, "byte \(byte) counts")
        }
    }

    @Test(arguments: KeyExchangeGroup.allCases)
    func lengthsAreChecked(_ group: KeyExchangeGroup) throws {
        for count in [0, group.privateLength - 1, group.privateLength + 1] {
            #expect(throws: CryptoError.malformedInput) {
                try KeyExchange(group: group, entropy: SecretBytes([UInt8](repeating: 7, count: count)))
            }
        }
        let exchange = try Self.exchange(group, seed: 9)
        let peer = try Self.exchange(group, seed: 10).publicValue
        for value in [[], Array(peer.dropLast()), peer + [0], [0] + peer] {
            #expect(throws: CryptoError.malformedInput) { try exchange.sharedSecret(with: value) }
        }
    }

    /// RFC 6989 §2.1: 0, 1, p−1 and what is not below p.
    @Test(arguments: [KeyExchangeGroup.modp1024, .modp1536, .modp2048, .modp3072, .modp4096])
    func valuesOutsideOfTheGroupAreRefused(_ group: KeyExchangeGroup) throws {
        let exchange = try Self.exchange(group, seed: 1)
        let count = group.publicLength
        let (minusOne, prime) = try Self.prime(count)
        let zero = [UInt8](repeating: 0, count: count)
        let one = zero.dropLast() + [1]
        let maximum = [UInt8](repeating: 0xff, count: count)
        for value in [zero, Array(one), minusOne, prime, maximum] {
            #expect(throws: CryptoError.invalidPublicValue) { try exchange.sharedSecret(with: value) }
        }
        // 2 and p−2 are the ends of what is allowed.
        #expect(try exchange.sharedSecret(with: zero.dropLast() + [2]).array == exchange.publicValue)
        #expect(throws: Never.self) { try exchange.sharedSecret(with: Array(prime.dropLast() + [0xfd])) }
    }

    private static func prime(_ count: Int) throws -> (minusOne: [UInt8], prime: [UInt8]) {
        let prime = try #require(MODPPrime.bytes[count])
        #expect(prime.count == count && prime.last == 0xff)
        return (prime.dropLast() + [0xfe], prime)
    }

    /// RFC 6989 §2.3: off the curve, coordinates that are not reduced, the point at infinity's would-be encodings.
    @Test(arguments: [KeyExchangeGroup.ecp256, .ecp384, .ecp521])
    func pointsOffTheCurveAreRefused(_ group: KeyExchangeGroup) throws {
        let exchange = try Self.exchange(group, seed: 1)
        let good = try Self.exchange(group, seed: 2).publicValue
        var values = [
            [UInt8](repeating: 0, count: good.count), [UInt8](repeating: 0xff, count: good.count),
            [UInt8](repeating: 0, count: good.count - 1) + [1],
        ]
        for index in 0..<good.count {
            var flipped = good
            flipped[index] ^= 1
            values.append(flipped)
        }
        for value in values {
            #expect(throws: CryptoError.invalidPublicValue) { try exchange.sharedSecret(with: value) }
        }
        #expect(throws: Never.self) { try exchange.sharedSecret(with: good) }
    }

    /// RFC 8031 §5: points of small order give zero.
    @Test func pointsOfSmallOrderAreRefused() throws {
        let exchange = try Self.exchange(.x25519, seed: 1)
        let values = [
            [UInt8](repeating: 0, count: 32), [1] + [UInt8](repeating: 0, count: 31),
            hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
            hex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
            hex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        ]
        for value in values {
            #expect(throws: CryptoError.invalidPublicValue) { try exchange.sharedSecret(with: value) }
        }
    }

    /// RFC 7748 §5.2 and §6.1.
    @Test func x25519OfRFC7748() throws {
        let scalar = try KeyExchange(
            group: .x25519,
            entropy: SecretBytes(hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")))
        let product = try scalar.sharedSecret(
            with: hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"))
        #expect(product.array == hex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"))

        let alice = try KeyExchange(
            group: .x25519,
            entropy: SecretBytes(hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")))
        let bob = try KeyExchange(
            group: .x25519,
            entropy: SecretBytes(hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")))
        #expect(bob.publicValue == hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"))
        #expect(alice.publicValue == hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"))
        let shared = hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
        #expect(try alice.sharedSecret(with: bob.publicValue).array == shared)
        #expect(try bob.sharedSecret(with: alice.publicValue).array == shared)
    }

    @Test(arguments: ECPVector.rfc5903)
    func ecpOfRFC5903(_ vector: ECPVector) throws {
        let initiator = try vector.exchange(scalar: vector.i)
        let responder = try vector.exchange(scalar: vector.r)
        #expect(initiator.publicValue == vector.gix + vector.giy)
        #expect(responder.publicValue == vector.grx + vector.gry)
        #expect(try initiator.sharedSecret(with: responder.publicValue).array == vector.girx)
        #expect(try responder.sharedSecret(with: initiator.publicValue).array == vector.girx)
    }

    /// FIPS 186-5 A.2.1: wide entropy is reduced to 1 … n−1, at the ends too.
    @Test(arguments: [ECPGroup.bits256, .bits384, .bits521])
    func scalarsAreInRange(_ group: ECPGroup) throws {
        let zeros = try group.scalar(entropy: SecretBytes([UInt8](repeating: 0, count: group.entropyLength)))
        #expect(zeros.array == [UInt8](repeating: 0, count: group.scalarLength - 1) + [1])
        let ones = try group.scalar(entropy: SecretBytes([UInt8](repeating: 0xff, count: group.entropyLength)))
        #expect(ones.count == group.scalarLength)
        #expect(throws: Never.self) { try group.publicValue(scalar: ones) }
    }

    @Test(
        .enabled(if: SharedVectors.present, "\(SharedVectors.absent)"),
        arguments: [
            ("ecdh_secp256r1_ecpoint_test.json", KeyExchangeGroup.ecp256),
            ("ecdh_secp384r1_ecpoint_test.json", .ecp384), ("ecdh_secp521r1_ecpoint_test.json", .ecp521),
        ])
    func ecpOfWycheproof(_ file: String, _ group: KeyExchangeGroup) throws {
        guard case .ecp(let ecp) = group.arithmetic else { return }
        var (valid, refused) = (0, 0)
        for test in try SharedVectors.wycheproof(file).testGroups.flatMap(\.tests) {
            let point = hex(test.public ?? "")
            // IKE's encoding is the uncompressed one without its first octet: no other can be said in it.
            guard point.first == 4, point.count == 1 + group.publicLength else { continue }
            let scalar = hex(test.private ?? "")
            let padding = [UInt8](repeating: 0, count: max(0, ecp.scalarLength - scalar.count))
            let secret = SecretBytes(padding + scalar.suffix(ecp.scalarLength))
            if test.result == "invalid" {
                #expect(throws: CryptoError.self, "\(file) \(test.tcId)") {
                    try ecp.sharedSecret(scalar: secret, peer: Array(point.dropFirst()))
                }
                refused += 1
            } else {
                let shared = try ecp.sharedSecret(scalar: secret, peer: Array(point.dropFirst()))
                #expect(shared.array == hex(test.shared ?? ""), "\(file) \(test.tcId)")
                valid += 1
            }
        }
        #expect(valid > 100 && refused > 0)
    }

    /// Wycheproof's `ZeroSharedSecret` is "acceptable" there and refused here (RFC 8031 §5).
    @Test(.enabled(if: SharedVectors.present, "\(SharedVectors.absent)"))
    func x25519OfWycheproof() throws {
        var (computed, refused) = (0, 0)
        for test in try SharedVectors.wycheproof("x25519_test.json").testGroups.flatMap(\.tests) {
            let exchange = try KeyExchange(group: .x25519, entropy: SecretBytes(hex(test.private ?? "")))
            let peer = hex(test.public ?? "")
            if test.flags.contains("ZeroSharedSecret") {
                #expect(throws: CryptoError.invalidPublicValue) { try exchange.sharedSecret(with: peer) }
                refused += 1
            } else {
                #expect(try exchange.sharedSecret(with: peer).array == hex(test.shared ?? ""), "\(test.tcId)")
                computed += 1
            }
        }
        #expect(computed > 400 && refused > 0)
    }

    /// RFC 3526's primes as published elsewhere: p is refused, p−2 is not.
    @Test(.enabled(if: SharedVectors.present, "\(SharedVectors.absent)"))
    func primesOfRFC3526() throws {
        let groups: [Int: KeyExchangeGroup] = [192: .modp1536, 256: .modp2048, 384: .modp3072, 512: .modp4096]
        var seen: Set<Int> = []
        for vector in try SharedVectors.cases("pyca/DH_rfc3526.txt") {
            let prime = hex(try #require(vector["P"]))
            guard let group = groups[prime.count] else { continue }
            #expect(prime == MODPPrime.bytes[prime.count])
            let exchange = try Self.exchange(group, seed: 3)
            #expect(throws: CryptoError.invalidPublicValue) { try exchange.sharedSecret(with: prime) }
            #expect(throws: Never.self) { try exchange.sharedSecret(with: Array(prime.dropLast() + [0xfd])) }
            seen.insert(prime.count)
        }
        #expect(seen.count == groups.count)
    }
}
