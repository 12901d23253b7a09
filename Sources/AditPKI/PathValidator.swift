// SPDX-License-Identifier: Apache-2.0
// Adit: AditPKI

public import AditCrypto
public import AditIKE
internal import SwiftASN1
internal import Synchronization
internal import X509

/// Certificates judged by swift-certificates against the authorities of a configuration (RFC 5280 §6).
///
/// Immutable; safe to share between threads and connections. A validation takes well under a millisecond for ECDSA and
/// waits for nothing: what swift-certificates declares `async` never suspends with the policies used here.
public struct PathValidator: CertificateValidator {
    /// Of everything that it was made of.
    public let digest: [UInt8]
    /// SHA-1 of each authority's SubjectPublicKeyInfo.
    public let authorities: [[UInt8]]

    private let anchors: [Certificate]
    private let intermediates: [Certificate]
    private let revocation: [RevocationList]

    /// What is wrong with a file: which item, counted from 1, and why.
    public struct Failure: Error, Equatable, Sendable {
        /// The file's role.
        public enum Role: Equatable, Sendable { case authorities, intermediates, revocationLists }
        /// The file.
        public let role: Role
        /// Which item in it, counted from 1.
        public let item: Int
        /// What the item is, for a sentence with "found".
        public let found: String
    }

    /// A validator of DER `authorities` (at least one), further `intermediates` that paths may use, and DER
    /// `revocationLists`, one at the most for an issuer.
    public init(
        authorities: [[UInt8]], intermediates: [[UInt8]] = [], revocationLists: [[UInt8]] = []
    ) throws(Failure) {
        anchors = try Self.certificates(authorities, .authorities)
        self.intermediates = try Self.certificates(intermediates, .intermediates)
        var lists: [RevocationList] = []
        for (index, bytes) in revocationLists.enumerated() {
            guard let list = RevocationList(der: bytes) else {
                throw Failure(
                    role: .revocationLists, item: index + 1,
                    found: "no complete revocation list that is signed with SHA-256 or better")
            }
            lists.append(list)
        }
        revocation = lists
        self.authorities = anchors.map { HashAlgorithm.sha1.digest($0.subjectPublicKeyInfo) }
        let parts = [authorities, intermediates, revocationLists].map { items in
            HashAlgorithm.sha256.digest(items.flatMap { HashAlgorithm.sha256.digest($0) })
        }
        digest = HashAlgorithm.sha256.digest(parts.flatMap { $0 })
    }

    /// ``CertificateValidator/validate(chain:identity:at:)`` by RFC 5280 and RFC 4945.
    public func validate(
        chain: [[UInt8]], identity: Identity, at time: Int64
    ) -> Result<SignaturePublicKey, CertificateFailure> {
        guard let first = chain.first, let leaf = try? Certificate(derEncoded: first) else {
            return .failure(
                CertificateFailure(
                    .certificateUntrusted, .encoding, subject: "",
                    message: "the peer's certificate cannot be read, or is of a kind of key that is not supported",
                    suggestion: "Use an X.509 certificate with an RSA, ECDSA P-256, P-384, P-521 or Ed25519 key."))
        }
        let sent = chain.dropFirst().prefix(CertificateLimits.count).compactMap { try? Certificate(derEncoded: $0) }
            .filter { $0.subjectPublicKeyInfo.count <= Self.keyLimit }
        let usable = distinct(sent + intermediates)
        if let failure = unhandledExtension(leaf) { return .failure(failure) }
        let failures = FailureCollector()
        let policy = PathPolicy(identity: identity, time: time, revocation: revocation, failures: failures)
        guard verify(leaf, usable, policy) else {
            return .failure(failures.failure ?? noPath(leaf, usable))
        }
        do throws(CryptoError) {
            return .success(try SignaturePublicKey(subjectPublicKeyInfo: leaf.subjectPublicKeyInfo))
        } catch {
            var kind = "\(leaf.publicKey)"
            if case .unavailable(let name) = error { kind = name }
            return .failure(
                CertificateFailure(
                    .certificateUntrusted, .publicKey, subject: leaf.subject.text,
                    message: "the key of the certificate \(leaf.subject.text) is not accepted: \(kind)",
                    suggestion: "Issue it for an RSA key of 2048 to 8192 bits, ECDSA P-256, P-384, P-521 or Ed25519."))
        }
    }

    private static func certificates(_ items: [[UInt8]], _ role: Failure.Role) throws(Failure) -> [Certificate] {
        var certificates: [Certificate] = []
        for (index, bytes) in items.enumerated() {
            guard let certificate = try? Certificate(derEncoded: bytes) else {
                throw Failure(
                    role: role, item: index + 1, found: "a certificate that cannot be read, or with another kind of key"
                )
            }
            certificates.append(certificate)
        }
        return certificates
    }

    /// One certificate for each name and key, those issued by an anchor first: certificates that a peer made to
    /// multiply the paths between them would otherwise cost a signature check for every permutation.
    private func distinct(_ certificates: [Certificate]) -> [Certificate] {
        let anchorNames = Set(anchors.map(\.subject))
        var seen: Set<Authority> = []
        let preferred = certificates.filter { anchorNames.contains($0.issuer) }
        let others = certificates.filter { !anchorNames.contains($0.issuer) }
        return (preferred + others).filter { seen.insert(Authority(name: $0.subject, key: $0.publicKey)).inserted }
    }

    /// Bytes of an intermediate's SubjectPublicKeyInfo at the most: RSA 8192 needs about 1060, and checks with larger
    /// keys are what a peer could keep us busy with.
    private static let keyLimit = 1100

    private struct Authority: Hashable {
        var name: X509.DistinguishedName
        var key: Certificate.PublicKey
    }

    private func verify(_ leaf: Certificate, _ intermediates: [Certificate], _ policy: PathPolicy) -> Bool {
        let anchors = anchors
        // It runs here and now, to its end: nothing in it suspends. Were that ever to change, the answer would be no.
        let verdict = Verdict()
        Task.immediate {
            var verifier = Verifier(rootCertificates: CertificateStore(anchors)) { policy }
            let result = await verifier.validate(leaf: leaf, intermediates: CertificateStore(intermediates))
            if case .validCertificate = result { verdict.isValid.withLock { $0 = true } }
        }
        return verdict.isValid.withLock { $0 }
    }

    private final class Verdict: Sendable {
        let isValid = Mutex(false)
    }

    private func unhandledExtension(_ leaf: Certificate) -> CertificateFailure? {
        let unknown = leaf.extensions.first { $0.critical && !PathPolicy.handledExtensions.contains($0.oid) }
        guard let unknown else { return nil }
        return CertificateFailure(
            .certificateUntrusted, .criticalExtension, subject: leaf.subject.text,
            message:
                "the certificate \(leaf.subject.text) has a critical extension that is not understood, \(unknown.oid)",
            suggestion: "Issue the certificate without it, or with it not critical.")
    }

    /// Where the search for a path to an anchor ended.
    private func noPath(_ leaf: Certificate, _ intermediates: [Certificate]) -> CertificateFailure {
        var tip = leaf
        var steps = 0
        while steps <= intermediates.count,
            let issuer = intermediates.first(where: {
                $0.subject == tip.issuer && $0 != tip && $0.publicKey.isValidSignature(tip.signature, for: tip)
            })
        {
            tip = issuer
            steps += 1
        }
        let subject = tip.subject.text
        let issuer = tip.issuer.text
        let comparison = [
            FailureReport.Comparison(
                subject: "authority", ours: anchors.prefix(8).map(\.subject.text), theirs: [issuer], mismatch: true)
        ]
        let isSelfSigned = tip.subject == tip.issuer && tip.publicKey.isValidSignature(tip.signature, for: tip)
        if !isSelfSigned, (anchors + intermediates).contains(where: { $0.subject == tip.issuer }) {
            return CertificateFailure(
                .certificateUntrusted, .signature, subject: subject,
                message: "the certificate \(subject) is not signed by the key of \(issuer) that is known here",
                suggestion: "Put the current certificate of \(issuer) into ca_file.", comparison: comparison)
        }
        return CertificateFailure(
            .certificateUntrusted, .trustAnchor, subject: subject,
            message: isSelfSigned
                ? "the certificate \(subject) is its own authority and not in ca_file"
                : "the certificate \(subject) was issued by \(issuer), which is not in ca_file",
            suggestion: isSelfSigned
                ? "Put it into ca_file if it is an authority that you trust."
                : "Add the certificate of \(issuer) to ca_file, "
                    + "or let the peer send the intermediates up to one that is there.",
            comparison: comparison)
    }
}
