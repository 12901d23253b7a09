// SPDX-License-Identifier: Apache-2.0
// Adit: Adit

public import AditIKE

/// Something that happened in a gateway.
public enum GatewayEvent: Sendable {
    /// From the IKE machine: one per state transition.
    case ike(IKEReport)
    /// An operational message for the log: a problem of the system, not of a peer.
    case warning(String)
    /// The gateway cannot go on: its interface, or an embedder's device, is gone. Once; no packet passes any more, and
    /// ``Gateway/stop()`` takes leave of the peers.
    case failed(GatewayError)
}
