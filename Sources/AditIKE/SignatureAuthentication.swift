// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditCrypto

/// The proof of IKE_AUTH by a signature (RFC 7296 §2.15, RFC 7427, RFC 4754, RFC 8420). Pure but for the random numbers
/// that libcrypto takes for ECDSA and RSASSA-PSS.
public enum SignatureAuthentication {
    /// The AUTH payload that proves possession of `key`.
    ///
    /// `peerHashes` is what the peer announced, nil when it knows no RFC 7427; `peerAlgorithm` the one that it signed
    /// with before us. Throws a sentence that says why the peer could not verify any signature of this key.
    public static func prove(
        key: SignaturePrivateKey, octets: [UInt8], peerHashes: SignatureHashes?,
        peerAlgorithm: SignatureAlgorithm? = nil, allowLegacy: Bool = false
    ) throws(SignatureFailure) -> AuthenticationPayload {
        if let algorithm = peerHashes.flatMap({ choose(key.kind, $0, peerAlgorithm) }) {
            return AuthenticationPayload(
                method: .digitalSignature, value: algorithm.authenticationData(try sign(key, octets, algorithm.scheme)))
        }
        switch key.kind {
        case .ecdsa256: return try old(.ecdsa256, .ecdsaConcatenated(.sha256), key, octets)
        case .ecdsa384: return try old(.ecdsa384, .ecdsaConcatenated(.sha384), key, octets)
        case .ecdsa521: return try old(.ecdsa521, .ecdsaConcatenated(.sha512), key, octets)
        case .rsa where allowLegacy: return try old(.rsaSignature, .rsaPKCS1(.sha1), key, octets)
        case .rsa:
            throw SignatureFailure(
                "the peer verifies RSA signatures with SHA-1 only, which is not safe",
                "Use an ECDSA certificate, update the peer (it lacks RFC 7427), or set allow_legacy = true.")
        case .ed25519:
            throw SignatureFailure(
                "the peer does not verify Ed25519 signatures (it did not announce RFC 8420's identity hash)",
                "Use an ECDSA or RSA certificate in cert_file, or update the peer.")
        }
    }

    /// Checks an AUTH payload with the public key of the peer's certificate.
    ///
    /// `allowLegacy` lets SHA-1 in, with RSA and method 1 only. Returns the algorithm of method 14, nil for an older
    /// method.
    public static func verify(
        _ payload: AuthenticationPayload, key: SignaturePublicKey, octets: [UInt8], allowLegacy: Bool = false
    ) throws(SignatureFailure) -> SignatureAlgorithm? {
        guard payload.method == .digitalSignature else {
            guard let scheme = scheme(of: payload.method), scheme.fits(key.kind),
                payload.method == .rsaSignature || Self.method(of: key.kind) == payload.method
            else {
                throw SignatureFailure(
                    "the peer authenticates by \(payload.method), but the key of its certificate is \(key.kind)",
                    "Give the peer the private key that belongs to its certificate.")
            }
            guard payload.method != .rsaSignature || allowLegacy else {
                throw SignatureFailure(
                    "the peer signs with RSA and SHA-1, which is not safe",
                    "Let the peer use RFC 7427 signatures or an ECDSA certificate, or set allow_legacy = true.")
            }
            try check(key.isValid(payload.value, over: octets, scheme))
            return nil
        }
        guard let (identifier, signature) = SignatureAlgorithm.split(payload.value),
            let algorithm = SignatureAlgorithm(identifier: identifier), SignatureHashes.ours.contains(algorithm.scheme)
        else {
            throw SignatureFailure(
                "the peer signs with an algorithm that it was not offered",
                "Let the peer sign with SHA-256, SHA-384 or SHA-512 (RSA, ECDSA), or with Ed25519.")
        }
        guard algorithm.scheme.fits(key.kind) else {
            throw SignatureFailure(
                "the peer's signature is not of its certificate's kind of key, \(key.kind)",
                "Give the peer the private key that belongs to its certificate.")
        }
        try check(key.isValid(signature, over: octets, algorithm.scheme))
        return algorithm
    }

    /// RFC 7427 §5: the algorithm for our key among those whose hash the peer announced; nil when there is none.
    static func choose(
        _ kind: SignatureKeyKind, _ hashes: SignatureHashes, _ peerAlgorithm: SignatureAlgorithm?
    ) -> SignatureAlgorithm? {
        let schemes: [SignatureScheme] =
            switch kind {
            case .ed25519: [.ed25519]
            // RFC 7427 §5: a hash as strong as the key, where the peer has it.
            case .ecdsa256: [.ecdsa(.sha256), .ecdsa(.sha384), .ecdsa(.sha512)]
            case .ecdsa384: [.ecdsa(.sha384), .ecdsa(.sha512), .ecdsa(.sha256)]
            case .ecdsa521: [.ecdsa(.sha512), .ecdsa(.sha384), .ecdsa(.sha256)]
            case .rsa(let bits):
                rsa(bits > 3072 ? [.sha384, .sha512, .sha256] : [.sha256, .sha384, .sha512], peerAlgorithm)
            }
        return schemes.first { hashes.contains($0) }.flatMap { SignatureAlgorithm($0) }
    }

    /// RFC 8247 §4.1.1: RSASSA-PSS; a peer that signed with PKCS #1 v1.5 itself may know nothing else.
    private static func rsa(_ hashes: [HashAlgorithm], _ peerAlgorithm: SignatureAlgorithm?) -> [SignatureScheme] {
        if case .rsaPKCS1 = peerAlgorithm?.scheme { return hashes.map { .rsaPKCS1($0) } }
        return hashes.map { .rsaPSS($0) }
    }

    private static func old(
        _ method: AuthenticationPayload.Method, _ scheme: SignatureScheme, _ key: SignaturePrivateKey, _ octets: [UInt8]
    ) throws(SignatureFailure) -> AuthenticationPayload {
        AuthenticationPayload(method: method, value: try sign(key, octets, scheme))
    }

    private static func sign(
        _ key: SignaturePrivateKey, _ octets: [UInt8], _ scheme: SignatureScheme
    ) throws(SignatureFailure) -> [UInt8] {
        do throws(CryptoError) {
            return try key.signature(over: octets, scheme)
        } catch {
            throw SignatureFailure(
                "libcrypto could not sign with the \(key.kind) key", "Check key_file, and OpenSSL's configuration.")
        }
    }

    private static func check(_ isValid: Bool) throws(SignatureFailure) {
        guard isValid else {
            throw SignatureFailure(
                "the peer's signature does not fit the key of its certificate",
                "Give the peer the private key that belongs to its certificate; "
                    + "if it has it, something on the way changes messages."
            )
        }
    }

    /// RFC 7296 §3.8 (method 1, with SHA-1), RFC 4754 §3.
    private static func scheme(of method: AuthenticationPayload.Method) -> SignatureScheme? {
        switch method {
        case .rsaSignature: .rsaPKCS1(.sha1)
        case .ecdsa256: .ecdsaConcatenated(.sha256)
        case .ecdsa384: .ecdsaConcatenated(.sha384)
        case .ecdsa521: .ecdsaConcatenated(.sha512)
        default: nil
        }
    }

    private static func method(of kind: SignatureKeyKind) -> AuthenticationPayload.Method? {
        switch kind {
        case .ecdsa256: .ecdsa256
        case .ecdsa384: .ecdsa384
        case .ecdsa521: .ecdsa521
        case .rsa, .ed25519: nil
        }
    }
}

/// Why a signature could not be made, or does not prove anything.
public struct SignatureFailure: Error, Equatable, Sendable {
    /// One sentence for a person.
    public let message: String
    /// One sentence that says what to change, naming configuration keys.
    public let suggestion: String

    init(_ message: String, _ suggestion: String) {
        self.message = message
        self.suggestion = suggestion
    }
}
