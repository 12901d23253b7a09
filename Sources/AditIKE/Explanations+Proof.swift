// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditCrypto

// What people are told about proofs: pre-shared keys, signatures and certificates.

extension IKEEndpoint {
    /// The peer's proof does not fit; `wanted` is who it takes us for, where it said so.
    func wrongProof(
        _ failure: ProofFailure, _ payload: AuthenticationPayload, _ remoteID: Identity,
        wanting wanted: IdentificationPayload? = nil, _ configuration: ConnectionConfiguration, _ sa: IKESA
    ) -> FailureReport {
        let known = identities(
            configuration, theirs: remoteID.description, ours: wanted?.description, sa, mismatch: false)
        switch failure {
        case .method:
            let wanted = configuration.authentication.remote.description
            return report(
                sa, .authenticationFailed, .ikeAuth, "the peer authenticates by \(payload.method), not by \(wanted)",
                "Set both sides to the same kind of authentication: psk on both, or cert_file there and ca_file here.",
                [
                    FailureReport.Comparison(
                        subject: "authentication", ours: [wanted], theirs: ["\(payload.method)"], mismatch: true)
                ])
        case .secret:
            return report(
                sa, .authenticationFailed, .ikeAuth, "\(remoteID) does not prove to know our pre-shared key",
                "The pre-shared keys differ, or one side has trailing spaces or another encoding: "
                    + "compare psk on both sides.",
                known)
        case .certificate(let failure):
            return report(
                sa, failure.code, .ikeAuth, failure.message, failure.suggestion, known + failure.comparison)
        case .signature(let failure):
            return report(sa, .authenticationFailed, .ikeAuth, failure.message, failure.suggestion, known)
        }
    }

    /// More connections fit a peer than are tried.
    func tooManyFit(_ count: Int) -> String {
        "\(count) connections fit this peer, and only the first \(ConnectionConfiguration.proofLimit) were tried: set "
            + "remote_id in each of them."
    }

    /// We have no proof that the peer could check.
    func noProof(_ failure: SignatureFailure, _ sa: IKESA) -> FailureReport {
        report(sa, .authenticationFailed, .ikeAuth, failure.message, failure.suggestion)
    }

    /// What to compare when the peer could not verify us.
    func rejectionAdvice(_ sa: IKESA) -> String {
        let configuration = sa.connection.flatMap { connections[$0]?.configuration }
        guard case .signature = configuration?.authentication.local else {
            return "The pre-shared keys differ, or the peer knows no connection with our local_id and remote_id: "
                + "compare psk, local_id and remote_id with the peer's."
        }
        return
            "The peer does not trust cert_file, or expects another identity: let it trust the authority of cert_file, "
            + "send intermediates in cert_file, and compare local_id with its remote_id."
    }
}

extension ConnectionConfiguration.Authentication.Remote: CustomStringConvertible {
    /// What people call it; never the key.
    public var description: String {
        switch self {
        case .preSharedKey: "a pre-shared key"
        case .certificate: "a certificate"
        }
    }
}
