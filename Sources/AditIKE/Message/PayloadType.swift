// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

/// A payload type, the value of a Next Payload field (RFC 7296 §3.2, IANA).
public struct PayloadType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// IANA's number.
    public let rawValue: UInt8
    /// Wraps a number, also one that we do not know.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// No next payload.
    public static let none = PayloadType(rawValue: 0)
    /// SA.
    public static let securityAssociation = PayloadType(rawValue: 33)
    /// KE.
    public static let keyExchange = PayloadType(rawValue: 34)
    /// IDi.
    public static let identificationInitiator = PayloadType(rawValue: 35)
    /// IDr.
    public static let identificationResponder = PayloadType(rawValue: 36)
    /// CERT.
    public static let certificate = PayloadType(rawValue: 37)
    /// CERTREQ.
    public static let certificateRequest = PayloadType(rawValue: 38)
    /// AUTH.
    public static let authentication = PayloadType(rawValue: 39)
    /// Ni, Nr.
    public static let nonce = PayloadType(rawValue: 40)
    /// N.
    public static let notify = PayloadType(rawValue: 41)
    /// D.
    public static let delete = PayloadType(rawValue: 42)
    /// V.
    public static let vendorID = PayloadType(rawValue: 43)
    /// TSi.
    public static let trafficSelectorsInitiator = PayloadType(rawValue: 44)
    /// TSr.
    public static let trafficSelectorsResponder = PayloadType(rawValue: 45)
    /// SK.
    public static let encrypted = PayloadType(rawValue: 46)
    /// CP.
    public static let configuration = PayloadType(rawValue: 47)
    /// EAP.
    public static let eap = PayloadType(rawValue: 48)
    /// SKF (RFC 7383 §2.5).
    public static let encryptedFragment = PayloadType(rawValue: 53)

    /// The RFC's notation, or the number.
    public var description: String { Self.names[rawValue] ?? "payload \(rawValue)" }

    private static let names: [UInt8: String] = [
        0: "none", 33: "SA", 34: "KE", 35: "IDi", 36: "IDr", 37: "CERT", 38: "CERTREQ", 39: "AUTH", 40: "Nonce",
        41: "N", 42: "D", 43: "V", 44: "TSi", 45: "TSr", 46: "SK", 47: "CP", 48: "EAP", 53: "SKF",
    ]
}
