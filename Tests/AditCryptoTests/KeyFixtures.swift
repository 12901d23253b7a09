// SPDX-License-Identifier: Apache-2.0
// Adit: AditCryptoTests

/// Keys made with the openssl command for these tests; the passphrase of the encrypted ones is `opensesame`.
enum KeyFixtures {
    static let ecdsa256 = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgq9Ri1Dagg6Z8aqUG
        4k/tm0V6yOVaxekwdKHoeD5MMQChRANCAAQiquS9URQzvss7hcJzo1lmkaIjc09J
        N9k1HnHmUSOPkZOsmge9/re3o34YQeQDBUv3lRGfN9dhbxb+eF31lpVg
        -----END PRIVATE KEY-----
        """

    static let ecdsa384 = """
        -----BEGIN PRIVATE KEY-----
        MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDCPlp4s4ksuyBDOlFIc
        FqBtPuj6xyjs67Z8te8sa7ECDcRfmRT7J92owniOyA9yUTWhZANiAAT9RPuNqmEH
        5rvdzsjFcdu0DW4cIZYKIa6CF5QT7GgPE134DLycLKHbpeJXe834xpay1HqtOSHB
        0znjB0lXVernATEirz7DSEGjQx1ps/DmOZSrFxPoeHtn8r59P6/Mh3o=
        -----END PRIVATE KEY-----
        """

    static let ecdsa521 = """
        -----BEGIN PRIVATE KEY-----
        MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIAANAG79Pu4bhaiYGu
        sg/aUGjiVNjIcyEdreJ4hJXxzX0roQRZMhyjrpkLXuLxVecPgKA4VPwY5b4zxDzn
        R5J+B76hgYkDgYYABAC60vZO/1+UXsnqPHvqb7cJS9sLEuTygRaAEegK5dpuU+9u
        Mo1KimhKEot19jodkC1jR/vEpeLrvFsjWzm+vJMBKgE5cV55hhheCfhzKX4Y91iH
        56nQeNOYFH9PAP0Tc0qTYoq0AyC7wwoPSkov/Sm5syZ2Vk02/Lt/7NbTKU5gYt4C
        qA==
        -----END PRIVATE KEY-----
        """

    static let ed25519 = """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEIOKNqTW3OsCHl2yTDAPoj8JXcfE1fi/6aDQSmznuqUO5
        -----END PRIVATE KEY-----
        """

    static let rsa2048 = """
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
        """

    static let rsa2048Traditional = """
        -----BEGIN RSA PRIVATE KEY-----
        MIIEowIBAAKCAQEApvFrd9IbT3tQHQoZKasnEnt7r9GZbdGtz8DejD6GKnuN1yeG
        RmrIL3Hq4S8Ysdc0GNExwWiXiQDT6Xhbkm7Dtg7lovlJSiOqutkvOztjTFUtNKgc
        VS9zYnP5Cv14YY65DdtgE21qcBuog5MxVruEO7+mhMSYdMWFjuTv6FgEWZfol0kB
        IpJoGHLBXxacoGtC81rUNfX4DcWTzr5H/Wgk922hWoZdItIluT8bJMoSvOAO/6h9
        QM6/4fCBOJ3b8zuiAZhxaibEWseyF7MbhnHPr9IIO9ymt+meV8eyEU0t71iJtCrO
        rEATvJV051iHs4QwQUHOgASOydd0EbXHju1CiQIDAQABAoIBAAO9awFIuPfnxmVR
        mjtvd8adUB4KlPAS4kVlB9F7Z0feLdDsqHqxjPuewSk1j57K2zx4LuoT78QKJCmO
        Q27o6oQMsb/tdtdnQ1TL5YCdpxHUtHt2atkqD4Pck28pOz1Yn+itMrtxDJzV+Q8y
        QvdtiueN8NmaZ1fx/NvMSec8+NHLJtKN+GqUv52l+QB9NJZLWCJTyDFx6Ahtjkvb
        qm1JjiMUgFVftezmHQGUWwUUL9M0kpp66EsgHx6Wz8/fXoiFGRZX8w5wL3OyFvKP
        ycs5T17fBp3vVMyO9qptxd0954xnNWQAbxYlsvamxd6QUcdfvZAv/cZe16wVvlwG
        DgdtrCkCgYEA5wDNOlo1xjg1v2h2oVMMbqgu6sVQ5kciWQuDsozHQNpgQ2bM+ZHa
        PwriznLK9YRQ/JoE0YSk8onXvzMqN0Yr1E3DJciBEt23hEAXSB/En7RnqbtL38Cw
        YvyuKzpO9Wlc1tao6u/Kg9jSSFkfgRf8jE3z4KhONeHO0T8Sy0MhBxcCgYEAuQIK
        JJcVNA07oE07hKF9aUJHFeUy1xlj40082S5fbhmcs9Mwfd5RAKLGBNw8db75BjK3
        AGAvPnZqo8CsMZUghBdDN/CXsyhmzkWFUXcQiREoa+dKpkSGT07JNERwj8+XhasA
        9G/zQpnAKqRp2g4fxvZ9LDvpijN2H5UHgYGWB18CgYApAAts//XraK6henkTyRm7
        yj4JjVv+g0GlbFXDqxjyec/8JpLa+PgzmEsJOXasfP+i1fNk/JYKNk0EsqAbj2jY
        FbU9T4kZQCECaB25v2m2rt53Ubb1z81+xDplkcPR6xF/UDpK+KSJIkKwdKES2J8K
        iAtxJG49QgbjPL6pNRD3oQKBgCZL08mrNIpnytXt5soXm5w0Sf6wSQvZh6G/lT7n
        qH1j89oNd1Y2tNHK3+6VoDZHZ8juqo77Wgw1+vEWqw5AblCpeBKWTPCbBlzgay5n
        1RZqZNGhOQSd3qeACYo2OI6sTBMxSKtQmSxKI0swaXDnx5Ap6dNEO52N9X+oG7ul
        FWdFAoGBAJW6dlA1pM+qZRsImg8J86+zZMldTZuMAJwWBmWu+u9V/lNSMRdsuW2j
        uq85JK4iryoSoEGt2uLJ22BL9rZ/cW5qPTJ3xklNOYo/sTehlxA6zlAYxMHkgBHW
        5UM1Mn6mP4wPPR32IXfRlGIJWxwRk/yO69AxKDnnG6RscQb9+wsx
        -----END RSA PRIVATE KEY-----
        """

    static let ecdsa256Traditional = """
        -----BEGIN EC PARAMETERS-----
        BggqhkjOPQMBBw==
        -----END EC PARAMETERS-----
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIK3BUXWuIp+vHQtWBLHRVaUK4+GUsGlINYVeOKw2SYcFoAoGCCqGSM49
        AwEHoUQDQgAEALiqkrJVAVmDSlyCXpVHdSmrxeg/927oaCqUwVbS6FNRlXCuogQa
        Pmy8xnxLJS7Dy5wkvtGrnIXnuw9NDD5wiA==
        -----END EC PRIVATE KEY-----
        """

    static let ecdsa256Encrypted = """
        -----BEGIN ENCRYPTED PRIVATE KEY-----
        MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAiwa09GXNEQCgICCAAw
        DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEHaZWDLB5xW3JRTM+BLortMEgZDZ
        L5vbAhSHaFg5j3LD/cAstLY4SEZXIb79gzdUUdk/5/7wCo2zCTRpOeSKZLTgyBjU
        vKxKhY9NlDKgQf1dndEiqrSmCVYWnaN1NT+1D6ePbhnKmCTFeL23lhCxLyb5nlAj
        HckkzBmN5clteRYUN3PfffdvUa4lkeM1Q8FCOLqxvcySEeOOi9AQuqEQCMKFw0k=
        -----END ENCRYPTED PRIVATE KEY-----
        """

    static let ecdsa256TraditionalEncrypted = """
        -----BEGIN EC PRIVATE KEY-----
        Proc-Type: 4,ENCRYPTED
        DEK-Info: AES-128-CBC,860986E32A57FC22A9DD189CC160F4FA

        ZlMVgmWi4snZxFl/CpXKbRmneLIziUT1WpTqNPDK35+FklvQ4jW0k3GpCYlhCLLG
        sPOgTGHIB689qFnb6/09HXWsB36LPmN9x5Kj47iVDmbBYg04BsdYPJy4m5w3V1Zp
        ygUg6LzFSeaL5L1FiVhXLuFlQtF1udhEHMxPAuwkmlU=
        -----END EC PRIVATE KEY-----
        """

    static let rsa1024 = """
        -----BEGIN PRIVATE KEY-----
        MIICeAIBADANBgkqhkiG9w0BAQEFAASCAmIwggJeAgEAAoGBAKGvtP2eG6od2OOW
        tpyDXKNmyHflfVjUwMveGgQFYjiS06B/A0WY149sga1Xc3eCLOOrXWhKs6fCteyv
        nyDOfSM9dgaFuAN31Tx+u/aJbVlPB20qwkpsQLeZayceUPOqVpEP48+XoI86vBrs
        gwKMHBiuec+v4Kzcz0pTxOHxeQbNAgMBAAECgYEAjgLf+ypVrhNNHoiPl+ShBzwN
        s5EziUREmktXmlSIMpxzmDI203gtTOHG/FMlLcB+YPFwt1t1dFHGrD6Mi6oRqe5L
        GzGMo4K+fJL5P+htB1jSlzvjgDrEuNOhEZQzJzpb77ImreW/zknZDxkpV9msPtoX
        86lFt4lPow8eQKOyzcECQQDVzQTumZEdJfvzGi6WSNdMgzSjd/wJzO+B+u2JFZpK
        SdOmDIcHDIf4BIJQEp2Q12wedwqSvsfMDh+44sjmWo71AkEAwZlvC9h3iKKJIQm4
        pLIRpJ1kiaBV8+v6by+E46LHp5E8Z0ueJfC4b9NMkZ79VdWRPIDWIgb8C4Bd0VJ5
        qtqBeQJBAJUmFDW7Tb+O2wfJkQxoPkHzGgqbzmir3b3IZmMGff8rJ4okHSJuvH/p
        7Vqc0ezUS2mpU+fxTYJtq/WXx9zi+e0CQHkkeqEt7fZYxnge7iRYrMOWHWAlLUO5
        6PaEBKKwrEBFmEeGwMo67B5FWQdSNnHsdromYFfgiPzlcU9XTXzEx/kCQQCGcLSj
        GmLfjIRxvoCMBs/sovutXOijtujEcad9nnCfHkzca7ehzhNxc2q2KqUGPQ4C0CtA
        Q64eRMZs0chBlaZD
        -----END PRIVATE KEY-----
        """

    static let secp256k1 = """
        -----BEGIN PRIVATE KEY-----
        MIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQgq0XlaV4XmaXlQ/oxK7PK
        N5HPd2tXa6OFKryjLkMpGK6hRANCAAQpvQX0aNgqkpouEUH3d3fw9OKiGd4/Jqls
        ZBbK44Zp9swlfe6sJ/wY0S9tEEXYbnVIKw92HYTtZ0rxVTFV95zc
        -----END PRIVATE KEY-----
        """

    static let x25519 = """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VuBCIEIDDeBNZfbGFPSUyuxcKNpiuLTtj0IXuZqa9Z+TULA1VP
        -----END PRIVATE KEY-----
        """

    static let ecdsa256Public = hex(
        "3059301306072a8648ce3d020106082a8648ce3d0301070342000422aae4bd511433becb3b85c273a3596691a223734f"
            + "4937d9351e71e651238f9193ac9a07bdfeb7b7a37e1841e403054bf795119f37d7616f16fe785df5969560")

    static let ecdsa384Public = hex(
        "3076301006072a8648ce3d020106052b8104002203620004fd44fb8daa6107e6bbddcec8c571dbb40d6e1c21960a21ae"
            + "82179413ec680f135df80cbc9c2ca1dba5e2577bcdf8c696b2d47aad3921c1d339e307495755eae7013122af3ec34841"
            + "a3431d69b3f0e63994ab1713e8787b67f2be7d3fafcc877a")

    static let ecdsa521Public = hex(
        "30819b301006072a8648ce3d020106052b81040023038186000400bad2f64eff5f945ec9ea3c7bea6fb7094bdb0b12e4"
            + "f281168011e80ae5da6e53ef6e328d4a8a684a128b75f63a1d902d6347fbc4a5e2ebbc5b235b39bebc93012a0139715e"
            + "7986185e09f873297e18f75887e7a9d078d398147f4f00fd13734a93628ab40320bbc30a0f4a4a2ffd29b9b32676564d"
            + "36fcbb7fecd6d3294e6062de02a8")

    static let ed25519Public = hex(
        "302a300506032b657003210014fc2571752687b650476ba1e4dc9fd3a04d76b8b1a38f56075b69d719f9868b")

    static let rsa2048Public = hex(
        "30820122300d06092a864886f70d01010105000382010f003082010a0282010100a6f16b77d21b4f7b501d0a1929ab27"
            + "127b7bafd1996dd1adcfc0de8c3e862a7b8dd72786466ac82f71eae12f18b1d73418d131c168978900d3e9785b926ec3"
            + "b60ee5a2f9494a23aabad92f3b3b634c552d34a81c552f736273f90afd78618eb90ddb60136d6a701ba883933156bb84"
            + "3bbfa684c49874c5858ee4efe858045997e89749012292681872c15f169ca06b42f35ad435f5f80dc593cebe47fd6824"
            + "f76da15a865d22d225b93f1b24ca12bce00effa87d40cebfe1f081389ddbf33ba20198716a26c45ac7b217b31b8671cf"
            + "afd2083bdca6b7e99e57c7b2114d2def5889b42aceac4013bc9574e75887b384304141ce80048ec9d77411b5c78eed42"
            + "890203010001")

    static let ecdsa256TraditionalPublic = hex(
        "3059301306072a8648ce3d020106082a8648ce3d0301070342000400b8aa92b2550159834a5c825e95477529abc5e83f"
            + "f76ee8682a94c156d2e853519570aea2041a3e6cbcc67c4b252ec3cb9c24bed1ab9c85e7bb0f4d0c3e7088")

    static let rsa1024Public = hex(
        "30819f300d06092a864886f70d010101050003818d0030818902818100a1afb4fd9e1baa1dd8e396b69c835ca366c877"
            + "e57d58d4c0cbde1a0405623892d3a07f034598d78f6c81ad577377822ce3ab5d684ab3a7c2b5ecaf9f20ce7d233d7606"
            + "85b80377d53c7ebbf6896d594f076d2ac24a6c40b7996b271e50f3aa56910fe3cf97a08f3abc1aec83028c1c18ae79cf"
            + "afe0acdccf4a53c4e1f17906cd0203010001")

    static let secp256k1Public = hex(
        "3056301006072a8648ce3d020106052b8104000a0342000429bd05f468d82a929a2e1141f77777f0f4e2a219de3f26a9"
            + "6c6416cae38669f6cc257deeac27fc18d12f6d1045d86e75482b0f761d84ed674af1553155f79cdc")

    static let explicitParametersPublic = hex(
        "3082014b3082010306072a8648ce3d02013081f7020101302c06072a8648ce3d0101022100ffffffff00000001000000"
            + "000000000000000000ffffffffffffffffffffffff305b0420ffffffff00000001000000000000000000000000ffffff"
            + "fffffffffffffffffc04205ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b031500c49d"
            + "360886e704936a6678e1139d26b7819f7e900441046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a139"
            + "45d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5022100ffffffff00000000"
            + "ffffffffffffffffbce6faada7179e84f3b9cac2fc6325510201010342000422aae4bd511433becb3b85c273a3596691"
            + "a223734f4937d9351e71e651238f9193ac9a07bdfeb7b7a37e1841e403054bf795119f37d7616f16fe785df5969560")
}
