// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Testing

@testable import AditIKE

/// AUTH by a pre-shared key (RFC 7296 §2.15) as strongSwan computed it.
@Suite struct PeerAuthenticationTests {
    private static let secret = SecretBytes(Array("correct horse battery staple".utf8))

    /// Conversations whose both AUTH payloads are MACs by the secret of all recordings.
    static let conversations = SharedCaptures.conversations.filter {
        !["auth-failed-psk", "ppk", "eap-mschapv2-vip", "no-proposal-chosen"].contains($0) && !$0.hasPrefix("ec")
            && !$0.hasPrefix("ed")
    }

    @Test(.enabled(if: SharedCaptures.available, "../shared is absent"), arguments: Self.conversations)
    func recordedProofs(_ name: String) throws {
        let (keys, messages) = try Conversation.load(name)
        let opened = try keys.payloads(of: messages)
        let secrets = keys.ikeSAs[0]
        let initial = try opened.filter { try IKEMessage(parsing: $0.message.bytes).header.exchange == .ikeSAInit }
        // The last IKE_SA_INIT of each side counts: cookies and INVALID_KE_PAYLOAD make earlier ones void.
        let request = try #require(initial.last { !self.isResponse($0.message) })
        let response = try #require(initial.last { self.isResponse($0.message) })
        let nonces = try [request, response].map { entry in
            let payloads = try #require(entry.payloads)
            return try #require(
                payloads.lazy.compactMap { if case .nonce(let nonce) = $0 { nonce.bytes } else { nil } }.first)
        }
        var proofs = 0
        for entry in opened {
            var identity: IdentificationPayload?
            var proof: AuthenticationPayload?
            for payload in entry.payloads ?? [] {
                switch payload {
                case .identificationInitiator(let own) where !isResponse(entry.message): identity = own
                case .identificationResponder(let own) where isResponse(entry.message): identity = own
                case .authentication(let own): proof = own
                default: break
                }
            }
            guard let identity, let proof else { continue }
            let answering = isResponse(entry.message)
            let octets = PeerAuthentication.signedOctets(
                prf: secrets.prf, message: (answering ? response : request).message.bytes,
                otherNonce: nonces[answering ? 0 : 1],
                skP: SecretBytes(hex(answering ? secrets.sk_pr : secrets.sk_pi)), identity: identity)
            #expect(PeerAuthentication.verify(proof, prf: secrets.prf, preSharedKey: Self.secret, octets: octets))
            #expect(PeerAuthentication.prove(prf: secrets.prf, preSharedKey: Self.secret, octets: octets) == proof)
            proofs += 1
        }
        #expect(proofs >= (name == "lossy-retransmit" ? 1 : 2))
    }

    private func isResponse(_ message: CapturedMessage) -> Bool { message.bytes[19] & 0x20 != 0 }

    @Test func anyDifferenceIsRefused() {
        let prf = PseudoRandomFunction.hmacSHA256
        let identity = Identity.fqdn("a.example").payload
        let key = SecretBytes(Array(repeating: 1, count: 32))
        let octets = PeerAuthentication.signedOctets(
            prf: prf, message: [1, 2, 3], otherNonce: Array(repeating: 4, count: 16), skP: key, identity: identity)
        let proof = PeerAuthentication.prove(prf: prf, preSharedKey: Self.secret, octets: octets)
        #expect(PeerAuthentication.verify(proof, prf: prf, preSharedKey: Self.secret, octets: octets))
        #expect(!PeerAuthentication.verify(proof, prf: prf, preSharedKey: SecretBytes([1]), octets: octets))
        #expect(!PeerAuthentication.verify(proof, prf: prf, preSharedKey: Self.secret, octets: octets + [0]))
        for changed in [Array(proof.value.dropLast()), proof.value + [0], [], proof.value.map { $0 ^ 1 }] {
            let forged = AuthenticationPayload(method: .sharedKey, value: changed)
            #expect(!PeerAuthentication.verify(forged, prf: prf, preSharedKey: Self.secret, octets: octets))
        }
        let other = AuthenticationPayload(method: .rsaSignature, value: proof.value)
        #expect(!PeerAuthentication.verify(other, prf: prf, preSharedKey: Self.secret, octets: octets))
    }
}
