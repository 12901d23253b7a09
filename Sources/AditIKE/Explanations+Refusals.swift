// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// What people are told when a peer was refused because of how things stand here, not because of what it sent.

extension IKEEndpoint {
    /// The connection that the peer means was taken down.
    func takenDown(_ name: String, _ stage: FailureReport.Stage, _ remote: Endpoint) -> FailureReport {
        FailureReport(
            connection: name, code: .connectionDown, stage: stage,
            message: "\(remote.address) asked for the connection, which was taken down here",
            suggestion: "Let it come up again with: adit up \(name)", remote: remote.description)
    }

    /// An authentication was not repeated in time.
    func notReauthenticated(_ sa: IKESA) -> FailureReport {
        let message =
            sa.session?.origin.isOurs == true
            ? "authenticating anew did not succeed within reauth_time" : "the peer has not authenticated anew in time"
        return report(
            sa, .authenticationFailed, .ikeAuth, message,
            "See why with adit explain at the initiator, or set reauth_time = \"0s\" on both sides.")
    }

    /// The peer cannot begin an IKE SA without a child, and nothing else is wanted.
    func notChildless(_ sa: IKESA) -> FailureReport {
        report(
            sa, .childlessRequired, .ikeSAInit,
            "the peer does not take an IKE SA without a child (RFC 6023), which childless = \"force\" wants",
            "Set childless = \"prefer\", or let the peer allow it.")
    }

    /// The peer's IKE_AUTH has a child and must not, or has none and must.
    func unwantedShape(_ contents: PayloadContents, _ sa: IKESA) -> FailureReport {
        guard contents.isChildless else {
            return report(
                sa, .childlessRequired, .ikeAuth,
                "the peer began the IKE SA with a child, which childless = \"force\" does not take",
                "Set childless = \"allow\", or let the peer begin without a child (strongSwan: childless = prefer).")
        }
        return report(
            sa, .invalidSyntax, .ikeAuth,
            "the peer began the IKE SA without a child, which childless = \"never\" does not take",
            "Set childless = \"allow\", or let the peer begin with a child.")
    }

    /// Another gateway with the peer's identity is connected, and the first one is kept.
    func duplicatePeer(_ identity: Identity, _ holder: Endpoint, _ sa: IKESA) -> FailureReport {
        report(
            sa, .duplicatePeer, .ikeAuth,
            "\(identity) is already connected from \(holder); unique = \"keep\" refuses a second one",
            "Give each peer an identity of its own, or set unique = \"replace\" or unique = \"never\".")
    }
}
