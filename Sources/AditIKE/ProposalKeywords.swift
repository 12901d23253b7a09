// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

/// What is wrong with a proposal in keywords; the message is one sentence for a configuration's author.
public struct ProposalSyntaxError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The keyword at fault; nil when the proposal as a whole is.
    public var keyword: String?
    /// What is wrong and what would be right.
    public var message: String

    /// The message.
    public var description: String { message }
}

// The proposal language is strongSwan's: keywords joined by '-', several of one type in order of preference.
extension Proposal: CustomStringConvertible {
    /// Reads a proposal such as `aes128gcm16-prfsha256-x25519` (IKE) or `aes256-sha256-ecp256` (ESP).
    ///
    /// Within IKE a missing PRF is taken from the integrity algorithms, and with an AEAD an integrity keyword means the
    /// PRF. AEADs and other ciphers do not mix in one proposal (RFC 7296 §3.3). Legacy algorithms need `allowLegacy`.
    public init(
        parsing text: String, for securityProtocol: SecurityProtocol, allowLegacy: Bool
    ) throws(ProposalSyntaxError) {
        guard text.utf8.count <= Self.textLengthLimit else {
            throw ProposalSyntaxError(message: "a proposal has at most \(Self.textLengthLimit) characters")
        }
        var transforms: [Transform] = []
        for word in text.split(separator: "-", omittingEmptySubsequences: false) {
            let transform = try Self.transform(word, securityProtocol, allowLegacy)
            if !transforms.contains(transform) { transforms.append(transform) }
        }
        let kinds: [Transform.Kind] = [.encryption, .pseudoRandomFunction, .integrity, .keyExchange, .sequenceNumbers]
        self.init(securityProtocol, kinds.flatMap { kind in transforms.filter { $0.kind == kind } })
        try completeAndCheck()
    }

    /// The keywords, in the order of the types; numbers where we have no name.
    public var description: String { transforms.map(\.keyword).joined(separator: "-") }

    /// The keywords without `esn` and `noesn`, and without PRFs that the integrity keywords imply, as `adit status`
    /// prints a suite.
    public var suiteDescription: String {
        let implied = transforms(.integrity).compactMap { Self.functions[$0.id] }
        let isImplied = !implied.isEmpty && transforms(.pseudoRandomFunction).map(\.id) == implied
        return transforms.filter { transform in
            transform.kind != .sequenceNumbers && transform != Self.noIntegrity && transform != Self.noKeyExchange
                && !(isImplied && transform.kind == .pseudoRandomFunction)
        }.map(\.keyword).joined(separator: "-")
    }

    /// The keywords of the legacy algorithms in it.
    public var legacyKeywords: [String] { transforms.filter(\.isLegacy).map(\.keyword) }

    /// Every keyword that a proposal for `securityProtocol` may have, legacy ones last.
    public static func keywords(for securityProtocol: SecurityProtocol) -> [String] {
        let usable = Algorithm.all.filter { $0.support != .unsupported && isUsed($0.transform, by: securityProtocol) }
        return usable.filter { $0.support == .supported }.map(\.keyword)
            + usable.filter { $0.support == .legacy }.map(\.keyword)
    }

    private static func transform(
        _ word: Substring, _ securityProtocol: SecurityProtocol, _ allowLegacy: Bool
    ) throws(ProposalSyntaxError) -> Transform {
        guard let algorithm = Algorithm.named(word) else {
            throw ProposalSyntaxError(
                keyword: String(word),
                message: "unknown algorithm \"\(word)\"\(hint(word, securityProtocol, allowLegacy))")
        }
        guard algorithm.support != .unsupported else {
            throw ProposalSyntaxError(
                keyword: String(word), message: "\"\(word)\" is known but not supported here; take another algorithm")
        }
        guard algorithm.support != .legacy || allowLegacy else {
            throw ProposalSyntaxError(
                keyword: String(word), message: "\"\(word)\" is weak and needs allow_legacy = true")
        }
        guard algorithm.transform.isAvailable else {
            throw ProposalSyntaxError(
                keyword: String(word),
                message:
                    "\"\(word)\" is refused by this machine's libcrypto (OpenSSL), perhaps because it is set up for "
                    + "FIPS 140; take another algorithm")
        }
        guard isUsed(algorithm.transform, by: securityProtocol) else {
            let name = securityProtocol == .ike ? "an IKE" : "an ESP"
            throw ProposalSyntaxError(keyword: String(word), message: "\"\(word)\" has no place in \(name) proposal")
        }
        return algorithm.transform
    }

    /// What would have been right: legacy algorithms are not named without what they need.
    private static func hint(
        _ word: Substring, _ securityProtocol: SecurityProtocol, _ allowLegacy: Bool
    ) -> String {
        let valid = keywords(for: securityProtocol)
        let legacy = allowLegacy ? [] : valid.filter { Algorithm.named($0)?.support == .legacy }
        let meant = nearest(to: word.lowercased(), among: valid).map { keyword in
            " did you mean \"\(keyword)\"\(legacy.contains(keyword) ? " (with allow_legacy = true)" : "")?"
        }
        let list = valid.filter { !legacy.contains($0) }.joined(separator: ", ")
        let weak = legacy.isEmpty ? "" : ", and with allow_legacy = true \(legacy.joined(separator: ", "))"
        return ";\(meant ?? "") valid are \(list)\(weak)"
    }

    private static func isUsed(_ transform: Transform, by securityProtocol: SecurityProtocol) -> Bool {
        switch transform.kind {
        case .pseudoRandomFunction: securityProtocol == .ike
        case .sequenceNumbers: securityProtocol == .esp
        // RFC 7296 §3.3.3: the key exchange is mandatory for IKE, so NONE has no place there.
        case .keyExchange: securityProtocol == .esp || transform != noKeyExchange
        default: true
        }
    }

    private mutating func completeAndCheck() throws(ProposalSyntaxError) {
        let ciphers = transforms(.encryption)
        guard let first = ciphers.first else {
            throw ProposalSyntaxError(message: "a proposal needs an encryption algorithm, for example aes256gcm16")
        }
        if let other = ciphers.first(where: { $0.isAEAD != first.isAEAD }) {
            let (aead, plain) = first.isAEAD ? (first, other) : (other, first)
            throw ProposalSyntaxError(
                keyword: other.keyword,
                message: "\(aead.keyword) is an AEAD and \(plain.keyword) is not: they cannot share a proposal; "
                    + "write two proposals, one with \(aead.keyword), one with \(plain.keyword)")
        }
        if securityProtocol == .ike {
            try completeIKE(aead: first.isAEAD)
        } else if first.isAEAD, let integrity = transforms(.integrity).first {
            throw ProposalSyntaxError(
                keyword: integrity.keyword,
                message: "\(first.keyword) authenticates by itself: remove \(integrity.keyword)")
        }
        guard first.isAEAD || !transforms(.integrity).isEmpty else {
            throw ProposalSyntaxError(
                keyword: first.keyword,
                message: "\(first.keyword) needs an integrity algorithm: add sha256, or take "
                    + (first.isLegacy ? "aes256gcm16" : "\(first.keyword)gcm16"))
        }
    }

    private mutating func completeIKE(aead: Bool) throws(ProposalSyntaxError) {
        if transforms(.pseudoRandomFunction).isEmpty {
            // As in strongSwan: the hash of the integrity algorithm serves as PRF too.
            let functions = transforms(.integrity).compactMap { Self.functions[$0.id] }
            guard !functions.isEmpty else {
                throw ProposalSyntaxError(
                    message: "an IKE proposal with an AEAD needs a PRF: add prfsha256 or prfsha384")
            }
            let place = transforms.firstIndex { $0.kind != .encryption } ?? transforms.count
            transforms.insert(contentsOf: functions.map { Transform(.pseudoRandomFunction, $0) }, at: place)
        }
        if aead { transforms.removeAll { $0.kind == .integrity } }
        guard !transforms(.keyExchange).isEmpty else {
            throw ProposalSyntaxError(message: "an IKE proposal needs a key exchange: add x25519, ecp256 or modp2048")
        }
    }

    /// The PRF with the hash of an integrity algorithm, by transform IDs.
    private static let functions: [UInt16: UInt16] = [1: 1, 2: 2, 12: 5, 13: 6, 14: 7]

    private static let textLengthLimit = 512

    /// The keyword with the fewest differences; nil when none is near.
    private static func nearest(to word: String, among keywords: [String]) -> String? {
        let ranked = keywords.map { (keyword: $0, distance: distance(Array(word.utf8.prefix(32)), Array($0.utf8))) }
        guard let best = ranked.min(by: { $0.distance < $1.distance }) else { return nil }
        return best.distance <= max(2, word.utf8.count / 2) ? best.keyword : nil
    }

    /// Levenshtein's distance: insertions, deletions and replacements from one to the other.
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var row = Array(0...right.count)
        for (index, byte) in left.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for column in right.indices {
                let replaced = diagonal + (byte == right[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(replaced, diagonal + 1, row[column] + 1)
            }
        }
        return row[right.count]
    }
}
