// SPDX-License-Identifier: Apache-2.0
// Adit: AditPKI

internal import SwiftASN1

/// Reads what operators keep certificates and revocation lists in: PEM (RFC 7468), one or many to a file, text around
/// them.
public enum PEMFile {
    /// Why a file cannot be used, as the end of the sentence "FILE is …" or "FILE has …".
    public struct Failure: Error, Equatable, Sendable {
        /// What was found instead.
        public let found: String
    }

    /// The DER certificates in the order of the file; at least one.
    public static func certificates(_ bytes: [UInt8]) throws(Failure) -> [[UInt8]] {
        try documents(bytes, ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"], of: "certificate")
    }

    /// The DER revocation lists in the order of the file; at least one.
    public static func revocationLists(_ bytes: [UInt8]) throws(Failure) -> [[UInt8]] {
        try documents(bytes, ["X509 CRL", "CRL"], of: "revocation list")
    }

    private static func documents(
        _ bytes: [UInt8], _ labels: Set<String>, of kind: String
    ) throws(Failure) -> [[UInt8]] {
        guard bytes.count <= sizeLimit else { throw Failure(found: "a file of \(bytes.count) bytes") }
        guard let text = String(validating: bytes, as: UTF8.self), text.contains("-----BEGIN ") else {
            throw Failure(found: "no PEM (a file with -----BEGIN lines; openssl x509 -inform der converts DER)")
        }
        guard let documents = try? PEMDocument.parseMultiple(pemString: text) else {
            throw Failure(found: "PEM with a broken block")
        }
        let wanted = documents.filter { labels.contains($0.discriminator) }
        guard !wanted.isEmpty else {
            throw Failure(found: "PEM with \(documents.first?.discriminator ?? "nothing") but no \(kind)")
        }
        guard wanted.count <= countLimit else { throw Failure(found: "PEM with \(wanted.count) blocks") }
        return wanted.map(\.derBytes)
    }

    private static let sizeLimit = 16 * 1024 * 1024
    private static let countLimit = 4096
}
