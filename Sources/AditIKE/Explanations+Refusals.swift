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

    /// Another gateway with the peer's identity is connected, and the first one is kept.
    func duplicatePeer(_ identity: Identity, _ holder: Endpoint, _ sa: IKESA) -> FailureReport {
        report(
            sa, .duplicatePeer, .ikeAuth,
            "\(identity) is already connected from \(holder); unique = \"keep\" refuses a second one",
            "Give each peer an identity of its own, or set unique = \"replace\" or unique = \"never\".")
    }
}
