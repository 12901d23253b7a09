// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditCrypto

/// What the Authentication Data of method 14 consists of (RFC 7427 §3): the DER AlgorithmIdentifier of a signature
/// scheme with its length before it, and the signature.
public struct SignatureAlgorithm: Hashable, Sendable {
    /// The scheme.
    public let scheme: SignatureScheme

    /// The algorithm of a scheme; nil for one that has no AlgorithmIdentifier.
    public init?(_ scheme: SignatureScheme) {
        self.scheme = scheme
        guard case .rsaPSS = scheme else {
            guard Self.identifiers.contains(where: { $0.scheme == scheme }) else { return nil }
            return
        }
    }

    /// The algorithm of a DER AlgorithmIdentifier; nil for one that is not supported.
    public init?(identifier: [UInt8]) {
        if let known = Self.identifiers.first(where: { $0.identifier == identifier }) {
            scheme = known.scheme
        } else if let pss = Self.parsePSS(identifier) {
            scheme = pss
        } else {
            return nil
        }
    }

    /// The DER AlgorithmIdentifier (RFC 7427 appendix A, RFC 8420 appendix A).
    public var identifier: [UInt8] {
        if case .rsaPSS(let hash, let saltLength) = scheme { return Self.pss(hash, saltLength) }
        return Self.identifiers.first { $0.scheme == scheme }?.identifier ?? []
    }

    /// The Authentication Data: length, AlgorithmIdentifier, signature.
    func authenticationData(_ signature: [UInt8]) -> [UInt8] {
        let identifier = identifier
        return [UInt8(identifier.count)] + identifier + signature
    }

    /// Takes Authentication Data apart; nil where the length does not fit.
    static func split(_ data: [UInt8]) -> (identifier: [UInt8], signature: [UInt8])? {
        guard let length = data.first, length > 0, data.count > Int(length) + 1 else { return nil }
        return (Array(data[1...Int(length)]), Array(data.dropFirst(Int(length) + 1)))
    }

    // RFC 7427 appendix A.1, A.3; RFC 8420 appendix A.
    private static let identifiers: [(scheme: SignatureScheme, identifier: [UInt8])] = [
        (.rsaPKCS1(.sha1), [0x30, 0x0d, 0x06, 0x09] + pkcs1 + [5, 0x05, 0x00]),
        (.rsaPKCS1(.sha256), [0x30, 0x0d, 0x06, 0x09] + pkcs1 + [11, 0x05, 0x00]),
        (.rsaPKCS1(.sha384), [0x30, 0x0d, 0x06, 0x09] + pkcs1 + [12, 0x05, 0x00]),
        (.rsaPKCS1(.sha512), [0x30, 0x0d, 0x06, 0x09] + pkcs1 + [13, 0x05, 0x00]),
        (.ecdsa(.sha1), [0x30, 0x09, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]),
        (.ecdsa(.sha256), [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]),
        (.ecdsa(.sha384), [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3]),
        (.ecdsa(.sha512), [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4]),
        (.ed25519, [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70]),
    ]

    // MARK: RSASSA-PSS (RFC 4055 §3.1)

    private static func pss(_ hash: HashAlgorithm, _ saltLength: Int) -> [UInt8] {
        let hashed = DERReader.encode(
            DERReader.sequence,
            DERReader.encode(DERReader.objectIdentifier, digest(hash)) + [DERReader.null, 0])
        let mask = DERReader.encode(
            DERReader.sequence, DERReader.encode(DERReader.objectIdentifier, pkcs1 + [8]) + hashed)
        let salt = DERReader.encode(DERReader.integer, Self.integer(saltLength))
        let parameters = DERReader.encode(
            DERReader.sequence,
            DERReader.encode(DERReader.context(0), hashed) + DERReader.encode(DERReader.context(1), mask)
                + DERReader.encode(DERReader.context(2), salt)
                + DERReader.encode(DERReader.context(3), [DERReader.integer, 1, 1]))
        return DERReader.encode(
            DERReader.sequence, DERReader.encode(DERReader.objectIdentifier, pkcs1 + [10]) + parameters)
    }

    /// MGF1 over the same hash, trailer 1, any salt length; what is left out has the default that RFC 4055 §3.1 gives
    /// it.
    private static func parsePSS(_ identifier: [UInt8]) -> SignatureScheme? {
        guard let outer = DERReader.only(DERReader.sequence, in: identifier) else { return nil }
        var fields = DERReader(outer.content)
        guard let type = fields.next(DERReader.objectIdentifier), Array(type.content) == pkcs1 + [10],
            let parameters = fields.next(DERReader.sequence), fields.isAtEnd
        else { return nil }
        var reader = DERReader(parameters.content)
        var hash = HashAlgorithm.sha1
        var mask = HashAlgorithm.sha1
        var saltLength = 20
        if let field = reader.next(DERReader.context(0)) {
            guard let named = hashAlgorithm(field.content) else { return nil }
            hash = named
        }
        if let field = reader.next(DERReader.context(1)) {
            guard let function = DERReader.only(DERReader.sequence, in: field.content) else { return nil }
            var parts = DERReader(function.content)
            guard let type = parts.next(DERReader.objectIdentifier), Array(type.content) == pkcs1 + [8],
                let parameter = parts.next(DERReader.sequence), parts.isAtEnd,
                let named = hashAlgorithm(parameter.whole)
            else { return nil }
            mask = named
        }
        if let field = reader.next(DERReader.context(2)) {
            guard let value = DERReader.only(DERReader.integer, in: field.content),
                (1...2).contains(value.content.count),
                value.content.first.map({ $0 < 0x80 }) ?? false
            else { return nil }
            saltLength = value.content.reduce(0) { $0 << 8 | Int($1) }
        }
        if let field = reader.next(DERReader.context(3)) {
            guard Array(field.content) == [DERReader.integer, 1, 1] else { return nil }
        }
        guard reader.isAtEnd, hash == mask else { return nil }
        return .rsaPSS(hash, saltLength: saltLength)
    }

    /// RFC 4055 §2.1: the parameters are NULL, or absent.
    private static func hashAlgorithm(_ bytes: ArraySlice<UInt8>) -> HashAlgorithm? {
        guard let outer = DERReader.only(DERReader.sequence, in: bytes) else { return nil }
        var fields = DERReader(outer.content)
        guard let type = fields.next(DERReader.objectIdentifier) else { return nil }
        if let parameters = fields.next(DERReader.null) {
            guard parameters.content.isEmpty else { return nil }
        }
        guard fields.isAtEnd else { return nil }
        return HashAlgorithm.allCases.first { digest($0) == Array(type.content) }
    }

    private static func integer(_ value: Int) -> [UInt8] {
        let bytes = value > 0xff ? [UInt8(truncatingIfNeeded: value >> 8), UInt8(value & 0xff)] : [UInt8(value & 0xff)]
        return (bytes[0] & 0x80 != 0 ? [0] : []) + bytes
    }

    private static func digest(_ hash: HashAlgorithm) -> [UInt8] {
        switch hash {
        case .sha1: [0x2b, 0x0e, 3, 2, 26]
        case .sha256: nist + [1]
        case .sha384: nist + [2]
        case .sha512: nist + [3]
        }
    }

    /// 1.2.840.113549.1.1
    private static let pkcs1: [UInt8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1]
    /// 2.16.840.1.101.3.4.2
    private static let nist: [UInt8] = [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2]
}
