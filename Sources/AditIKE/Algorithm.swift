// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditCrypto

/// A transform with its keyword in strongSwan's proposal language and what this implementation does with it.
struct Algorithm {
    /// The keyword.
    let keyword: String
    /// The transform that it stands for.
    let transform: Transform
    /// Whether we can do it, and whether only with `allow_legacy`.
    let support: Support
    /// Other spellings.
    var aliases: [String] = []

    enum Support { case supported, legacy, unsupported }

    /// The algorithm of `transform`; nil when we have no name for it.
    static func of(_ transform: Transform) -> Algorithm? { all.first { $0.transform == transform } }

    /// The algorithm of `keyword`, in any case.
    static func named(_ keyword: some StringProtocol) -> Algorithm? {
        let keyword = keyword.lowercased()
        return all.first { $0.keyword == keyword || $0.aliases.contains(keyword) }
    }

    /// Everything that has a keyword, by type.
    static let all: [Algorithm] = encryption + integrity + pseudoRandomFunctions + keyExchange + sequenceNumbers

    // RFC 7296 §3.3.2 and IANA: transform type 1.
    private static let encryption: [Algorithm] =
        [128, 192, 256].flatMap { (bits: Int) -> [Algorithm] in
            [
                Algorithm(.encryption, 12, bits, "aes\(bits)", .supported, bits == 128 ? ["aes"] : []),
                Algorithm(.encryption, 20, bits, "aes\(bits)gcm16", .supported, ["aes\(bits)gcm", "aes\(bits)gcm128"]),
                Algorithm(.encryption, 13, bits, "aes\(bits)ctr", .unsupported),
                Algorithm(.encryption, 14, bits, "aes\(bits)ccm8", .unsupported, ["aes\(bits)ccm64"]),
                Algorithm(.encryption, 15, bits, "aes\(bits)ccm12", .unsupported, ["aes\(bits)ccm96"]),
                Algorithm(
                    .encryption, 16, bits, "aes\(bits)ccm16", .unsupported, ["aes\(bits)ccm", "aes\(bits)ccm128"]),
                Algorithm(.encryption, 18, bits, "aes\(bits)gcm8", .unsupported, ["aes\(bits)gcm64"]),
                Algorithm(.encryption, 19, bits, "aes\(bits)gcm12", .unsupported, ["aes\(bits)gcm96"]),
                Algorithm(.encryption, 21, bits, "aes\(bits)gmac", .unsupported),
                Algorithm(.encryption, 23, bits, "camellia\(bits)", .unsupported),
            ]
        } + [
            Algorithm(.encryption, 28, nil, "chacha20poly1305", .supported),
            Algorithm(.encryption, 28, 256, "chacha20poly1305compat", .unsupported),
            Algorithm(.encryption, 2, nil, "des", .unsupported),
            Algorithm(.encryption, 3, nil, "3des", .legacy),
            Algorithm(.encryption, 11, nil, "null", .unsupported),
        ]

    // Type 2.
    private static let pseudoRandomFunctions: [Algorithm] = [
        Algorithm(.pseudoRandomFunction, 2, nil, "prfsha1", .supported),
        Algorithm(.pseudoRandomFunction, 5, nil, "prfsha256", .supported),
        Algorithm(.pseudoRandomFunction, 6, nil, "prfsha384", .supported),
        Algorithm(.pseudoRandomFunction, 7, nil, "prfsha512", .supported),
        Algorithm(.pseudoRandomFunction, 1, nil, "prfmd5", .legacy),
        Algorithm(.pseudoRandomFunction, 4, nil, "prfaesxcbc", .unsupported),
        Algorithm(.pseudoRandomFunction, 8, nil, "prfaescmac", .unsupported),
    ]

    // Type 3.
    private static let integrity: [Algorithm] = [
        Algorithm(.integrity, 2, nil, "sha1", .supported, ["sha"]),
        Algorithm(.integrity, 12, nil, "sha256", .supported, ["sha2_256"]),
        Algorithm(.integrity, 13, nil, "sha384", .supported, ["sha2_384"]),
        Algorithm(.integrity, 14, nil, "sha512", .supported, ["sha2_512"]),
        Algorithm(.integrity, 1, nil, "md5", .legacy),
        Algorithm(.integrity, 5, nil, "aesxcbc", .unsupported),
        Algorithm(.integrity, 7, nil, "sha1_160", .unsupported),
        Algorithm(.integrity, 8, nil, "aescmac", .unsupported),
    ]

    // Type 4.
    private static let keyExchange: [Algorithm] = [
        Algorithm(.keyExchange, 31, nil, "x25519", .supported, ["curve25519"]),
        Algorithm(.keyExchange, 19, nil, "ecp256", .supported),
        Algorithm(.keyExchange, 20, nil, "ecp384", .supported),
        Algorithm(.keyExchange, 21, nil, "ecp521", .supported),
        Algorithm(.keyExchange, 14, nil, "modp2048", .supported),
        Algorithm(.keyExchange, 15, nil, "modp3072", .supported),
        Algorithm(.keyExchange, 16, nil, "modp4096", .supported),
        Algorithm(.keyExchange, 2, nil, "modp1024", .legacy),
        Algorithm(.keyExchange, 5, nil, "modp1536", .legacy),
        Algorithm(.keyExchange, 0, nil, "modpnone", .supported),
        Algorithm(.keyExchange, 1, nil, "modp768", .unsupported),
        Algorithm(.keyExchange, 17, nil, "modp6144", .unsupported),
        Algorithm(.keyExchange, 18, nil, "modp8192", .unsupported),
        Algorithm(.keyExchange, 22, nil, "modp1024s160", .unsupported),
        Algorithm(.keyExchange, 23, nil, "modp2048s224", .unsupported),
        Algorithm(.keyExchange, 24, nil, "modp2048s256", .unsupported),
        Algorithm(.keyExchange, 25, nil, "ecp192", .unsupported),
        Algorithm(.keyExchange, 26, nil, "ecp224", .unsupported),
        Algorithm(.keyExchange, 27, nil, "ecp224bp", .unsupported),
        Algorithm(.keyExchange, 28, nil, "ecp256bp", .unsupported),
        Algorithm(.keyExchange, 29, nil, "ecp384bp", .unsupported),
        Algorithm(.keyExchange, 30, nil, "ecp512bp", .unsupported),
        Algorithm(.keyExchange, 32, nil, "curve448", .unsupported, ["x448"]),
        Algorithm(.keyExchange, 35, nil, "mlkem512", .unsupported),
        Algorithm(.keyExchange, 36, nil, "mlkem768", .unsupported),
        Algorithm(.keyExchange, 37, nil, "mlkem1024", .unsupported),
    ]

    // Type 5.
    private static let sequenceNumbers: [Algorithm] = [
        Algorithm(.sequenceNumbers, 0, nil, "noesn", .supported),
        Algorithm(.sequenceNumbers, 1, nil, "esn", .supported),
    ]

    private init(
        _ kind: Transform.Kind, _ id: UInt16, _ bits: Int?, _ keyword: String, _ support: Support,
        _ aliases: [String] = []
    ) {
        self.keyword = keyword
        self.transform = Transform(kind, id, keyLength: bits.map { UInt16($0) })
        self.support = support
        self.aliases = aliases
    }
}

extension Transform {
    /// Whether the encryption algorithm authenticates by itself, so that no integrity algorithm goes with it.
    var isAEAD: Bool { kind == .encryption && ((14...16).contains(id) || (18...20).contains(id) || id == 28) }

    /// The keyword, or the IANA number with the key length where we have no name.
    public var keyword: String {
        if let name = Algorithm.of(self)?.keyword { return name }
        let name =
            switch kind {
            case .encryption: "encryption"
            case .pseudoRandomFunction: "prf"
            case .integrity: "integrity"
            case .keyExchange: "group"
            case .sequenceNumbers: "sequence-numbers"
            default: "type\(kind.rawValue)"
            }
        return "\(name)#\(id)" + (keyLength.map { "/\($0)" } ?? "") + (otherAttributes.isEmpty ? "" : "+attributes")
    }

    /// Whether only `allow_legacy` lets this be negotiated.
    public var isLegacy: Bool { Algorithm.of(self)?.support == .legacy }

    /// Whether we can do this, legacy or not.
    public var isSupported: Bool {
        guard let algorithm = Algorithm.of(self) else { return false }
        return algorithm.support != .unsupported && isAvailable
    }

    /// Whether libcrypto has what this needs, which is a question for legacy algorithms only.
    var isAvailable: Bool {
        switch kind {
        case .encryption: id != Self.tripleDES.id || CipherSuite.hasTripleDES
        case .pseudoRandomFunction: PseudoRandomFunction(transformID: id)?.isAvailable ?? true
        case .integrity: CipherSuite.Integrity(transformID: id)?.isAvailable ?? true
        default: true
        }
    }

    /// RFC 2451 §2.2: the key has 192 bits, so there is no attribute for its length.
    static let tripleDES = Transform(.encryption, 3)
}
