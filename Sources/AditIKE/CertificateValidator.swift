// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditCrypto

/// Decides whether certificates prove that a public key belongs to an identity (RFC 5280 §6, RFC 4945 §3.1).
///
/// The machine calls it synchronously: it must not wait for anything. It says no more than that the key is the
/// identity's; the signature with that key is checked by the machine.
public protocol CertificateValidator: Sendable {
    /// Two validators with the same digest decide alike, so that a reload may keep what depends on them.
    var digest: [UInt8] { get }

    /// SHA-1 of each trust anchor's SubjectPublicKeyInfo, for CERTREQ (RFC 7296 §3.7).
    var authorities: [[UInt8]] { get }

    /// The public key of the first certificate of `chain` when a path leads from it to a trust anchor and it is
    /// `identity`'s.
    ///
    /// `chain` are DER certificates as the peer sent them, its own first, at most ``CertificateLimits/count``; `time`
    /// is in seconds since 1970, UTC.
    func validate(
        chain: [[UInt8]], identity: Identity, at time: Int64
    ) -> Result<SignaturePublicKey, CertificateFailure>
}

/// Which check failed on which certificate, and what would cure it.
public struct CertificateFailure: Error, Equatable, Sendable {
    /// ``FailureReport/Code/certificateExpired``, ``FailureReport/Code/certificateUntrusted`` or
    /// ``FailureReport/Code/invalidIdentity``.
    public var code: FailureReport.Code
    /// The check.
    public var check: Check
    /// The certificate's subject as text; empty where there is no certificate.
    public var subject: String
    /// One sentence for a person; names the certificate.
    public var message: String
    /// One sentence that says what to change, naming configuration keys.
    public var suggestion: String
    /// What is there against what is wanted.
    public var comparison: [FailureReport.Comparison]

    /// The checks, in stable words.
    public enum Check: String, Sendable, CaseIterable {
        case presence, encoding, limits, validity, signature, trustAnchor = "trust_anchor"
        case basicConstraints = "basic_constraints", nameConstraints = "name_constraints"
        case keyUsage = "key_usage", extendedKeyUsage = "extended_key_usage", criticalExtension = "critical_extension"
        case publicKey = "public_key", identity, revocation
    }

    /// A failure.
    public init(
        _ code: FailureReport.Code, _ check: Check, subject: String, message: String, suggestion: String,
        comparison: [FailureReport.Comparison] = []
    ) {
        self.code = code
        self.check = check
        self.subject = subject
        self.message = message
        self.suggestion = suggestion
        self.comparison = comparison
    }
}

/// The named limits of what a peer may send.
public enum CertificateLimits {
    /// Certificates of one peer.
    public static let count = 8
    /// Bytes of one certificate.
    public static let length = 16_384
    /// Bytes of all our certificates: beside them a message has room for the most selectors and proposals.
    public static let ownLength = 32_768
    /// Authorities named in one CERTREQ: IKE_SA_INIT is never fragmented, and answers should stay small.
    public static let authorities = 16
}

/// Where the machine learns the time of day: certificates are valid between dates.
public struct WallClock: Sendable {
    private let read: @Sendable () -> Int64

    /// `read` returns seconds since 1970, UTC.
    public init(_ read: @escaping @Sendable () -> Int64) { self.read = read }

    /// Seconds since 1970, UTC.
    public var seconds: Int64 { read() }
}
