// SPDX-License-Identifier: Apache-2.0
// Adit: AditCryptoTests

import COpenSSL
import Testing

@testable import AditCrypto

@Suite struct PacketSealerTests {
    @Test(arguments: CipherSuite.all)
    func whatIsSealedOpens(_ suite: CipherSuite) throws {
        let sealer = try PacketSealer(suite: suite, key: suite.key(), ivSpace: 3)
        let opener = try PacketOpener(suite: suite, key: suite.key())
        let shapes: [(Int, UInt32?)] = [(8, nil), (8, 0), (8, 0xfedc_ba98), (32, nil), (45, nil), (0, nil)]
        for length in suite.textLengths {
            for (prefixLength, extended) in shapes {
                let prefix = arbitraryBytes(prefixLength, seed: UInt64(length))
                let text = arbitraryBytes(length, seed: 7)
                let plain = TestPacket(suite, prefix: prefix, text: text, extended: extended)
                let packet = try #require(try plain.sealed(by: sealer))
                #expect(length < 8 || packet.text != text)
                #expect(packet.bytes.starts(with: prefix))
                #expect(packet.opened(by: opener) == text, "\(length) \(prefixLength)")
            }
        }
    }

    @Test(arguments: CipherSuite.all)
    func theHighSequenceBitsAreAuthenticated(_ suite: CipherSuite) throws {
        let sealer = try PacketSealer(suite: suite, key: suite.key(), ivSpace: 0)
        let opener = try PacketOpener(suite: suite, key: suite.key())
        let prefix = arbitraryBytes(8, seed: 4)
        let text = arbitraryBytes(64, seed: 5)
        for (sealed, opened) in [(nil, 0), (0, nil), (1, 2), (0x0100_0000, 1)] as [(UInt32?, UInt32?)] {
            let plain = TestPacket(suite, prefix: prefix, text: text, extended: sealed)
            let packet = try #require(try plain.sealed(by: sealer))
            var wrong = packet
            wrong.extended = opened
            #expect(wrong.opened(by: opener) == nil)
            #expect(packet.opened(by: opener) == text)
        }
    }

    @Test(arguments: CipherSuite.all)
    func everyFlippedBitIsNoticed(_ suite: CipherSuite) throws {
        let sealer = try PacketSealer(suite: suite, key: suite.key(), ivSpace: 0)
        let opener = try PacketOpener(suite: suite, key: suite.key())
        for length in suite.isAEAD ? [0, 5, 64, 300] : [suite.blockLength, 64, 304] {
            let text = arbitraryBytes(length, seed: 8)
            for extended in [nil, 9] as [UInt32?] {
                let plain = TestPacket(suite, prefix: arbitraryBytes(8, seed: 6), text: text, extended: extended)
                let packet = try #require(try plain.sealed(by: sealer))
                for index in packet.bytes.indices {
                    let forged = packet.flipped(index, 1 << UInt8(index & 7))
                    #expect(forged.opened(by: opener) == nil, "byte \(index) of \(length)")
                    #expect(packet.opened(by: opener) == text, "recovered after byte \(index) of \(length)")
                }
            }
        }
    }

    /// Forged and good packets of every pair of lengths in turn: the opener keeps nothing of a refused one.
    @Test(arguments: CipherSuite.all)
    func theOpenerRecoversFromForgeries(_ suite: CipherSuite) throws {
        let sealer = try PacketSealer(suite: suite, key: suite.key(), ivSpace: 0)
        let opener = try PacketOpener(suite: suite, key: suite.key())
        func sealed(_ length: Int, seed: UInt64) throws -> TestPacket {
            let plain = TestPacket(
                suite, prefix: arbitraryBytes(8, seed: seed), text: arbitraryBytes(length, seed: seed))
            return try #require(try plain.sealed(by: sealer))
        }
        for first in suite.textLengths {
            for second in suite.textLengths.prefix(12) {
                let one = try sealed(first, seed: 1)
                let two = try sealed(second, seed: 2)
                let empty = TestPacket(suite, prefix: [], iv: one.iv, text: [], icv: one.icv)
                for forgeries in 1...3 {
                    for _ in 0..<forgeries {
                        #expect(one.flipped(one.bytes.count - 1).opened(by: opener) == nil)
                        #expect(empty.opened(by: opener) == nil)
                    }
                    #expect(two.opened(by: opener) == arbitraryBytes(second, seed: 2), "\(first) \(second)")
                    #expect(two.flipped(0).opened(by: opener) == nil)
                    #expect(one.opened(by: opener) == arbitraryBytes(first, seed: 1), "\(first) \(second)")
                }
            }
        }
        #expect(ERR_peek_error() == 0, "failures leave nothing in libcrypto's error queue")
    }

    @Test(arguments: CipherSuite.all)
    func anotherKeyDoesNotOpen(_ suite: CipherSuite) throws {
        let sealer = try PacketSealer(suite: suite, key: suite.key(), ivSpace: 0)
        let text = arbitraryBytes(64, seed: 8)
        for byte in 0..<suite.keyLength {
            var key = suite.key().array
            // Not the lowest bit, which is parity in a key of 3DES.
            key[byte] ^= 2
            let opener = try PacketOpener(suite: suite, key: SecretBytes(key))
            let plain = TestPacket(suite, prefix: arbitraryBytes(8, seed: 6), text: text)
            let opened = try #require(try plain.sealed(by: sealer)).opened(by: opener)
            if !suite.isAEAD && byte < suite.encryptionKeyLength {
                // With CBC the integrity key alone decides; the text is another then.
                #expect(opened != nil && opened != text)
            } else {
                #expect(opened == nil, "byte \(byte)")
            }
        }
    }

    @Test(arguments: CipherSuite.all)
    func ivsAreUnique(_ suite: CipherSuite) throws {
        var seen: Set<[UInt8]> = []
        let spaces: [UInt8] = [0, 1, 2, 127, 128, 254, 255]
        let rounds = 100_000 / spaces.count + 1
        for space in spaces {
            let sealer = try PacketSealer(suite: suite, key: suite.key(), ivSpace: space)
            let length = suite.isAEAD ? 4 : 16
            let packet = UnsafeMutableRawBufferPointer.allocate(byteCount: 8 + 16 + 16 + 64, alignment: 16)
            defer { packet.deallocate() }
            packet.initializeMemory(as: UInt8.self, repeating: 0)
            guard let base = packet.baseAddress else { continue }
            for number in 1...UInt64(rounds) {
                #expect(sealer.seal(base, prefixLength: 8, textLength: length, extended: nil))
                let iv = Array(packet[8..<8 + suite.ivLength])
                seen.insert(iv)
                guard suite.isAEAD else { continue }
                let value = iv.reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
                #expect(value == UInt64(space) << 56 | number, "space and counter")
            }
        }
        #expect(seen.count == rounds * spaces.count)
    }

    @Test(arguments: CipherSuite.all)
    func theCounterStaysInItsSpace(_ suite: CipherSuite) throws {
        for space in [0, 1, 254, 255] as [UInt64] {
            let last = space << 56 | 0x00ff_ffff_ffff_ffff
            let sealer = try PacketSealer(suite: suite, key: suite.key(), firstIV: last - 2)
            let opener = try PacketOpener(suite: suite, key: suite.key())
            let text = arbitraryBytes(32, seed: 3)
            for _ in 0..<3 {
                let plain = TestPacket(suite, prefix: arbitraryBytes(8, seed: 2), text: text)
                #expect(try plain.sealed(by: sealer)?.opened(by: opener) == text)
            }
            for _ in 0..<3 {
                let plain = TestPacket(suite, prefix: arbitraryBytes(8, seed: 2), text: text)
                #expect(try plain.sealed(by: sealer) == nil, "spent")
            }
        }
    }

    @Test(arguments: CipherSuite.all)
    func lengthsAreChecked(_ suite: CipherSuite) throws {
        let length = suite.keyLength
        for count in [0, length - 1, length + 1] {
            let key = SecretBytes([UInt8](repeating: 1, count: count))
            #expect(throws: CryptoError.malformedInput) { try PacketSealer(suite: suite, key: key, ivSpace: 0) }
            #expect(throws: CryptoError.malformedInput) { try PacketOpener(suite: suite, key: key) }
        }
        let sealer = try PacketSealer(suite: suite, key: suite.key(), ivSpace: 0)
        let opener = try PacketOpener(suite: suite, key: suite.key())
        var bytes = arbitraryBytes(256, seed: 1)
        bytes.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            for (prefixLength, textLength, extended) in [
                (-1, 16, nil), (8, -1, nil), (8, -16, nil), (8, Int.max, nil), (Int.max, 16, nil),
                (Int.min, Int.min, nil),
                (8, 1 << 32, nil), (1 << 32, 16, nil),
            ] as [(Int, Int, UInt32?)] + (suite.isAEAD ? [(7, 16, 1), (9, 16, 1), (28, 16, 1)] : []) {
                #expect(!sealer.seal(base, prefixLength: prefixLength, textLength: textLength, extended: extended))
                #expect(!opener.open(base, prefixLength: prefixLength, textLength: textLength, extended: extended))
            }
            for textLength in suite.isAEAD ? [] : [0, 1, 7, 9, 15, 17, 31] {
                #expect(!sealer.seal(base, prefixLength: 8, textLength: textLength, extended: nil))
                #expect(!opener.open(base, prefixLength: 8, textLength: textLength, extended: nil))
            }
        }
        #expect(bytes == arbitraryBytes(256, seed: 1), "refused before anything is written")
        let plain = TestPacket(suite, prefix: arbitraryBytes(8, seed: 2), text: arbitraryBytes(32, seed: 3))
        #expect(try plain.sealed(by: sealer)?.opened(by: opener) == plain.text, "usable as before")
    }

    /// RFC 2451 §2.3: 3DES with two equal neighbours among its keys is single DES; parity bits make no difference.
    @Test func keysThatMakeSingleDESAreRefused() throws {
        let suite = CipherSuite.tripleDESCBC(.hmacSHA1_96)
        let rest = arbitraryBytes(suite.integrityKeyLength, seed: 1)
        let (one, other) = (arbitraryBytes(8, seed: 2), arbitraryBytes(8, seed: 3))
        let parity = one.map { $0 ^ 1 }
        for keys in [one + one + other, other + one + one, one + one + one, one + parity + other, other + parity + one]
        {
            let key = SecretBytes(keys + rest)
            #expect(throws: CryptoError.malformedInput) { try PacketSealer(suite: suite, key: key, ivSpace: 0) }
            #expect(throws: CryptoError.malformedInput) { try PacketOpener(suite: suite, key: key) }
        }
        for keys in [one + other + one, one + one.map { $0 ^ 2 } + other] {
            _ = try PacketSealer(suite: suite, key: SecretBytes(keys + rest), ivSpace: 0)
        }
    }

    /// What a libcrypto without 3DES or MD5 does: an error, no crash. (This one has both.)
    @Test func algorithmsThatLibcryptoRefuses() throws {
        #expect(CipherSuite.hasTripleDES)
        for integrity in CipherSuite.Integrity.allCases { #expect(integrity.isAvailable) }
        for prf in PseudoRandomFunction.allCases { #expect(prf.isAvailable) }
        let missing = FetchedAlgorithm(pointer: nil)
        #expect(throws: CryptoError.unavailable("EVP_CIPHER_fetch")) {
            try CipherContext.make(missing, key: SecretBytes([UInt8](repeating: 1, count: 24)), .seal)
        }
    }

    /// NIST SP 800-38A appendix C: the IV on the wire is the encrypted counter block, so it does not show a counter.
    @Test func cbcIVsAreNotPredictable() throws {
        let suite = CipherSuite.aesCBC(.bits128, .hmacSHA256_128)
        let sealer = try PacketSealer(suite: suite, key: suite.key(), ivSpace: 0)
        var ones = 0
        var previous: [UInt8]?
        for _ in 0..<1000 {
            let plain = TestPacket(suite, prefix: arbitraryBytes(8, seed: 2), text: arbitraryBytes(16, seed: 3))
            let packet = try #require(try plain.sealed(by: sealer))
            if let previous { ones += zip(previous, packet.iv).map { ($0 ^ $1).nonzeroBitCount }.reduce(0, +) }
            previous = packet.iv
        }
        // 999 × 128 differing bits, each with probability one half: ±6 standard deviations.
        #expect(abs(ones - 999 * 64) < 6 * 179)
    }
}
