// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditCrypto
internal import AditWire

/// One side's proof in IKE_AUTH (RFC 7296 §2.15): what it covers, and how it is made or checked.
struct Proof {
    let prf: PseudoRandomFunction
    /// The first message of the side that proves, as it was sent.
    let message: [UInt8]
    /// The nonce of the other side.
    let otherNonce: [UInt8]
    /// SK_pi or SK_pr of the side that proves.
    let skP: SecretBytes

    /// Proves that we are `identity`: our certificates, where we have any, and AUTH.
    ///
    /// `peerHashes` and `peerAlgorithm`:
    /// ``SignatureAuthentication/prove(key:octets:peerHashes:peerAlgorithm:allowLegacy:)``.
    func prove(
        _ configuration: ConnectionConfiguration, as identity: Identity, peerHashes: SignatureHashes?,
        peerAlgorithm: SignatureAlgorithm? = nil
    ) throws(SignatureFailure) -> (certificates: [Payload], authentication: Payload) {
        let octets = octets(identity.payload)
        switch configuration.authentication.local {
        case .preSharedKey(let key):
            return ([], .authentication(PeerAuthentication.prove(prf: prf, preSharedKey: key, octets: octets)))
        case .signature(let credential):
            // RFC 7296 §3.6: the first certificate is the one whose key signs.
            let certificates = credential.chain.map { bytes in
                Payload.certificate(CertificatePayload(encoding: .x509Signature, bytes: bytes))
            }
            let proof = try SignatureAuthentication.prove(
                key: credential.key, octets: octets, peerHashes: peerHashes, peerAlgorithm: peerAlgorithm,
                allowLegacy: configuration.allowLegacy)
            return (certificates, .authentication(proof))
        }
    }

    /// Checks that the peer is who it says; returns the algorithm that it signed with, if it did by RFC 7427.
    func verify(
        _ payload: AuthenticationPayload, _ configuration: ConnectionConfiguration,
        _ identification: IdentificationPayload, _ certificates: inout PeerCertificates
    ) throws(ProofFailure) -> SignatureAlgorithm? {
        switch configuration.authentication.remote {
        case .preSharedKey(let key):
            guard payload.method == .sharedKey else { throw .method }
            let octets = octets(identification)
            guard PeerAuthentication.verify(payload, prf: prf, preSharedKey: key, octets: octets) else {
                throw .secret
            }
            return nil
        case .certificate(let validator):
            guard payload.method.isSignature else { throw .method }
            guard let identity = Identity(identification) else { throw .secret }
            let key: SignaturePublicKey
            do throws(CertificateFailure) {
                key = try certificates.key(of: identity, validator)
            } catch {
                throw .certificate(error)
            }
            do throws(SignatureFailure) {
                return try SignatureAuthentication.verify(
                    payload, key: key, octets: octets(identification), allowLegacy: configuration.allowLegacy)
            } catch {
                throw .signature(error)
            }
        }
    }

    private func octets(_ identification: IdentificationPayload) -> [UInt8] {
        PeerAuthentication.signedOctets(
            prf: prf, message: message, otherNonce: otherNonce, skP: skP, identity: identification)
    }
}

/// The certificates of one peer, and what validators said of them: each judges once, however many connections it stands
/// in.
struct PeerCertificates {
    let chain: [[UInt8]]
    let time: Int64
    private var judgements: [[UInt8]: Result<SignaturePublicKey, CertificateFailure>] = [:]

    init(_ chain: [[UInt8]], at time: Int64) {
        self.chain = chain
        self.time = time
    }

    /// The public key of `identity`, always the same one for a peer.
    mutating func key(
        of identity: Identity, _ validator: any CertificateValidator
    ) throws(CertificateFailure) -> SignaturePublicKey {
        if let known = judgements[validator.digest] { return try known.get() }
        try CertificateFailure.check(chain)
        let judgement = validator.validate(chain: chain, identity: identity, at: time)
        judgements[validator.digest] = judgement
        return try judgement.get()
    }
}

/// Why a peer's proof is none.
enum ProofFailure: Error {
    /// It authenticates in another way than the connection wants.
    case method
    /// The pre-shared keys differ.
    case secret
    /// Its certificate does not say that it is who it says.
    case certificate(CertificateFailure)
    /// Its signature does not fit its certificate.
    case signature(SignatureFailure)
}

extension CertificateFailure {
    /// Whether a peer sent certificates at all, and not more than the limits allow.
    fileprivate static func check(_ certificates: [[UInt8]]) throws(CertificateFailure) {
        guard !certificates.isEmpty else {
            throw CertificateFailure(
                .certificateUntrusted, .presence, subject: "", message: "the peer sent no certificate",
                suggestion: "Let the peer send its certificate (strongSwan: send_cert = always).")
        }
        guard certificates.count <= CertificateLimits.count,
            certificates.allSatisfy({ $0.count <= CertificateLimits.length })
        else {
            throw CertificateFailure(
                .certificateUntrusted, .limits, subject: "",
                message: "the peer sent more than \(CertificateLimits.count) certificates, or one of more than "
                    + "\(CertificateLimits.length) bytes",
                suggestion: "Let the peer send only its own certificate and the intermediates that lead to ca_file.")
        }
    }
}

extension AuthenticationPayload.Method {
    /// Whether it is a signature with a public key.
    var isSignature: Bool { [.rsaSignature, .ecdsa256, .ecdsa384, .ecdsa521, .digitalSignature].contains(self) }
}

extension Identity {
    /// Whether it stands for several identities, so that it cannot be sent.
    var isPattern: Bool {
        switch self {
        case .fqdn(let name): name.hasPrefix("*.")
        case .email(let name): name.hasPrefix("*@")
        default: false
        }
    }
}
