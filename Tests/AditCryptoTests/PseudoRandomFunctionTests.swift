// SPDX-License-Identifier: Apache-2.0
// Adit: AditCryptoTests

import AditCrypto
import Testing

struct HMACVector: Sendable {
    var key: [UInt8]
    var data: [UInt8]
    var sha256: String
    var sha384: String
    var sha512: String

    /// RFC 4231 §4, cases 1 to 4, 6 and 7.
    static let rfc4231 = [
        HMACVector(
            key: [UInt8](repeating: 0x0b, count: 20),
            data: Array("Hi There".utf8),
            sha256: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            sha384:
                "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
            sha512:
                "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
                + "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"),
        HMACVector(
            key: hex("4a656665"),
            data: Array("what do ya want for nothing?".utf8),
            sha256: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            sha384:
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            sha512:
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
                + "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"),
        HMACVector(
            key: [UInt8](repeating: 0xaa, count: 20),
            data: [UInt8](repeating: 0xdd, count: 50),
            sha256: "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            sha384:
                "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27",
            sha512:
                "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
                + "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb"),
        HMACVector(
            key: hex("0102030405060708090a0b0c0d0e0f10111213141516171819"),
            data: [UInt8](repeating: 0xcd, count: 50),
            sha256: "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            sha384:
                "3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e6801dd23c4a7d679ccf8a386c674cffb",
            sha512:
                "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db"
                + "a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd"),
        HMACVector(
            key: [UInt8](repeating: 0xaa, count: 131),
            data: Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            sha256: "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            sha384:
                "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
            sha512:
                "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
                + "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"),
        HMACVector(
            key: [UInt8](repeating: 0xaa, count: 131),
            data: Array(
                ("This is a test using a larger than block-size key and a larger than block-size data. "
                    + "The key needs to be hashed before being used by the HMAC algorithm.")
                    .utf8),
            sha256: "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            sha384:
                "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5a678cc31e799176d3860e6110c46523e",
            sha512:
                "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944"
                + "b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58"),
    ]
}

@Suite struct PseudoRandomFunctionTests {
    @Test(arguments: HMACVector.rfc4231)
    func hmacOfRFC4231(_ vector: HMACVector) {
        let key = SecretBytes(vector.key)
        #expect(PseudoRandomFunction.hmacSHA256(key: key, vector.data).array == hex(vector.sha256))
        #expect(PseudoRandomFunction.hmacSHA384(key: key, vector.data).array == hex(vector.sha384))
        #expect(PseudoRandomFunction.hmacSHA512(key: key, vector.data).array == hex(vector.sha512))
    }

    /// RFC 2202 §2.
    @Test func hmacMD5OfRFC2202() {
        let cases: [(key: [UInt8], data: [UInt8], digest: String)] = [
            (.init(repeating: 0x0b, count: 16), Array("Hi There".utf8), "9294727a3638bb1c13f48ef8158bfc9d"),
            (Array("Jefe".utf8), Array("what do ya want for nothing?".utf8), "750c783e6ab0b503eaa86e310a5db738"),
            (.init(repeating: 0xaa, count: 16), .init(repeating: 0xdd, count: 50), "56be34521d144c88dbb8c733f0e8b3f6"),
            (Array(1...25), .init(repeating: 0xcd, count: 50), "697eaf0aca3a3aea3a75164746ffaa79"),
            (.init(repeating: 0x0c, count: 16), Array("Test With Truncation".utf8), "56461ef2342edc00f9bab995690efd4c"),
            (
                .init(repeating: 0xaa, count: 80), Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
                "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"
            ),
            (
                .init(repeating: 0xaa, count: 80),
                Array("Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data".utf8),
                "6f630fad67cda0ee1fb1f562db3aa53e"
            ),
        ]
        for (key, data, digest) in cases {
            #expect(PseudoRandomFunction.hmacMD5(key: SecretBytes(key), data).array == hex(digest))
        }
    }

    /// RFC 2202 §3, cases 1, 2 and 6.
    @Test func hmacSHA1OfRFC2202() {
        let prf = PseudoRandomFunction.hmacSHA1
        let repeated = SecretBytes([UInt8](repeating: 0x0b, count: 20))
        #expect(prf(key: repeated, Array("Hi There".utf8)).array == hex("b617318655057264e28bc0b6fb378c8ef146be00"))
        let jefe = SecretBytes(Array("Jefe".utf8))
        #expect(
            prf(key: jefe, Array("what do ya want ".utf8), [], Array("for nothing?".utf8)).array
                == hex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"))
        let long = SecretBytes([UInt8](repeating: 0xaa, count: 80))
        #expect(
            prf(key: long, Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8)).array
                == hex("aa4ae5e15272d00e95705637ce8a3b55ed402112"))
    }

    @Test(arguments: PseudoRandomFunction.allCases)
    func emptyKeyAndEmptyData(_ prf: PseudoRandomFunction) {
        #expect(prf(key: SecretBytes([])).count == prf.outputLength)
        #expect(prf(key: SecretBytes([])) == prf(key: SecretBytes([0]), []), "HMAC pads a short key with zeros")
        #expect(prf(key: SecretBytes([1])) != prf(key: SecretBytes([0])))
    }

    /// RFC 7296 §2.13, written out with single calls of the prf.
    @Test(arguments: PseudoRandomFunction.allCases)
    func expandIsPRFPlus(_ prf: PseudoRandomFunction) {
        let key = SecretBytes(arbitraryBytes(32, seed: 1))
        let seed = arbitraryBytes(48, seed: 2)
        var expected: [UInt8] = []
        var block: [UInt8] = []
        for number in 1...255 {
            block = prf(key: key, block, seed, [UInt8(number)]).array
            expected += block
        }
        let outputs = prf.outputLength
        for count in [0, 1, outputs - 1, outputs, outputs + 1, 3 * outputs + 7, 255 * outputs] {
            #expect(prf.expand(key: key, seed: seed, count: count).array == Array(expected.prefix(count)))
            #expect(prf.expand(key: key, seed: SecretBytes(seed), count: count).array == Array(expected.prefix(count)))
        }
    }

    @Test func digests() {
        #expect(HashAlgorithm.sha1.digest(Array("abc".utf8)) == hex("a9993e364706816aba3e25717850c26c9cd0d89d"))
        #expect(
            HashAlgorithm.sha256.digest(Array("a".utf8), [], Array("bc".utf8))
                == hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"))
        for hash in HashAlgorithm.allCases { #expect(hash.digest().count == hash.outputLength) }
        #expect(
            HashAlgorithm.sha384.digest()
                == hex(
                    "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b"))
        #expect(HashAlgorithm.sha512.digest().prefix(8) == hex("cf83e1357eefb8bd")[...])
    }

    @Test func constantTimeEquality() {
        #expect(constantTimeEqual([], []))
        #expect(constantTimeEqual([1, 2, 3], [1, 2, 3]))
        #expect(!constantTimeEqual([1, 2, 3], [1, 2, 4]))
        #expect(!constantTimeEqual([1, 2, 3], [1, 2]))
    }

    @Test(
        .enabled(if: SharedVectors.present, "\(SharedVectors.absent)"),
        arguments: [
            ("hmac_sha1_test.json", PseudoRandomFunction.hmacSHA1), ("hmac_sha256_test.json", .hmacSHA256),
            ("hmac_sha384_test.json", .hmacSHA384), ("hmac_sha512_test.json", .hmacSHA512),
        ])
    func hmacOfWycheproof(_ file: String, _ prf: PseudoRandomFunction) throws {
        var checked = 0
        for group in try SharedVectors.wycheproof(file).testGroups {
            for test in group.tests {
                let key = SecretBytes(hex(test.key ?? ""))
                let tag = hex(test.tag ?? "")
                let computed = Array(prf(key: key, hex(test.msg ?? "")).array.prefix(tag.count))
                #expect(constantTimeEqual(computed, tag) == (test.result == "valid"), "\(file) \(test.tcId)")
                checked += 1
            }
        }
        #expect(checked > 100)
    }

    /// NIST SP 800-135 component vectors for IKEv2 (RFC 7296 §2.14, §2.17, §2.18).
    @Test(.enabled(if: SharedVectors.present, "\(SharedVectors.absent)"))
    func keyDerivationOfNIST() throws {
        var checked = 0
        for vector in try SharedVectors.cases("nist/ikev2.rsp") {
            let prf: PseudoRandomFunction? =
                if vector["SHA-1"] != nil {
                    .hmacSHA1
                } else if vector["SHA-256"] != nil {
                    .hmacSHA256
                } else if vector["SHA-384"] != nil {
                    .hmacSHA384
                } else if vector["SHA-512"] != nil {
                    .hmacSHA512
                } else {
                    nil
                }
            let chosen = try #require(prf)
            func value(_ name: String) throws -> [UInt8] { hex(try #require(vector[name])) }
            let nonces = try value("Ni") + value("Nr")
            let seed = try chosen(key: SecretBytes(nonces), value("g^ir"))
            #expect(try seed.array == value("SKEYSEED"))
            let keys = try value("DKM")
            let derived = try chosen.expand(
                key: seed, seed: nonces + value("SPIi") + value("SPIr"), count: keys.count)
            #expect(derived.array == keys)
            let deriving = derived.slice(0..<chosen.outputLength)
            let child = try value("DKM(Child SA)")
            #expect(chosen.expand(key: deriving, seed: nonces, count: child.count).array == child)
            let fresh = try value("DKM(Child SA D-H)")
            let secretSeed = try SecretBytes(value("g^ir (new)") + nonces)
            #expect(chosen.expand(key: deriving, seed: secretSeed, count: fresh.count).array == fresh)
            #expect(try chosen(key: deriving, value("g^ir (new)"), nonces).array == value("SKEYSEED(Rekey)"))
            checked += 1
        }
        #expect(checked == 84)
    }
}
