// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

/// AUTH: the proof that a peer is who it says (RFC 7296 §3.8).
public struct AuthenticationPayload: Hashable, Sendable {
    /// How it is proved.
    public var method: Method
    /// The MAC or signature.
    public var value: [UInt8]

    /// An authentication method (RFC 7296 §3.8, IANA).
    public struct Method: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        /// IANA's number.
        public let rawValue: UInt8
        /// Wraps a number, also one that we do not know.
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// RSA Digital Signature.
        public static let rsaSignature = Method(rawValue: 1)
        /// Shared Key Message Integrity Code.
        public static let sharedKey = Method(rawValue: 2)
        /// ECDSA with SHA-256 on the P-256 curve (RFC 4754).
        public static let ecdsa256 = Method(rawValue: 9)
        /// ECDSA with SHA-384 on the P-384 curve (RFC 4754).
        public static let ecdsa384 = Method(rawValue: 10)
        /// ECDSA with SHA-512 on the P-521 curve (RFC 4754).
        public static let ecdsa521 = Method(rawValue: 11)
        /// NULL Authentication (RFC 7619).
        public static let null = Method(rawValue: 13)
        /// Digital Signature (RFC 7427).
        public static let digitalSignature = Method(rawValue: 14)

        /// What people call it, or the number.
        public var description: String {
            switch self {
            case .rsaSignature: "RSA signature"
            case .sharedKey: "pre-shared key"
            case .ecdsa256: "ECDSA P-256"
            case .ecdsa384: "ECDSA P-384"
            case .ecdsa521: "ECDSA P-521"
            case .null: "NULL authentication"
            case .digitalSignature: "digital signature"
            default: "method \(rawValue)"
            }
        }
    }

    /// A proof.
    public init(method: Method, value: [UInt8]) {
        self.method = method
        self.value = value
    }

    init(parsing reader: inout ByteReader) throws(WireError) {
        method = Method(rawValue: try reader.readUInt8())
        _ = try reader.readBytes(3)
        value = Array(reader.readRemaining())
    }

    func serialize(into writer: inout ByteWriter) {
        writer.write(method.rawValue)
        writer.write(contentsOf: [0, 0, 0])
        writer.write(contentsOf: value)
    }
}
