// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

/// Why no proposal was chosen, told by transform type.
public struct ProposalMismatch: Error, Hashable, Sendable {
    /// One line a type, the types that have nothing in common marked.
    public var comparison: [FailureReport.Comparison]
    /// One sentence on what differs.
    public var message: String
    /// One sentence that says what to change.
    public var suggestion: String

    /// Compares what is configured with what the peer offered or answered.
    ///
    /// `proposalsKey` names the setting: `proposals` or `esp_proposals`.
    init(ours: [Proposal], theirs: [Proposal], allowLegacy: Bool) {
        let isIKE = ours.first?.securityProtocol != .esp
        let lines = Self.subjects.compactMap { kind, subject in
            Line(kind, subject, ours: ours, theirs: theirs, allowLegacy: allowLegacy)
        }
        comparison = lines.map(\.comparison)
        let key = isIKE ? "proposals" : "esp_proposals"
        let differing = lines.filter(\.comparison.mismatch)
        guard !theirs.isEmpty else {
            message = "the peer's SA payload holds no proposal"
            suggestion = "Check the peer's configuration."
            return
        }
        guard let first = differing.first else {
            comparison.append(
                FailureReport.Comparison(
                    subject: "combination", ours: ours.map(\.description),
                    theirs: theirs.prefix(Self.combinationLimit).map(\.description), mismatch: true))
            message = "every algorithm type has one in common, but no single proposal combines them"
            suggestion = "Write one of the peer's combinations into \(key): \"\(theirs[0].description)\"."
            return
        }
        message = differing.map {
            "\($0.comparison.subject): peer offers \($0.theirText), you allow \($0.ourText)"
        }.joined(separator: "; ")
        let whole = differing.count > 1 ? Self.suggestion(from: theirs, key: key, allowLegacy: allowLegacy) : nil
        suggestion = whole ?? first.suggestion(key: key)
    }

    /// Several differences are not cured one by one: a whole proposal of the peer's is. Nil when none is supported.
    private static func suggestion(from theirs: [Proposal], key: String, allowLegacy: Bool) -> String? {
        let supported = theirs.filter { $0.transforms.allSatisfy(\.isSupported) }
        if let good = supported.lazy.compactMap(\.withoutLegacy).first {
            return "Add \"\(good.description)\" to \(key), or one of yours to the peer's."
        }
        guard let weak = supported.first else { return nil }
        return allowLegacy
            ? "Add \"\(weak.description)\" to \(key), or better one of yours to the peer's."
            : "Let the peer offer one of yours; if it cannot, set allow_legacy = true and add "
                + "\"\(weak.description)\" to \(key)."
    }

    /// Whole proposals that a report shows.
    private static let combinationLimit = 4

    private static let subjects: [(Transform.Kind, String)] = [
        (.encryption, "encryption"), (.pseudoRandomFunction, "prf"), (.integrity, "integrity"),
        (.keyExchange, "key exchange"), (.sequenceNumbers, "sequence numbers"),
    ]
}

extension Proposal {
    /// What is left without legacy algorithms; nil where a type has nothing else.
    fileprivate var withoutLegacy: Proposal? {
        let rest = transforms.filter { !$0.isLegacy }
        return Set(rest.map(\.kind)) == Set(transforms.map(\.kind)) ? Proposal(securityProtocol, rest) : nil
    }
}

/// One transform type's part of the difference.
private struct Line {
    let comparison: FailureReport.Comparison
    private let offered: [Transform]
    private let allowLegacy: Bool

    init?(_ kind: Transform.Kind, _ subject: String, ours: [Proposal], theirs: [Proposal], allowLegacy: Bool) {
        let our = Self.union(kind, ours)
        let their = Self.union(kind, theirs)
        guard !our.isEmpty || !their.isEmpty else { return nil }
        let usable = our.filter { allowLegacy || !$0.isLegacy }
        // A type that one side may leave out agrees where a proposal of each side leaves it out.
        let bothWithout = Self.mayLackAny(kind, ours) && Self.mayLackAny(kind, theirs)
        comparison = FailureReport.Comparison(
            subject: subject, ours: our.map(\.keyword), theirs: their.map(\.keyword),
            mismatch: !bothWithout && !usable.contains(where: their.contains))
        offered = their
        self.allowLegacy = allowLegacy
    }

    var ourText: String { Self.text(comparison.ours) }
    var theirText: String { Self.text(comparison.theirs) }

    func suggestion(key: String) -> String {
        let supported = offered.filter(\.isSupported)
        if let good = supported.first(where: { !$0.isLegacy }) {
            return "Add \(good.keyword) to \(key), or let the peer offer \(ourText)."
        }
        if let weak = supported.first {
            return allowLegacy
                ? "Add \(weak.keyword) to \(key), or better let the peer offer \(ourText)."
                : "Let the peer offer \(ourText); if it cannot, set allow_legacy = true "
                    + "and add \(weak.keyword) to \(key)."
        }
        if offered.isEmpty {
            return "Write a proposal without \(comparison.subject) into \(key), or let the peer offer \(ourText)."
        }
        return "Let the peer offer \(ourText); what it offers is not supported here."
    }

    private static func union(_ kind: Transform.Kind, _ proposals: [Proposal]) -> [Transform] {
        var union: [Transform] = []
        for transform in proposals.lazy.flatMap(\.transforms) where transform.kind == kind {
            guard union.count < transformLimit else { break }
            if !union.contains(transform) { union.append(transform) }
        }
        return union
    }

    private static func mayLackAny(_ kind: Transform.Kind, _ proposals: [Proposal]) -> Bool {
        proposals.contains { proposal in
            let transforms = proposal.transforms(kind)
            return transforms.isEmpty || kind != .sequenceNumbers && transforms.contains { $0.id == 0 }
        }
    }

    /// Transforms of one type that a report shows: an offer may have thousands.
    private static let transformLimit = 24

    private static func text(_ keywords: [String]) -> String {
        keywords.isEmpty ? "none" : keywords.joined(separator: ", ")
    }
}
