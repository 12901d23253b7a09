// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Adit
internal import AditCrypto
internal import AditIKE
internal import AditPKI

/// Reads the files that a connection's certificates are in.
struct CertificateReader {
    let reader: TableReader
    let context: ConnectionSection.Context

    /// Our certificates and our key; nil after an error.
    func credential() -> SigningCredential? {
        let key = privateKey()
        guard let (chain, path) = certificates("cert_file"), let own = CertificateSummary(der: chain[0]) else {
            return nil
        }
        let publicKey: SignaturePublicKey
        do throws(CryptoError) {
            publicKey = try own.publicKey()
        } catch {
            refuse("cert_file", path, "the certificate \(own.subject) with \(Self.text(of: error))", Self.keyKinds)
            return nil
        }
        guard let key else { return nil }
        guard publicKey.belongs(to: key) else {
            refuse(
                "key_file", nil,
                "a key (\(key.kind)) that does not belong to \(own.subject) (\(publicKey.kind)), "
                    + "the first certificate of cert_file", "the key of that certificate")
            return nil
        }
        warnOfIdentity(own)
        return SigningCredential(chain: chain, subject: own.subjectName, key: key)
    }

    /// What the peer's certificate is judged by; nil after an error.
    func validator(intermediates: some Sequence<[UInt8]>) -> PathValidator? {
        let lists = revocationLists()
        guard let (authorities, path) = certificates("ca_file"), let lists else { return nil }
        do throws(PathValidator.Failure) {
            return try PathValidator(
                authorities: authorities, intermediates: Array(intermediates), revocationLists: lists)
        } catch {
            switch error.role {
            case .revocationLists:
                refuse(
                    "crl_file", nil, "\(error.found) at place \(error.item)",
                    "complete revocation lists (PEM) signed with SHA-256 or better")
            case .authorities, .intermediates:
                refuse("ca_file", path, "\(error.found) at place \(error.item)", "X.509 certificates (PEM)")
            }
            return nil
        }
    }

    /// The certificates of a file, every one readable, with warnings about those that are not valid now.
    private func certificates(_ key: String) -> (certificates: [[UInt8]], path: String)? {
        guard let (file, path) = open(key, limit: Self.certificateLimit) else { return nil }
        let certificates: [[UInt8]]
        do throws(PEMFile.Failure) {
            certificates = try PEMFile.certificates(file.bytes)
        } catch {
            refuse(key, path, error.found, "certificates (PEM)")
            return nil
        }
        if key == "cert_file", !areSendable(certificates, path) { return nil }
        let now = WallClock.system.seconds
        for (index, certificate) in certificates.enumerated() {
            guard let summary = CertificateSummary(der: certificate) else {
                refuse(
                    key, path, "a certificate that cannot be read at place \(index + 1)",
                    "X.509 certificates (PEM) with \(Self.keyKinds)")
                return nil
            }
            guard !summary.validity.contains(now) else { continue }
            let (word, moment) =
                now < summary.validity.lowerBound
                ? ("is not valid before", summary.validity.lowerBound) : ("expired on", summary.validity.upperBound)
            reader.problems.warning(
                reader.path + [key], "the certificate \(summary.subject) \(word) \(CertificateSummary.text(of: moment))"
            )
        }
        return (certificates, path)
    }

    /// Whether peers take so many certificates of such a length, and a message has room for them.
    private func areSendable(_ certificates: [[UInt8]], _ path: String) -> Bool {
        if certificates.count > CertificateLimits.count {
            refuse("cert_file", path, "\(certificates.count) certificates", "1 to \(CertificateLimits.count)")
            return false
        }
        if let index = certificates.firstIndex(where: { $0.count > CertificateLimits.length }) {
            refuse(
                "cert_file", path, "a certificate of \(certificates[index].count) bytes at place \(index + 1)",
                "at most \(CertificateLimits.length) bytes")
            return false
        }
        let length = certificates.reduce(0) { $0 + $1.count }
        guard length > CertificateLimits.ownLength else { return true }
        refuse(
            "cert_file", path, "certificates of \(length) bytes together",
            "at most \(CertificateLimits.ownLength) bytes: our own certificate and its intermediates")
        return false
    }

    private func privateKey() -> SignaturePrivateKey? {
        let passphrase = passphrase()
        guard let (pem, path) = openSecret("key_file", limit: Self.keyLimit) else { return nil }
        if reader.has("key_passphrase_file"), passphrase == nil { return nil }
        do throws(CryptoError) {
            return try SignaturePrivateKey(pem: pem, passphrase: passphrase)
        } catch .verificationFailed where passphrase == nil {
            refuse(
                "key_file", path, "an encrypted key",
                "the same with key_passphrase_file, or a key that is not encrypted")
        } catch .verificationFailed {
            refuse("key_passphrase_file", nil, "a passphrase that does not open key_file", "its passphrase")
        } catch .malformedInput {
            refuse("key_file", path, "no private key that can be read", "a private key (PEM)")
        } catch {
            refuse("key_file", path, Self.text(of: error), Self.keyKinds)
        }
        return nil
    }

    private func passphrase() -> SecretBytes? {
        guard let (content, path) = openSecret("key_passphrase_file", limit: Self.passphraseLimit) else { return nil }
        let length = unsafe content.withUnsafeBytes { bytes in
            unsafe bytes.firstIndex { $0 == 0x0a || $0 == 0x0d } ?? bytes.count
        }
        guard length > 0 else {
            refuse("key_passphrase_file", path, "an empty first line", "the passphrase of key_file")
            return nil
        }
        return content.slice(0..<length)
    }

    /// The lists of `crl_file`; empty without one, nil after an error.
    private func revocationLists() -> [[UInt8]]? {
        guard reader.has("crl_file") else { return [] }
        guard let (file, path) = open("crl_file", limit: Self.certificateLimit) else { return nil }
        do throws(PEMFile.Failure) {
            return try PEMFile.revocationLists(file.bytes)
        } catch {
            refuse("crl_file", path, error.found, "revocation lists (PEM)")
            return nil
        }
    }

    private func openSecret(_ key: String, limit: Int) -> (secret: SecretBytes, path: String)? {
        reader.secretFile(key, in: context.directory, limit: limit)
    }

    /// A file that a key names; nil without the key, or after an error.
    private func open(_ key: String, limit: Int) -> (file: BoundedFile, path: String)? {
        guard let name = reader.string(key) else { return nil }
        let path = name.hasPrefix("/") ? name : context.directory + name
        switch BoundedFile.read(path, limit: limit) {
        case .failure(let failure):
            reader.problems.error(reader.path + [key], "found \(quoted(path)): \(failure.reason); \(failure.remedy)")
            return nil
        case .success(let file): return (file, path)
        }
    }

    /// A peer refuses an identity that our certificate does not name (RFC 4945 §3.1).
    private func warnOfIdentity(_ own: CertificateSummary) {
        guard let text = reader.string("local_id"), let identity = Identity(text), !own.names(identity) else { return }
        let names = ([own.subject] + own.alternativeNames).joined(separator: ", ")
        reader.problems.warning(
            reader.path + ["local_id"],
            "\(quoted(text)) is not in the certificate of cert_file, so the peer will refuse it; "
                + "the certificate is for \(names)")
    }

    private func refuse(_ key: String, _ path: String?, _ found: String, _ allowed: String) {
        let place = path.map { "\(quoted($0)) with " } ?? ""
        reader.problems.error(reader.path + [key], "found \(place)\(found); allowed is \(allowed)")
    }

    private static func text(of error: CryptoError) -> String {
        if case .unavailable(let kind) = error { "an \(kind)" } else { "a key that cannot be read" }
    }

    private static let keyKinds = "RSA of 2048 to 8192 bits, ECDSA P-256, P-384 or P-521, or Ed25519"
    private static let certificateLimit = 16 * 1024 * 1024
    private static let keyLimit = 65_536
    private static let passphraseLimit = 4096
}
