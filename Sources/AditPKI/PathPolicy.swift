// SPDX-License-Identifier: Apache-2.0
// Adit: AditPKI

internal import AditIKE
internal import FoundationEssentials
internal import SwiftASN1
internal import Synchronization
@_spi(FixedExpiryValidationTime) internal import X509

/// The checks of one candidate path, in order; the failure that got furthest is kept for the report.
///
/// swift-certificates builds paths and checks signatures, basic and name constraints; it leaves key usage alone, so
/// that is here, with what RFC 4945 asks of certificates for IKE.
struct PathPolicy: VerifierPolicy {
    let identity: Identity
    let time: Int64
    let revocation: [RevocationList]
    let failures: FailureCollector

    let verifyingCriticalExtensions: [ASN1ObjectIdentifier] = Self.handledExtensions

    /// Critical extensions that are acted upon here or by swift-certificates.
    static let handledExtensions: [ASN1ObjectIdentifier] = [
        .X509ExtensionID.basicConstraints, .X509ExtensionID.nameConstraints, .X509ExtensionID.keyUsage,
        .X509ExtensionID.subjectAlternativeName, .X509ExtensionID.extendedKeyUsage,
    ]

    func chainMeetsPolicyRequirements(chain: UnverifiedCertificateChain) -> PolicyEvaluationResult {
        let path = Array(chain)
        let checks: [() -> CertificateFailure?] = [
            { validity(path) }, { issuers(path) }, { rules(chain, path) }, { keyUsage(path[0]) },
            { extendedKeyUsage(path[0]) }, { revocation(path) }, { identity(path[0]) },
        ]
        for (progress, check) in checks.enumerated() {
            guard let failure = check() else { continue }
            failures.note(failure, progress: progress)
            return .failsToMeetPolicy(reason: failure.message)
        }
        return .meetsPolicy
    }

    /// RFC 5280 §6.1.3 (a)(2).
    private func validity(_ path: [Certificate]) -> CertificateFailure? {
        for (index, certificate) in path.enumerated() {
            let validity = certificate.validity
            guard !validity.contains(time) || certificate.notValidAfter < certificate.notValidBefore else { continue }
            let isEarly = time < validity.lowerBound
            let moment = CertificateSummary.text(of: isEarly ? validity.lowerBound : validity.upperBound)
            let subject = certificate.subject.text
            let isAnchor = index == path.count - 1
            return CertificateFailure(
                .certificateExpired, .validity, subject: subject,
                message: "the certificate \(subject) \(isEarly ? "is not valid before" : "expired on") \(moment)",
                suggestion: isEarly
                    ? "Set the clocks right on both sides, or issue the certificate anew."
                    : isAnchor
                        ? "Put the authority's current certificate into ca_file."
                        : "Renew it: a new certificate goes into the peer's cert_file.",
                comparison: [
                    FailureReport.Comparison(
                        subject: "validity", ours: ["now \(CertificateSummary.text(of: time))"],
                        theirs: [
                            "\(CertificateSummary.text(of: validity.lowerBound)) to "
                                + "\(CertificateSummary.text(of: validity.upperBound))"
                        ], mismatch: true)
                ])
        }
        return nil
    }

    /// RFC 5280 §6.1.4 (k) and (n): who may issue.
    private func issuers(_ path: [Certificate]) -> CertificateFailure? {
        for (index, certificate) in path.enumerated().dropFirst() {
            let subject = certificate.subject.text
            // A trust anchor is trusted as it is; one of version 1 in between says nothing about what it may do.
            if index < path.count - 1, certificate.version != .v3 {
                return CertificateFailure(
                    .certificateUntrusted, .basicConstraints, subject: subject,
                    message: "the intermediate certificate \(subject) is not of version 3",
                    suggestion: "Issue it anew with basicConstraints = CA:TRUE.")
            }
            guard let usage = try? certificate.extensions.keyUsage, !usage.keyCertSign else { continue }
            return CertificateFailure(
                .certificateUntrusted, .keyUsage, subject: subject,
                message: "the certificate \(subject) issued another, but its key usage lacks keyCertSign",
                suggestion: "Issue it anew with keyUsage = keyCertSign, cRLSign.")
        }
        return nil
    }

    /// RFC 5280 by swift-certificates: versions, basic constraints, path lengths, name constraints.
    private func rules(_ chain: UnverifiedCertificateChain, _ path: [Certificate]) -> CertificateFailure? {
        let policy = RFC5280Policy(fixedExpiryValidationTime: Date(timeIntervalSince1970: Double(time)))
        guard case .failsToMeetPolicy = policy.chainMeetsPolicyRequirements(chain: chain) else { return nil }
        // The library's own words contain whole certificates; which rule it was is found out again here.
        let depth = path.count - 2
        for (index, certificate) in path.enumerated().dropFirst() {
            let subject = certificate.subject.text
            switch try? certificate.extensions.basicConstraints {
            case .isCertificateAuthority(maxPathLength: let limit):
                guard let limit, index - 1 > limit else { continue }
                return CertificateFailure(
                    .certificateUntrusted, .basicConstraints, subject: subject,
                    message:
                        "the authority \(subject) allows \(limit) intermediates below it, the path has \(index - 1)",
                    suggestion: "Issue the peer's certificate higher up, or the authority's with a longer pathlen.")
            case .notCertificateAuthority, nil:
                guard certificate.version == .v3 else { continue }
                return CertificateFailure(
                    .certificateUntrusted, .basicConstraints, subject: subject,
                    message:
                        "the certificate \(subject) issued another, but is no authority (basicConstraints CA:TRUE)",
                    suggestion: index > depth
                        ? "Put the certificate of an authority into ca_file."
                        : "Let an authority of ca_file issue the peer's certificate.")
            }
        }
        let subject = path[0].subject.text
        if path.count == 1 {
            return CertificateFailure(
                .certificateUntrusted, .basicConstraints, subject: subject,
                message:
                    "the certificate \(subject) is in ca_file itself, but is no authority (basicConstraints CA:TRUE)",
                suggestion: "Put the certificate of the authority that issued it into ca_file.")
        }
        return CertificateFailure(
            .certificateUntrusted, .nameConstraints, subject: subject,
            message: "a name in the certificate \(subject) is outside the name constraints of an authority above it",
            suggestion: "Issue the certificate with names that its authorities may certify.",
            comparison: [
                FailureReport.Comparison(
                    subject: "names", ours: [], theirs: path[0].alternativeNames.compactMap(\.text), mismatch: true)
            ])
    }

    /// RFC 4945 §5.1.3.2: digitalSignature or nonRepudiation, where there is a key usage at all.
    private func keyUsage(_ leaf: Certificate) -> CertificateFailure? {
        let usage: KeyUsage?
        do {
            usage = try leaf.extensions.keyUsage
        } catch {
            usage = KeyUsage()
        }
        guard let usage, !usage.digitalSignature, !usage.nonRepudiation else { return nil }
        return CertificateFailure(
            .certificateUntrusted, .keyUsage, subject: leaf.subject.text,
            message: "the key usage of the certificate \(leaf.subject.text) allows no signatures",
            suggestion: "Issue it anew with keyUsage = digitalSignature.",
            comparison: [
                FailureReport.Comparison(
                    subject: "key usage", ours: ["digitalSignature"], theirs: ["\(usage)"], mismatch: true)
            ])
    }

    /// RFC 4945 §5.1.3.12, permissively: what is meant for IKE, or for TLS, or for anything.
    private func extendedKeyUsage(_ leaf: Certificate) -> CertificateFailure? {
        let usages: [ExtendedKeyUsage.Usage]
        do {
            guard let usage = try leaf.extensions.extendedKeyUsage else { return nil }
            usages = Array(usage)
        } catch {
            usages = []
        }
        guard !usages.contains(where: Self.usagesForIKE.contains) else { return nil }
        return CertificateFailure(
            .certificateUntrusted, .extendedKeyUsage, subject: leaf.subject.text,
            message: "the extended key usage of the certificate \(leaf.subject.text) is for other things than IKE",
            suggestion: "Issue it anew without extendedKeyUsage, or with ipsecIKE or serverAuth.",
            comparison: [
                FailureReport.Comparison(
                    subject: "extended key usage", ours: ["ipsecIKE", "serverAuth", "clientAuth", "any"],
                    theirs: usages.map { "\($0)" }, mismatch: true)
            ])
    }

    private func revocation(_ path: [Certificate]) -> CertificateFailure? {
        for (index, certificate) in path.enumerated().dropLast() {
            for list in revocation {
                if let failure = list.failure(of: certificate, issuedBy: path[index + 1], at: time) { return failure }
            }
        }
        return nil
    }

    /// RFC 4945 §3.1.
    private func identity(_ leaf: Certificate) -> CertificateFailure? {
        guard !leaf.names(identity) else { return nil }
        let subject = leaf.subject.text
        let names = [subject] + leaf.alternativeNames.compactMap(\.text)
        return CertificateFailure(
            .invalidIdentity, .identity, subject: subject,
            message:
                "the peer says that it is \(identity), but its certificate is for \(names.joined(separator: ", "))",
            suggestion: "Set the peer's local_id to a name in its certificate, or issue the certificate with "
                + "\(Self.extensionText(for: identity)); remote_id here must be the same name.",
            comparison: [
                FailureReport.Comparison(
                    subject: "certificate", ours: [identity.description], theirs: names, mismatch: true)
            ])
    }

    private static func extensionText(for identity: Identity) -> String {
        switch identity {
        case .address(let address): "subjectAltName = IP:\(address)"
        case .fqdn(let name): "subjectAltName = DNS:\(name)"
        case .email(let name): "subjectAltName = email:\(name)"
        case .distinguishedName: "the subject \(identity)"
        case .keyID: "a name: a key id stands in no certificate"
        }
    }

    private static let usagesForIKE: Set<ExtendedKeyUsage.Usage> = {
        // RFC 4945 §5.1.3.12: id-kp-ipsecIKE, iKEIntermediate, and the three that RFC 2459 had for IPsec.
        let oids: [ASN1ObjectIdentifier] = [
            [1, 3, 6, 1, 5, 5, 7, 3, 17], [1, 3, 6, 1, 5, 5, 8, 2, 2], [1, 3, 6, 1, 5, 5, 7, 3, 5],
            [1, 3, 6, 1, 5, 5, 7, 3, 6], [1, 3, 6, 1, 5, 5, 7, 3, 7],
        ]
        return Set([.any, .serverAuth, .clientAuth] + oids.map { ExtendedKeyUsage.Usage(oid: $0) })
    }()
}

/// Keeps the failure of the candidate path that passed the most checks.
final class FailureCollector: Sendable {
    private let best = Mutex<(failure: CertificateFailure, progress: Int)?>(nil)

    var failure: CertificateFailure? { best.withLock { $0?.failure } }

    func note(_ failure: CertificateFailure, progress: Int) {
        best.withLock { if progress > ($0?.progress ?? -1) { $0 = (failure, progress) } }
    }
}
