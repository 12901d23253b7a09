// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

/// The payloads of one message by kind; of a kind that may occur once, the first counts.
struct PayloadContents: Sendable {
    let payloads: [Payload]

    init(_ payloads: [Payload]) { self.payloads = payloads }

    var securityAssociation: SecurityAssociationPayload? {
        first { if case .securityAssociation(let payload) = $0 { payload } else { nil } }
    }

    var keyExchange: KeyExchangePayload? {
        first { if case .keyExchange(let payload) = $0 { payload } else { nil } }
    }

    var nonce: [UInt8]? { first { if case .nonce(let payload) = $0 { payload.bytes } else { nil } } }

    var initiatorID: IdentificationPayload? {
        first { if case .identificationInitiator(let payload) = $0 { payload } else { nil } }
    }

    var responderID: IdentificationPayload? {
        first { if case .identificationResponder(let payload) = $0 { payload } else { nil } }
    }

    var authentication: AuthenticationPayload? {
        first { if case .authentication(let payload) = $0 { payload } else { nil } }
    }

    /// The X.509 certificates, in order; what else CERT can carry is not used.
    var certificates: [[UInt8]] {
        payloads.compactMap { payload in
            guard case .certificate(let certificate) = payload, certificate.encoding == .x509Signature else {
                return nil
            }
            return certificate.bytes
        }
    }

    /// The hash functions that the peer announced; nil when it knows nothing of them (RFC 7427 §4).
    var signatureHashes: SignatureHashes? {
        notify(.signatureHashAlgorithms).map { SignatureHashes(data: $0.data) }
    }

    var initiatorSelectors: [TrafficSelector]? {
        first { if case .trafficSelectorsInitiator(let payload) = $0 { payload.selectors } else { nil } }
    }

    var responderSelectors: [TrafficSelector]? {
        first { if case .trafficSelectorsResponder(let payload) = $0 { payload.selectors } else { nil } }
    }

    /// How long the peer takes our authentication for valid (RFC 4478 §3).
    var authenticationLifetime: Duration? {
        guard let data = notify(.authLifetime)?.data, data.count == 4 else { return nil }
        return .seconds(data.reduce(0) { $0 << 8 | Int64($1) })
    }

    /// Whether nothing about a Child SA is in it: an IKE_AUTH request without a child (RFC 6023 §5).
    var isChildless: Bool {
        securityAssociation == nil && initiatorSelectors == nil && responderSelectors == nil
    }

    var notifies: [NotifyPayload] {
        payloads.compactMap { if case .notify(let payload) = $0 { payload } else { nil } }
    }

    var deletes: [DeletePayload] {
        payloads.compactMap { if case .delete(let payload) = $0 { payload } else { nil } }
    }

    /// Whether the IKE SA itself is to be deleted.
    var deletesIKESA: Bool { deletes.contains { $0.securityProtocol == .ike } }

    /// Whether an SA is to be replaced, a Child SA or the IKE SA itself.
    var rekeys: Bool {
        notify(.rekeySA) != nil || securityAssociation?.proposals.first?.proposal.securityProtocol == .ike
    }

    /// Notifications that say that something failed.
    var errors: [NotifyPayload] { notifies.filter(\.type.isError) }

    /// The first notification of a type.
    func notify(_ type: NotifyType) -> NotifyPayload? { notifies.first { $0.type == type } }

    private func first<Value>(_ choose: (Payload) -> Value?) -> Value? {
        for payload in payloads { if let value = choose(payload) { return value } }
        return nil
    }
}
