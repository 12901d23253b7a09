// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import Testing

@testable import AditIKE

/// Keys made with the openssl command for these tests: the private half in PEM, the public one in DER.
enum TestKeys {
    static let ecdsa256 = TestKey(
        pem: """
            -----BEGIN PRIVATE KEY-----
            MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgq9Ri1Dagg6Z8aqUG
            4k/tm0V6yOVaxekwdKHoeD5MMQChRANCAAQiquS9URQzvss7hcJzo1lmkaIjc09J
            N9k1HnHmUSOPkZOsmge9/re3o34YQeQDBUv3lRGfN9dhbxb+eF31lpVg
            -----END PRIVATE KEY-----
            """,
        publicKey: "3059301306072a8648ce3d020106082a8648ce3d0301070342000422aae4bd511433becb3b85c273a3596691a223734f"
            + "4937d9351e71e651238f9193ac9a07bdfeb7b7a37e1841e403054bf795119f37d7616f16fe785df5969560")

    static let ecdsa384 = TestKey(
        pem: """
            -----BEGIN PRIVATE KEY-----
            MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDCPlp4s4ksuyBDOlFIc
            FqBtPuj6xyjs67Z8te8sa7ECDcRfmRT7J92owniOyA9yUTWhZANiAAT9RPuNqmEH
            5rvdzsjFcdu0DW4cIZYKIa6CF5QT7GgPE134DLycLKHbpeJXe834xpay1HqtOSHB
            0znjB0lXVernATEirz7DSEGjQx1ps/DmOZSrFxPoeHtn8r59P6/Mh3o=
            -----END PRIVATE KEY-----
            """,
        publicKey: "3076301006072a8648ce3d020106052b8104002203620004fd44fb8daa6107e6bbddcec8c571dbb40d6e1c21960a21ae"
            + "82179413ec680f135df80cbc9c2ca1dba5e2577bcdf8c696b2d47aad3921c1d339e307495755eae7013122af3ec34841"
            + "a3431d69b3f0e63994ab1713e8787b67f2be7d3fafcc877a")

    static let ecdsa521 = TestKey(
        pem: """
            -----BEGIN PRIVATE KEY-----
            MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIAANAG79Pu4bhaiYGu
            sg/aUGjiVNjIcyEdreJ4hJXxzX0roQRZMhyjrpkLXuLxVecPgKA4VPwY5b4zxDzn
            R5J+B76hgYkDgYYABAC60vZO/1+UXsnqPHvqb7cJS9sLEuTygRaAEegK5dpuU+9u
            Mo1KimhKEot19jodkC1jR/vEpeLrvFsjWzm+vJMBKgE5cV55hhheCfhzKX4Y91iH
            56nQeNOYFH9PAP0Tc0qTYoq0AyC7wwoPSkov/Sm5syZ2Vk02/Lt/7NbTKU5gYt4C
            qA==
            -----END PRIVATE KEY-----
            """,
        publicKey: "30819b301006072a8648ce3d020106052b81040023038186000400bad2f64eff5f945ec9ea3c7bea6fb7094bdb0b12e4"
            + "f281168011e80ae5da6e53ef6e328d4a8a684a128b75f63a1d902d6347fbc4a5e2ebbc5b235b39bebc93012a0139715e"
            + "7986185e09f873297e18f75887e7a9d078d398147f4f00fd13734a93628ab40320bbc30a0f4a4a2ffd29b9b32676564d"
            + "36fcbb7fecd6d3294e6062de02a8")

    static let ed25519 = TestKey(
        pem: """
            -----BEGIN PRIVATE KEY-----
            MC4CAQAwBQYDK2VwBCIEIOKNqTW3OsCHl2yTDAPoj8JXcfE1fi/6aDQSmznuqUO5
            -----END PRIVATE KEY-----
            """,
        publicKey: "302a300506032b657003210014fc2571752687b650476ba1e4dc9fd3a04d76b8b1a38f56075b69d719f9868b")

    static let rsa2048 = TestKey(
        pem: """
            -----BEGIN PRIVATE KEY-----
            MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCm8Wt30htPe1Ad
            ChkpqycSe3uv0Zlt0a3PwN6MPoYqe43XJ4ZGasgvcerhLxix1zQY0THBaJeJANPp
            eFuSbsO2DuWi+UlKI6q62S87O2NMVS00qBxVL3Nic/kK/XhhjrkN22ATbWpwG6iD
            kzFWu4Q7v6aExJh0xYWO5O/oWARZl+iXSQEikmgYcsFfFpyga0LzWtQ19fgNxZPO
            vkf9aCT3baFahl0i0iW5PxskyhK84A7/qH1Azr/h8IE4ndvzO6IBmHFqJsRax7IX
            sxuGcc+v0gg73Ka36Z5Xx7IRTS3vWIm0Ks6sQBO8lXTnWIezhDBBQc6ABI7J13QR
            tceO7UKJAgMBAAECggEAA71rAUi49+fGZVGaO293xp1QHgqU8BLiRWUH0XtnR94t
            0OyoerGM+57BKTWPnsrbPHgu6hPvxAokKY5DbujqhAyxv+1212dDVMvlgJ2nEdS0
            e3Zq2SoPg9yTbyk7PVif6K0yu3EMnNX5DzJC922K543w2ZpnV/H828xJ5zz40csm
            0o34apS/naX5AH00lktYIlPIMXHoCG2OS9uqbUmOIxSAVV+17OYdAZRbBRQv0zSS
            mnroSyAfHpbPz99eiIUZFlfzDnAvc7IW8o/JyzlPXt8Gne9UzI72qm3F3T3njGc1
            ZABvFiWy9qbF3pBRx1+9kC/9xl7XrBW+XAYOB22sKQKBgQDnAM06WjXGODW/aHah
            UwxuqC7qxVDmRyJZC4OyjMdA2mBDZsz5kdo/CuLOcsr1hFD8mgTRhKTyide/Myo3
            RivUTcMlyIES3beEQBdIH8SftGepu0vfwLBi/K4rOk71aVzW1qjq78qD2NJIWR+B
            F/yMTfPgqE414c7RPxLLQyEHFwKBgQC5AgoklxU0DTugTTuEoX1pQkcV5TLXGWPj
            TTzZLl9uGZyz0zB93lEAosYE3Dx1vvkGMrcAYC8+dmqjwKwxlSCEF0M38JezKGbO
            RYVRdxCJEShr50qmRIZPTsk0RHCPz5eFqwD0b/NCmcAqpGnaDh/G9n0sO+mKM3Yf
            lQeBgZYHXwKBgCkAC2z/9etorqF6eRPJGbvKPgmNW/6DQaVsVcOrGPJ5z/wmktr4
            +DOYSwk5dqx8/6LV82T8lgo2TQSyoBuPaNgVtT1PiRlAIQJoHbm/abau3ndRtvXP
            zX7EOmWRw9HrEX9QOkr4pIkiQrB0oRLYnwqIC3Ekbj1CBuM8vqk1EPehAoGAJkvT
            yas0imfK1e3myhebnDRJ/rBJC9mHob+VPueofWPz2g13Vja00crf7pWgNkdnyO6q
            jvtaDDX68RarDkBuUKl4EpZM8JsGXOBrLmfVFmpk0aE5BJ3ep4AJijY4jqxMEzFI
            q1CZLEojSzBpcOfHkCnp00Q7nY31f6gbu6UVZ0UCgYEAlbp2UDWkz6plGwiaDwnz
            r7NkyV1Nm4wAnBYGZa7671X+U1IxF2y5baO6rzkkriKvKhKgQa3a4snbYEv2tn9x
            bmo9MnfGSU05ij+xN6GXEDrOUBjEweSAEdblQzUyfqY/jA89HfYhd9GUYglbHBGT
            /I7r0DEoOecbpGxxBv37CzE=
            -----END PRIVATE KEY-----
            """,
        publicKey: "30820122300d06092a864886f70d01010105000382010f003082010a0282010100a6f16b77d21b4f7b501d0a1929ab27"
            + "127b7bafd1996dd1adcfc0de8c3e862a7b8dd72786466ac82f71eae12f18b1d73418d131c168978900d3e9785b926ec3"
            + "b60ee5a2f9494a23aabad92f3b3b634c552d34a81c552f736273f90afd78618eb90ddb60136d6a701ba883933156bb84"
            + "3bbfa684c49874c5858ee4efe858045997e89749012292681872c15f169ca06b42f35ad435f5f80dc593cebe47fd6824"
            + "f76da15a865d22d225b93f1b24ca12bce00effa87d40cebfe1f081389ddbf33ba20198716a26c45ac7b217b31b8671cf"
            + "afd2083bdca6b7e99e57c7b2114d2def5889b42aceac4013bc9574e75887b384304141ce80048ec9d77411b5c78eed42"
            + "890203010001")

    static let all = [ecdsa256, ecdsa384, ecdsa521, ed25519, rsa2048]
}

/// A key pair.
struct TestKey: Sendable, CustomTestStringConvertible {
    let pem: String
    let publicKey: String

    var testDescription: String { (try? SignaturePrivateKey(pem: SecretBytes(pem.utf8)).kind.description) ?? "?" }

    /// A credential whose only "certificate" is what ``TestValidator`` reads: the name, a zero, and the public key.
    func credential(_ name: String) throws -> SigningCredential {
        SigningCredential(
            chain: [Array(name.utf8) + [0] + hex(publicKey)], subject: DistinguishedName("CN=\(name)")?.der ?? [],
            key: try SignaturePrivateKey(pem: SecretBytes(pem.utf8)))
    }
}

/// Accepts what ``TestKey/credential(_:)`` makes, for the name in it.
struct TestValidator: CertificateValidator {
    var digest: [UInt8] = [1]
    var authorities: [[UInt8]] = [Array(repeating: 7, count: 20)]

    func validate(
        chain: [[UInt8]], identity: Identity, at time: Int64
    ) -> Result<SignaturePublicKey, CertificateFailure> {
        let name = String(decoding: chain[0].prefix { $0 != 0 }, as: UTF8.self)
        let key = Array(chain[0].drop { $0 != 0 }.dropFirst())
        let names: [Identity] = [.fqdn(name), .distinguishedName(DistinguishedName("CN=\(name)")?.der ?? [])]
        guard names.contains(identity), let key = try? SignaturePublicKey(subjectPublicKeyInfo: key) else {
            return .failure(
                CertificateFailure(
                    .invalidIdentity, .identity, subject: "CN=\(name)", message: "not \(identity)", suggestion: "x"))
        }
        guard time == Self.time else {
            return .failure(
                CertificateFailure(
                    .certificateExpired, .validity, subject: "CN=\(name)", message: "at \(time)", suggestion: "x"))
        }
        return .success(key)
    }

    /// The only moment at which it accepts anything.
    static let time: Int64 = 1_795_392_000
}
