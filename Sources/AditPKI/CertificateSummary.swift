// SPDX-License-Identifier: Apache-2.0
// Adit: AditPKI

public import AditCrypto
public import AditIKE
internal import FoundationEssentials
internal import SwiftASN1
internal import X509

/// What a gateway's configuration has to know about a certificate of its own.
public struct CertificateSummary: Sendable {
    /// The subject as text, `C=CH, O=Example, CN=paris`.
    public let subject: String
    /// The subject's DER name.
    public let subjectName: [UInt8]
    /// The issuer as text.
    public let issuer: String
    /// From when to when it is valid, in seconds since 1970, UTC; both ends are included.
    public let validity: ClosedRange<Int64>
    /// The subjectAltNames that IKE can use as identities, as text with their kind.
    public let alternativeNames: [String]

    private let certificate: Certificate

    /// Reads a DER certificate; nil for bytes that are none.
    public init?(der: [UInt8]) {
        guard let certificate = try? Certificate(derEncoded: der) else { return nil }
        self.certificate = certificate
        subject = certificate.subject.text
        subjectName = certificate.subject.der
        issuer = certificate.issuer.text
        validity = certificate.validity
        alternativeNames = certificate.alternativeNames.compactMap(\.text)
    }

    /// The public key; throws ``CryptoError/unavailable(_:)``, naming the key, for one that cannot be used for
    /// signatures here.
    public func publicKey() throws(CryptoError) -> SignaturePublicKey {
        try SignaturePublicKey(subjectPublicKeyInfo: certificate.subjectPublicKeyInfo)
    }

    /// Whether the certificate says that it is this identity's (RFC 4945 §3.1).
    public func names(_ identity: Identity) -> Bool { certificate.names(identity) }

    /// A moment as operators read it: `2026-11-23 01:10 UTC`.
    public static func text(of time: Int64) -> String {
        let moment = Date(timeIntervalSince1970: Double(time)).formatted(.iso8601)
        return moment.prefix(16).replacing("T", with: " ") + " UTC"
    }
}
