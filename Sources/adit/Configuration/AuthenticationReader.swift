// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import AditCrypto
internal import AditIKE
internal import AditPKI

/// Reads how a connection's two sides authenticate: `cert_file` and `key_file` say that we sign, `ca_file` that the
/// peer does; a side without them has the pre-shared key.
struct AuthenticationReader {
    let reader: TableReader
    let context: ConnectionSection.Context

    /// Both sides; nil after an error.
    func read() -> ConnectionConfiguration.Authentication? {
        let weSign = reader.has("cert_file") || reader.has("key_file")
        let peerSigns = reader.has("ca_file")
        checkCombination(weSign: weSign, peerSigns: peerSigns)
        let certificates = CertificateReader(reader: reader, context: context)
        let secret = weSign && peerSigns ? nil : SecretReader(reader: reader, context: context).read()
        let credential = weSign ? certificates.credential() : nil
        let validator = peerSigns ? certificates.validator(intermediates: credential?.chain.dropFirst() ?? []) : nil
        let local: ConnectionConfiguration.Authentication.Local? =
            weSign ? credential.map { .signature($0) } : secret.map { .preSharedKey($0) }
        let remote: ConnectionConfiguration.Authentication.Remote? =
            peerSigns ? validator.map { .certificate($0) } : secret.map { .preSharedKey($0) }
        guard let local, let remote else { return nil }
        return ConnectionConfiguration.Authentication(local: local, remote: remote)
    }

    /// Notes keys that are missing beside others, and those that nothing uses.
    private func checkCombination(weSign: Bool, peerSigns: Bool) {
        let path = reader.path
        if weSign, !reader.has("cert_file") {
            reader.problems.error(path + ["cert_file"], "missing beside key_file: the certificate of that key")
        }
        if weSign, !reader.has("key_file") {
            reader.problems.error(path + ["key_file"], "missing beside cert_file: the private key of that certificate")
        }
        for (key, other, used) in [
            ("key_passphrase_file", "key_file", weSign), ("crl_file", "ca_file", peerSigns),
        ] where reader.has(key) && !used {
            reader.problems.error(path + [key], "found without \(other); allowed beside \(other)")
        }
        guard weSign, peerSigns else { return }
        for key in ["psk", "psk_file"] where reader.has(key) {
            reader.problems.error(
                path + [key],
                "found beside cert_file and ca_file, which say how both sides authenticate; "
                    + "leave it out, or leave one of them out")
        }
    }
}
