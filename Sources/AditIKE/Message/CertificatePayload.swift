// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

/// CERT or CERTREQ: an encoding and what it encodes (RFC 7296 §3.6, §3.7).
///
/// In CERTREQ the bytes are SHA-1 hashes of the public keys of trusted certification authorities.
public struct CertificatePayload: Hashable, Sendable {
    /// How the bytes are encoded.
    public var encoding: Encoding
    /// The certificate, the hashes, or what the encoding says.
    public var bytes: [UInt8]

    /// A certificate encoding (RFC 7296 §3.6).
    public struct Encoding: RawRepresentable, Hashable, Sendable {
        /// IANA's number.
        public let rawValue: UInt8
        /// Wraps a number, also one that we do not know.
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// X.509 Certificate - Signature.
        public static let x509Signature = Encoding(rawValue: 4)
        /// Certificate Revocation List.
        public static let revocationList = Encoding(rawValue: 7)
        /// Hash and URL of X.509 certificate.
        public static let hashAndURL = Encoding(rawValue: 12)
        /// OCSP Content (RFC 4806).
        public static let ocspContent = Encoding(rawValue: 14)
        /// Raw Public Key (RFC 7670).
        public static let rawPublicKey = Encoding(rawValue: 15)
    }

    /// A payload of `bytes`.
    public init(encoding: Encoding, bytes: [UInt8]) {
        self.encoding = encoding
        self.bytes = bytes
    }

    init(parsing reader: inout ByteReader) throws(WireError) {
        encoding = Encoding(rawValue: try reader.readUInt8())
        bytes = Array(reader.readRemaining())
    }

    func serialize(into writer: inout ByteWriter) {
        writer.write(encoding.rawValue)
        writer.write(contentsOf: bytes)
    }
}
