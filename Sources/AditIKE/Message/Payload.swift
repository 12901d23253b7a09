// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

/// One payload of an IKE message (RFC 7296 §3.2).
public enum Payload: Hashable, Sendable {
    /// SA (RFC 7296 §3.3).
    case securityAssociation(SecurityAssociationPayload)
    /// KE (RFC 7296 §3.4).
    case keyExchange(KeyExchangePayload)
    /// IDi (RFC 7296 §3.5).
    case identificationInitiator(IdentificationPayload)
    /// IDr (RFC 7296 §3.5).
    case identificationResponder(IdentificationPayload)
    /// CERT (RFC 7296 §3.6).
    case certificate(CertificatePayload)
    /// CERTREQ (RFC 7296 §3.7).
    case certificateRequest(CertificatePayload)
    /// AUTH (RFC 7296 §3.8).
    case authentication(AuthenticationPayload)
    /// Ni or Nr (RFC 7296 §3.9).
    case nonce(NoncePayload)
    /// N (RFC 7296 §3.10).
    case notify(NotifyPayload)
    /// D (RFC 7296 §3.11).
    case delete(DeletePayload)
    /// A vendor's mark, opaque (RFC 7296 §3.12).
    case vendorID([UInt8])
    /// TSi (RFC 7296 §3.13).
    case trafficSelectorsInitiator(TrafficSelectorPayload)
    /// TSr (RFC 7296 §3.13).
    case trafficSelectorsResponder(TrafficSelectorPayload)
    /// CP (RFC 7296 §3.15).
    case configuration(ConfigurationPayload)
    /// An EAP message, opaque (RFC 7296 §3.16).
    case eap([UInt8])
    /// SK: always the last payload of a message; its content is ``SKOpener``'s business.
    case encrypted(EncryptedPayload)
    /// SKF: always the last payload of a message (RFC 7383 §2.5).
    case encryptedFragment(EncryptedFragmentPayload)
    /// A payload of a type that we do not know, its critical bit kept (RFC 7296 §2.5).
    case unknown(UnknownPayload)

    /// The type, as a Next Payload field names it.
    public var type: PayloadType {
        switch self {
        case .securityAssociation: .securityAssociation
        case .keyExchange: .keyExchange
        case .identificationInitiator: .identificationInitiator
        case .identificationResponder: .identificationResponder
        case .certificate: .certificate
        case .certificateRequest: .certificateRequest
        case .authentication: .authentication
        case .nonce: .nonce
        case .notify: .notify
        case .delete: .delete
        case .vendorID: .vendorID
        case .trafficSelectorsInitiator: .trafficSelectorsInitiator
        case .trafficSelectorsResponder: .trafficSelectorsResponder
        case .configuration: .configuration
        case .eap: .eap
        case .encrypted: .encrypted
        case .encryptedFragment: .encryptedFragment
        case .unknown(let payload): payload.type
        }
    }

    /// Reads the body of a payload, what follows its generic header; all of `reader` is the body.
    ///
    /// `next` is the generic header's Next Payload field, which in SK and SKF names the first payload inside.
    init(
        parsing reader: inout ByteReader, type: PayloadType, next: PayloadType, critical: Bool
    ) throws(WireError) {
        switch type {
        case .securityAssociation: self = .securityAssociation(try SecurityAssociationPayload(parsing: &reader))
        case .keyExchange: self = .keyExchange(try KeyExchangePayload(parsing: &reader))
        case .identificationInitiator: self = .identificationInitiator(try IdentificationPayload(parsing: &reader))
        case .identificationResponder: self = .identificationResponder(try IdentificationPayload(parsing: &reader))
        case .certificate: self = .certificate(try CertificatePayload(parsing: &reader))
        case .certificateRequest: self = .certificateRequest(try CertificatePayload(parsing: &reader))
        case .authentication: self = .authentication(try AuthenticationPayload(parsing: &reader))
        case .nonce: self = .nonce(try NoncePayload(parsing: &reader))
        case .notify: self = .notify(try NotifyPayload(parsing: &reader))
        case .delete: self = .delete(try DeletePayload(parsing: &reader))
        case .vendorID: self = .vendorID(Array(reader.readRemaining()))
        case .trafficSelectorsInitiator:
            self = .trafficSelectorsInitiator(try TrafficSelectorPayload(parsing: &reader))
        case .trafficSelectorsResponder:
            self = .trafficSelectorsResponder(try TrafficSelectorPayload(parsing: &reader))
        case .configuration: self = .configuration(try ConfigurationPayload(parsing: &reader))
        case .eap: self = .eap(Array(reader.readRemaining()))
        case .encrypted: self = .encrypted(EncryptedPayload(parsing: &reader, firstPayload: next))
        case .encryptedFragment:
            self = .encryptedFragment(try EncryptedFragmentPayload(parsing: &reader, firstPayload: next))
        default:
            self = .unknown(UnknownPayload(type: type, critical: critical, bytes: Array(reader.readRemaining())))
        }
        guard reader.isAtEnd else { throw .invalid("payload length") }
    }

    /// Writes the body, without the generic header.
    func serializeBody(into writer: inout ByteWriter) {
        switch self {
        case .securityAssociation(let payload): payload.serialize(into: &writer)
        case .keyExchange(let payload): payload.serialize(into: &writer)
        case .identificationInitiator(let payload): payload.serialize(into: &writer)
        case .identificationResponder(let payload): payload.serialize(into: &writer)
        case .certificate(let payload): payload.serialize(into: &writer)
        case .certificateRequest(let payload): payload.serialize(into: &writer)
        case .authentication(let payload): payload.serialize(into: &writer)
        case .nonce(let payload): payload.serialize(into: &writer)
        case .notify(let payload): payload.serialize(into: &writer)
        case .delete(let payload): payload.serialize(into: &writer)
        case .vendorID(let bytes): writer.write(contentsOf: bytes)
        case .trafficSelectorsInitiator(let payload): payload.serialize(into: &writer)
        case .trafficSelectorsResponder(let payload): payload.serialize(into: &writer)
        case .configuration(let payload): payload.serialize(into: &writer)
        case .eap(let bytes): writer.write(contentsOf: bytes)
        case .encrypted(let payload): writer.write(contentsOf: payload.bytes)
        case .encryptedFragment(let payload): payload.serialize(into: &writer)
        case .unknown(let payload): writer.write(contentsOf: payload.bytes)
        }
    }

    /// The first payload inside, for SK and SKF, whose generic header names it.
    var firstInside: PayloadType? {
        switch self {
        case .encrypted(let payload): payload.firstPayload
        case .encryptedFragment(let payload): payload.firstPayload
        default: nil
        }
    }

    /// The critical bit to send: RFC 7296 §3.2 wants it clear in every payload that the RFC defines.
    var critical: Bool {
        if case .unknown(let payload) = self { payload.critical } else { false }
    }
}

/// A payload that we do not understand (RFC 7296 §2.5).
public struct UnknownPayload: Hashable, Sendable {
    /// Its type.
    public var type: PayloadType
    /// Whether the sender wants the message refused when it is not understood.
    public var critical: Bool
    /// Its body.
    public var bytes: [UInt8]

    /// A payload of `bytes`.
    public init(type: PayloadType, critical: Bool, bytes: [UInt8]) {
        self.type = type
        self.critical = critical
        self.bytes = bytes
    }
}
