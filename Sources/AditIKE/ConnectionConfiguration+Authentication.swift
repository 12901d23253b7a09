// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditCrypto
internal import AditWire

extension ConnectionConfiguration {
    /// How the peers authenticate: each side in its own way (RFC 7296 §2.15).
    public struct Authentication: Sendable, Equatable {
        /// What we prove who we are with.
        public var local: Local
        /// What the peer must prove who it is with.
        public var remote: Remote

        /// Our side.
        public enum Local: Sendable, Equatable {
            /// A pre-shared key.
            case preSharedKey(SecretBytes)
            /// A signature with the key of a certificate.
            case signature(SigningCredential)
        }

        /// The peer's side.
        public enum Remote: Sendable, Equatable {
            /// A pre-shared key.
            case preSharedKey(SecretBytes)
            /// A signature with the key of a certificate that this validator accepts.
            case certificate(any CertificateValidator)

            /// Validators are the same when their digests are.
            public static func == (left: Remote, right: Remote) -> Bool {
                switch (left, right) {
                case (.preSharedKey(let left), .preSharedKey(let right)): left == right
                case (.certificate(let left), .certificate(let right)): left.digest == right.digest
                default: false
                }
            }
        }

        /// Each side in its own way.
        public init(local: Local, remote: Remote) {
            self.local = local
            self.remote = remote
        }

        /// The same pre-shared key on both sides.
        public static func preSharedKey(_ key: SecretBytes) -> Authentication {
            Authentication(local: .preSharedKey(key), remote: .preSharedKey(key))
        }

        /// SHA-1 of the public keys of the authorities that the peer's certificate may come from; empty without
        /// certificates.
        var authorities: [[UInt8]] {
            if case .certificate(let validator) = remote { validator.authorities } else { [] }
        }

        /// Whether either side signs, so that hash functions have to be agreed.
        var usesSignatures: Bool {
            if case .signature = local { return true }
            if case .certificate = remote { return true }
            return false
        }
    }

    /// Who we say we are when we send from `address`.
    func identity(at address: IPAddress) -> Identity {
        if let localID { return localID }
        if case .signature(let credential) = authentication.local { return .distinguishedName(credential.subject) }
        return .address(address)
    }
}

/// Our own certificate, those that lead to an authority, and the private key.
public struct SigningCredential: Sendable, Equatable {
    /// DER certificates, our own first.
    public var chain: [[UInt8]]
    /// The DER name of our own certificate's subject.
    public var subject: [UInt8]
    /// The key of our own certificate.
    public var key: SignaturePrivateKey

    /// A credential; that the key belongs to the certificate is for whoever makes it to check.
    public init(chain: [[UInt8]], subject: [UInt8], key: SignaturePrivateKey) {
        self.chain = chain
        self.subject = subject
        self.key = key
    }
}
