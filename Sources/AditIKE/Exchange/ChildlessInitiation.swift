// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// IKE SAs that begin without a child (RFC 6023): the first child follows in CREATE_CHILD_SA, with keys of its own.

extension NotifyPayload {
    /// CHILDLESS_IKEV2_SUPPORTED (RFC 6023 §4): it is about the IKE SA, without an SPI.
    static var childlessSupported: NotifyPayload {
        var payload = NotifyPayload(.childlessIKEv2Supported)
        payload.securityProtocol = .ike
        return payload
    }
}

extension IKEEndpoint {
    /// Whether our IKE_AUTH leaves the child out; nil when it must, and the peer does not take that.
    func beginsChildless(
        _ result: InitResult, _ configuration: ConnectionConfiguration, _ sa: IKESA
    ) -> Bool? {
        // RFC 6023 §3: never without the responder's notification.
        guard result.peerIsChildless else { return configuration.childless == .force ? nil : false }
        switch configuration.childless {
        case .prefer, .force: return true
        case .allow: return sa.wanted.isEmpty
        case .never: return false
        }
    }

    /// Whether a peer's IKE_AUTH has a child, or has none, as the connection wants it; what the peer is told if not.
    func refusalOfShape(_ contents: PayloadContents, _ configuration: ConnectionConfiguration) -> NotifyType? {
        switch configuration.childless {
        case .allow, .prefer: nil
        case .force: contents.isChildless ? nil : .invalidSyntax
        // RFC 6023 §3: as if the extension were not known.
        case .never: contents.isChildless ? .invalidSyntax : nil
        }
    }
}
