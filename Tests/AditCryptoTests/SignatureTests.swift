// SPDX-License-Identifier: Apache-2.0
// Adit: AditCryptoTests

import AditCrypto
import Testing

@Suite struct SignatureTests {
    /// A key with its public half and the schemes that it can be used with.
    struct Pair: Sendable, CustomTestStringConvertible {
        var kind: SignatureKeyKind
        var pem: String
        var publicKey: [UInt8]
        var schemes: [SignatureScheme]
        var testDescription: String { kind.description }
    }

    static let hashes: [HashAlgorithm] = [.sha256, .sha384, .sha512]
    static let ecdsa = hashes.flatMap { [SignatureScheme.ecdsa($0), .ecdsaConcatenated($0)] }
    static let rsa =
        hashes.flatMap { [SignatureScheme.rsaPKCS1($0), .rsaPSS($0), .rsaPSS($0, saltLength: 20)] } + [.rsaPKCS1(.sha1)]

    static let pairs = [
        Pair(
            kind: .rsa(bits: 2048), pem: KeyFixtures.rsa2048, publicKey: KeyFixtures.rsa2048Public, schemes: rsa),
        Pair(kind: .ecdsa256, pem: KeyFixtures.ecdsa256, publicKey: KeyFixtures.ecdsa256Public, schemes: ecdsa),
        Pair(kind: .ecdsa384, pem: KeyFixtures.ecdsa384, publicKey: KeyFixtures.ecdsa384Public, schemes: ecdsa),
        Pair(kind: .ecdsa521, pem: KeyFixtures.ecdsa521, publicKey: KeyFixtures.ecdsa521Public, schemes: ecdsa),
        Pair(kind: .ed25519, pem: KeyFixtures.ed25519, publicKey: KeyFixtures.ed25519Public, schemes: [.ed25519]),
    ]

    let message = arbitraryBytes(700, seed: 7427)

    @Test(arguments: pairs) func whatIsSignedVerifies(_ pair: Pair) throws {
        let privateKey = try Self.privateKey(pair.pem)
        let publicKey = try SignaturePublicKey(subjectPublicKeyInfo: pair.publicKey)
        #expect(privateKey.kind == pair.kind)
        #expect(publicKey.kind == pair.kind)
        #expect(publicKey.belongs(to: privateKey))
        for scheme in pair.schemes {
            let signature = try privateKey.signature(over: message, scheme)
            #expect(publicKey.isValid(signature, over: message, scheme))
            #expect(!publicKey.isValid(signature, over: message + [0], scheme))
            #expect(!publicKey.isValid(signature.dropLast(), over: message, scheme))
            #expect(!publicKey.isValid([], over: message, scheme))
            for index in [0, signature.count / 2, signature.count - 1] {
                var tampered = signature
                tampered[index] ^= 1
                #expect(!publicKey.isValid(tampered, over: message, scheme), "byte \(index)")
            }
            for other in pair.schemes where other != scheme {
                #expect(!publicKey.isValid(signature, over: message, other), "\(scheme) taken for \(other)")
            }
        }
    }

    @Test(arguments: pairs) func aSchemeOfAnotherKeyIsRefused(_ pair: Pair) throws {
        let privateKey = try Self.privateKey(pair.pem)
        let publicKey = try SignaturePublicKey(subjectPublicKeyInfo: pair.publicKey)
        for scheme in Self.ecdsa + Self.rsa + [.ed25519] where !pair.schemes.contains(scheme) {
            #expect(throws: CryptoError.malformedInput) { try privateKey.signature(over: message, scheme) }
            #expect(!publicKey.isValid([UInt8](repeating: 1, count: 64), over: message, scheme))
        }
    }

    /// RFC 4754 §7: r and s at the length of the order, whatever their values.
    @Test(arguments: [(KeyFixtures.ecdsa256, 64), (KeyFixtures.ecdsa384, 96), (KeyFixtures.ecdsa521, 132)])
    func concatenatedSignaturesHaveOneLength(_ pem: String, _ length: Int) throws {
        let key = try Self.privateKey(pem)
        for _ in 0..<64 {
            #expect(try key.signature(over: message, .ecdsaConcatenated(.sha256)).count == length)
        }
    }

    @Test func saltsThatDoNotFitTheModulusAreRefused() throws {
        let key = try Self.privateKey(KeyFixtures.rsa2048)
        // RFC 8017 §9.1.1: 256 − 32 − 2.
        #expect(try key.signature(over: message, .rsaPSS(.sha256, saltLength: 222)).count == 256)
        for salt in [223, 4096, Int.max, -1, -2, -3] {
            #expect(throws: CryptoError.malformedInput) {
                try key.signature(over: message, .rsaPSS(.sha256, saltLength: salt))
            }
        }
    }

    @Test func everyFormOfPEMIsRead() throws {
        let plain = try Self.privateKey(KeyFixtures.rsa2048)
        #expect(try Self.privateKey(KeyFixtures.rsa2048Traditional) == plain)
        let traditional = try Self.privateKey(KeyFixtures.ecdsa256Traditional)
        #expect(
            try SignaturePublicKey(subjectPublicKeyInfo: KeyFixtures.ecdsa256TraditionalPublic).belongs(to: traditional)
        )
        let key = try Self.privateKey(KeyFixtures.ecdsa256)
        #expect(try Self.privateKey(KeyFixtures.ecdsa256Encrypted, "opensesame") == key)
        #expect(try Self.privateKey(KeyFixtures.ecdsa256TraditionalEncrypted, "opensesame") == traditional)
        #expect(key != traditional)
        // A passphrase that is not needed is not in the way.
        #expect(try Self.privateKey(KeyFixtures.ecdsa256, "opensesame") == key)
    }

    @Test(arguments: [KeyFixtures.ecdsa256Encrypted, KeyFixtures.ecdsa256TraditionalEncrypted])
    func withoutThePassphraseThereIsNoKey(_ pem: String) {
        for passphrase in [nil, "", "wrong", String(repeating: "x", count: 5000)] {
            #expect(throws: CryptoError.verificationFailed) { try Self.privateKey(pem, passphrase) }
        }
    }

    @Test func whatIsNoKeyIsRefused() {
        for text in ["", "no PEM", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            #expect(throws: CryptoError.malformedInput) { try Self.privateKey(text) }
        }
        for bytes in [[], [0x30, 0], KeyFixtures.ecdsa256Public + [0], Array(KeyFixtures.ecdsa256Public.dropLast())] {
            #expect(throws: CryptoError.malformedInput) { try SignaturePublicKey(subjectPublicKeyInfo: bytes) }
        }
    }

    @Test func keysThatAreNotUsedAreNamed() {
        #expect(throws: CryptoError.unavailable("RSA key of 1024 bits")) { try Self.privateKey(KeyFixtures.rsa1024) }
        #expect(throws: CryptoError.unavailable("EC key of 256 bits")) { try Self.privateKey(KeyFixtures.secp256k1) }
        #expect(throws: CryptoError.unavailable("X25519 key of 253 bits")) { try Self.privateKey(KeyFixtures.x25519) }
        #expect(throws: CryptoError.unavailable("RSA key of 1024 bits")) {
            try SignaturePublicKey(subjectPublicKeyInfo: KeyFixtures.rsa1024Public)
        }
        #expect(throws: CryptoError.unavailable("EC key of 256 bits")) {
            try SignaturePublicKey(subjectPublicKeyInfo: KeyFixtures.secp256k1Public)
        }
        // RFC 5480 §2.1.1: P-256 written out in full is not P-256 by its name.
        #expect(throws: CryptoError.unavailable("EC key of 256 bits")) {
            try SignaturePublicKey(subjectPublicKeyInfo: KeyFixtures.explicitParametersPublic)
        }
    }

    @Test func keysAreNotPrinted() throws {
        let key = try Self.privateKey(KeyFixtures.ed25519)
        #expect("\(key)" == "SignaturePrivateKey(Ed25519)")
        #expect(Mirror(reflecting: key).children.isEmpty)
    }

    private static func privateKey(_ pem: String, _ passphrase: String? = nil) throws -> SignaturePrivateKey {
        try SignaturePrivateKey(
            pem: SecretBytes(pem.utf8), passphrase: passphrase.map { SecretBytes($0.utf8) })
    }
}
