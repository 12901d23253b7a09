// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import Foundation
import Testing

@testable import AditIKE

@Suite struct SignatureAuthenticationTests {
    let octets: [UInt8] = Array("what is signed".utf8)

    @Test(arguments: TestKeys.all) func whatIsProvedVerifies(_ key: TestKey) throws {
        let (own, peer) = try Self.halves(key)
        let proof = try SignatureAuthentication.prove(key: own, octets: octets, peerHashes: .ours)
        #expect(proof.method == .digitalSignature)
        let algorithm = try SignatureAuthentication.verify(proof, key: peer, octets: octets)
        #expect(algorithm?.scheme == SignatureAuthentication.choose(own.kind, .ours, nil)?.scheme)
        #expect(throws: SignatureFailure.self) {
            try SignatureAuthentication.verify(proof, key: peer, octets: octets + [0])
        }
        for index in proof.value.indices {
            var changed = proof
            changed.value[index] ^= 0x20
            #expect(throws: SignatureFailure.self, "byte \(index)") {
                try SignatureAuthentication.verify(changed, key: peer, octets: octets)
            }
        }
    }

    @Test(arguments: TestKeys.all, TestKeys.all) func anotherKeyProvesNothing(_ signer: TestKey, _ claimed: TestKey)
        throws
    {
        guard signer.publicKey != claimed.publicKey else { return }
        let proof = try SignatureAuthentication.prove(key: try Self.halves(signer).0, octets: octets, peerHashes: .ours)
        #expect(throws: SignatureFailure.self) {
            try SignatureAuthentication.verify(proof, key: try Self.halves(claimed).1, octets: octets)
        }
    }

    /// RFC 7427 §5, RFC 8247 §4.1.1.
    @Test(
        arguments: [
            (SignatureKeyKind.ecdsa256, [2, 3, 4], SignatureScheme.ecdsa(.sha256)), (.ecdsa256, [4], .ecdsa(.sha512)),
            (.ecdsa384, [2, 3, 4], .ecdsa(.sha384)), (.ecdsa384, [2], .ecdsa(.sha256)),
            (.ecdsa521, [2, 3, 4], .ecdsa(.sha512)), (.ecdsa256, [1, 5], nil), (.ed25519, [2, 5], .ed25519),
            (.ed25519, [2, 3, 4], nil), (.rsa(bits: 2048), [2, 3], .rsaPSS(.sha256)),
            (.rsa(bits: 4096), [2, 3], .rsaPSS(.sha384)), (.rsa(bits: 2048), [1], nil), (.rsa(bits: 2048), [], nil),
        ] as [(SignatureKeyKind, [UInt16], SignatureScheme?)])
    func theAlgorithmIsOneThatThePeerCan(_ kind: SignatureKeyKind, _ hashes: [UInt16], _ scheme: SignatureScheme?) {
        #expect(SignatureAuthentication.choose(kind, SignatureHashes(numbers: hashes), nil)?.scheme == scheme)
    }

    @Test func aPeerThatSignsWithPKCS1GetsIt() {
        let theirs = SignatureAlgorithm(.rsaPKCS1(.sha512))
        #expect(
            SignatureAuthentication.choose(.rsa(bits: 2048), .ours, theirs)?.scheme == .rsaPKCS1(.sha256))
        #expect(SignatureAuthentication.choose(.ecdsa256, .ours, theirs)?.scheme == .ecdsa(.sha256))
    }

    /// RFC 4754: a peer without RFC 7427 gets the method of our curve; the curve decides the hash.
    @Test(arguments: [
        (TestKeys.ecdsa256, AuthenticationPayload.Method.ecdsa256, 64), (TestKeys.ecdsa384, .ecdsa384, 96),
        (TestKeys.ecdsa521, .ecdsa521, 132),
    ])
    func olderMethods(_ key: TestKey, _ method: AuthenticationPayload.Method, _ length: Int) throws {
        let (own, peer) = try Self.halves(key)
        for hashes in [nil, SignatureHashes(numbers: [1])] {
            let proof = try SignatureAuthentication.prove(key: own, octets: octets, peerHashes: hashes)
            #expect(proof.method == method)
            #expect(proof.value.count == length)
            #expect(try SignatureAuthentication.verify(proof, key: peer, octets: octets) == nil)
        }
        for other in [AuthenticationPayload.Method.rsaSignature, .ecdsa256, .ecdsa384, .ecdsa521] where other != method
        {
            let proof = AuthenticationPayload(method: other, value: [UInt8](repeating: 1, count: length))
            #expect(throws: SignatureFailure.self) {
                try SignatureAuthentication.verify(proof, key: peer, octets: octets, allowLegacy: true)
            }
        }
    }

    @Test func rsaWithSHA1IsLegacy() throws {
        let (own, peer) = try Self.halves(TestKeys.rsa2048)
        #expect(throws: SignatureFailure.self) {
            try SignatureAuthentication.prove(key: own, octets: octets, peerHashes: nil)
        }
        let proof = try SignatureAuthentication.prove(key: own, octets: octets, peerHashes: nil, allowLegacy: true)
        #expect(proof.method == .rsaSignature)
        #expect(throws: SignatureFailure.self) {
            try SignatureAuthentication.verify(proof, key: peer, octets: octets)
        }
        #expect(try SignatureAuthentication.verify(proof, key: peer, octets: octets, allowLegacy: true) == nil)
        // By method 14 SHA-1 is never taken: it was not offered.
        let algorithm = try #require(SignatureAlgorithm(.rsaPKCS1(.sha1)))
        let signature = try own.signature(over: octets, algorithm.scheme)
        let modern = AuthenticationPayload(method: .digitalSignature, value: algorithm.authenticationData(signature))
        #expect(throws: SignatureFailure.self) {
            try SignatureAuthentication.verify(modern, key: peer, octets: octets, allowLegacy: true)
        }
    }

    @Test func ed25519NeedsAPeerThatKnowsIt() throws {
        let (own, _) = try Self.halves(TestKeys.ed25519)
        for hashes in [nil, SignatureHashes(numbers: [2, 3, 4])] {
            #expect(throws: SignatureFailure.self) {
                try SignatureAuthentication.prove(key: own, octets: octets, peerHashes: hashes, allowLegacy: true)
            }
        }
    }

    private static func halves(_ key: TestKey) throws -> (SignaturePrivateKey, SignaturePublicKey) {
        (
            try SignaturePrivateKey(pem: SecretBytes(key.pem.utf8)),
            try SignaturePublicKey(subjectPublicKeyInfo: hex(key.publicKey))
        )
    }
}

/// AUTH by certificates as strongSwan made it.
@Suite struct RecordedSignatureTests {
    @Test(
        .enabled(if: SharedCaptures.available, "../shared is absent"),
        arguments: [
            ("ecdsa-aes256gcm-ecp384-frag", "ec", SignatureScheme.ecdsa(.sha256)),
            ("ed25519-chacha20-x25519", "ed", .ed25519),
        ])
    func recordedProofs(_ name: String, _ kind: String, _ scheme: SignatureScheme) throws {
        let (keys, messages) = try Conversation.load(name)
        let opened = try keys.payloads(of: messages).map { ($0.message, PayloadContents($0.payloads ?? [])) }
        let secrets = keys.ikeSAs[0]
        let request = try #require(opened.first { $0.1.nonce != nil && !Self.isResponse($0.0) })
        let response = try #require(opened.first { $0.1.nonce != nil && Self.isResponse($0.0) })
        #expect(request.1.signatureHashes?.numbers == [2, 3, 4, 5])
        let authority = Self.publicKey(ofCertificate: try Self.pem("ca.crt"))
        var proofs = 0
        for (message, contents) in opened {
            guard let proof = contents.authentication else { continue }
            let answers = Self.isResponse(message)
            let identity = try #require(answers ? contents.responderID : contents.initiatorID)
            let octets = PeerAuthentication.signedOctets(
                prf: secrets.prf, message: (answers ? response : request).0.bytes,
                otherNonce: try #require((answers ? request : response).1.nonce),
                skP: SecretBytes(hex(answers ? secrets.sk_pr : secrets.sk_pi)), identity: identity)
            let certificate = try #require(contents.certificates.first)
            let key = try SignaturePublicKey(subjectPublicKeyInfo: Self.publicKey(ofCertificate: certificate))
            #expect(try SignatureAuthentication.verify(proof, key: key, octets: octets)?.scheme == scheme)
            let file = try SharedCaptures.bytes("captures/strongswan/credentials/\(answers ? "r" : "i")-\(kind).key")
            let own = try SignaturePrivateKey(pem: SecretBytes(file))
            #expect(key.belongs(to: own))
            #expect(throws: SignatureFailure.self) {
                try SignatureAuthentication.verify(proof, key: key, octets: octets.reversed())
            }
            if scheme == .ed25519 {
                // The only scheme without random numbers: ours is theirs, byte for byte.
                #expect(try SignatureAuthentication.prove(key: own, octets: octets, peerHashes: .ours) == proof)
            }
            proofs += 1
        }
        #expect(proofs == 2)
        // RFC 7296 §3.7: CERTREQ names the authority by SHA-1 of its key.
        let requested = opened.flatMap { $0.1.payloads }.compactMap { payload -> [UInt8]? in
            if case .certificateRequest(let request) = payload { request.bytes } else { nil }
        }
        #expect(requested.contains(HashAlgorithm.sha1.digest(authority)))
    }

    private static func isResponse(_ message: CapturedMessage) -> Bool { message.bytes[19] & 0x20 != 0 }

    private static func pem(_ name: String) throws -> [UInt8] {
        let text = try SharedCaptures.text("captures/strongswan/credentials/\(name)")
        let body = text.split(separator: "\n").filter { !$0.hasPrefix("-----") }.joined()
        return [UInt8](try #require(Data(base64Encoded: body)))
    }

    /// The SubjectPublicKeyInfo of a version 3 certificate (RFC 5280 §4.1).
    private static func publicKey(ofCertificate bytes: [UInt8]) -> [UInt8] {
        guard let certificate = DERReader.only(DERReader.sequence, in: bytes) else { return [] }
        var outer = DERReader(certificate.content)
        guard let signed = outer.next(DERReader.sequence) else { return [] }
        var fields = DERReader(signed.content)
        // Version, serial number, algorithm, issuer, validity, subject.
        for _ in 0..<6 { _ = fields.next() }
        return fields.next(DERReader.sequence).map { Array($0.whole) } ?? []
    }
}
