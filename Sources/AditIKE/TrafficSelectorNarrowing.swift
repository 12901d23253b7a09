// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditWire

/// The traffic of a Child SA that both sides agreed on (RFC 7296 §2.9).
public struct NarrowedSelectors: Hashable, Sendable {
    /// Our side, not empty.
    public var local: [TrafficSelector]
    /// The peer's side, not empty.
    public var remote: [TrafficSelector]
    /// Whether acceptable traffic had to be left out: ADDITIONAL_TS_POSSIBLE is due.
    public var additionalPossible: Bool
}

/// Agreeing on traffic selectors: narrow, never widen (RFC 7296 §2.9). Pure functions.
public enum TrafficSelectorNarrowing {
    /// Selectors on one side of a Child SA at the most; a TS payload has no room for more.
    public static let selectorLimit = 255

    /// What the responder answers to an initiator that asks for `requestedLocal` (TSr) and `requestedRemote` (TSi).
    ///
    /// Every answer lies inside what was asked and inside what is configured. The ranges that contain the initiator's
    /// first selectors, which may be those of a packet that waits, come first.
    public static func narrow(
        requestedLocal: [TrafficSelector], requestedRemote: [TrafficSelector], configuredLocal: [TrafficSelector],
        configuredRemote: [TrafficSelector]
    ) throws(TrafficSelectorMismatch) -> NarrowedSelectors {
        var local = intersection(requestedLocal, configuredLocal)
        var remote = intersection(requestedRemote, configuredRemote)
        // A family that one side lacks would select nothing.
        let families = Set(local.map(\.family)).intersection(remote.map(\.family))
        local.removeAll { !families.contains($0.family) }
        remote.removeAll { !families.contains($0.family) }
        guard !local.isEmpty, !remote.isEmpty else {
            throw TrafficSelectorMismatch(
                requestedLocal: requestedLocal, requestedRemote: requestedRemote, configuredLocal: configuredLocal,
                configuredRemote: configuredRemote)
        }
        let additional = local.count > selectorLimit || remote.count > selectorLimit
        return NarrowedSelectors(
            local: Array(local.prefix(selectorLimit)), remote: Array(remote.prefix(selectorLimit)),
            additionalPossible: additional)
    }

    /// The child that an initiator's selectors are for, and the agreement: the first that takes the packet for which it
    /// asks (its first selectors, when they are a single address), else the first that takes anything.
    ///
    /// Returns the index in `children`. Throws the difference to the first child when none fits.
    public static func choose(
        among children: [ChildConfiguration], requestedLocal: [TrafficSelector], requestedRemote: [TrafficSelector]
    ) throws(TrafficSelectorMismatch) -> (index: Int, selectors: NarrowedSelectors) {
        var best: (index: Int, selectors: NarrowedSelectors)?
        var mismatch: TrafficSelectorMismatch?
        for (index, child) in children.enumerated() {
            do {
                var narrowed = try narrow(
                    requestedLocal: requestedLocal, requestedRemote: requestedRemote,
                    configuredLocal: child.offeredLocalSelectors,
                    configuredRemote: child.offeredRemoteSelectors)
                if holdsFirst(narrowed.local, requestedLocal), holdsFirst(narrowed.remote, requestedRemote) {
                    narrowed.additionalPossible = narrowed.additionalPossible || best != nil
                    return (index, narrowed)
                }
                if best == nil {
                    best = (index, narrowed)
                } else {
                    // RFC 7296 §2.9: another child would take more of what was asked.
                    best?.selectors.additionalPossible = true
                }
            } catch {
                mismatch = mismatch ?? error
            }
        }
        if let best { return best }
        throw mismatch
            ?? TrafficSelectorMismatch(
                requestedLocal: requestedLocal, requestedRemote: requestedRemote, configuredLocal: [],
                configuredRemote: [])
    }

    /// The initiator's check that the responder only narrowed: every selector of the answer lies in one of the offer.
    public static func check(
        answeredLocal: [TrafficSelector], answeredRemote: [TrafficSelector], offeredLocal: [TrafficSelector],
        offeredRemote: [TrafficSelector]
    ) throws(TrafficSelectorMismatch) -> NarrowedSelectors {
        let inside = { (answered: [TrafficSelector], offered: [TrafficSelector]) in
            !answered.isEmpty && answered.allSatisfy { answer in offered.contains { $0.contains(answer) } }
        }
        guard inside(answeredLocal, offeredLocal), inside(answeredRemote, offeredRemote) else {
            throw TrafficSelectorMismatch(
                requestedLocal: answeredLocal, requestedRemote: answeredRemote, configuredLocal: offeredLocal,
                configuredRemote: offeredRemote)
        }
        return NarrowedSelectors(local: answeredLocal, remote: answeredRemote, additionalPossible: false)
    }

    /// The selectors of one side to ask for when a packet waits: the packet's own, then the policy's.
    public static func request(
        packet: [TrafficSelector], policy: [TrafficSelector]
    ) -> [TrafficSelector] {
        // RFC 7296 §2.9: the packet's selectors first, so that the responder includes them.
        Array((packet + policy.filter { !packet.contains($0) }).prefix(selectorLimit))
    }

    /// All that both describe, without what another of them already contains; at most ``selectorLimit`` and one more.
    private static func intersection(
        _ requested: [TrafficSelector], _ configured: [TrafficSelector]
    ) -> [TrafficSelector] {
        var result: [TrafficSelector] = []
        for request in requested.prefix(selectorLimit) {
            for own in configured {
                guard let common = request.intersection(own), !result.contains(where: { $0.contains(common) }) else {
                    continue
                }
                // What the new one contains goes, and it takes the first one's place, so that the order stays.
                let place = result.firstIndex { common.contains($0) }
                result.removeAll { common.contains($0) }
                result.insert(common, at: min(place ?? result.count, result.count))
                if result.count > selectorLimit { return result }
            }
        }
        return result
    }

    private static func holdsFirst(_ narrowed: [TrafficSelector], _ requested: [TrafficSelector]) -> Bool {
        guard let first = requested.first else { return false }
        return narrowed.contains { $0.contains(first) }
    }
}

/// Why no traffic selectors were agreed.
public struct TrafficSelectorMismatch: Error, Hashable, Sendable {
    /// `local_ts` and `remote_ts`, the side that has nothing in common marked.
    public var comparison: [FailureReport.Comparison]
    /// One sentence on what differs.
    public var message: String
    /// One sentence that says what to change.
    public var suggestion: String

    init(
        requestedLocal: [TrafficSelector], requestedRemote: [TrafficSelector], configuredLocal: [TrafficSelector],
        configuredRemote: [TrafficSelector]
    ) {
        let local = Self.line("local_ts", configuredLocal, requestedLocal)
        let remote = Self.line("remote_ts", configuredRemote, requestedRemote)
        comparison = [local, remote]
        let differing = comparison.filter(\.mismatch)
        let swapped =
            Self.line("", configuredLocal, requestedRemote).mismatch == false
            && Self.line("", configuredRemote, requestedLocal).mismatch == false && !differing.isEmpty
        message =
            differing.isEmpty
            ? "the selectors of the two sides share no address family, or the answer is wider than the offer"
            : differing.map {
                "\($0.subject): peer has \(Self.text($0.theirs)), you have \(Self.text($0.ours))"
            }.joined(separator: "; ")
        if swapped {
            suggestion = "local_ts and remote_ts look exchanged: swap them on one side."
        } else if let first = differing.first {
            suggestion = "Make \(first.subject) overlap with the peer's \(Self.text(first.theirs)), or change the peer."
        } else {
            suggestion = "Make local_ts and remote_ts the same on both sides, mirrored."
        }
    }

    private static func line(
        _ subject: String, _ ours: [TrafficSelector], _ theirs: [TrafficSelector]
    ) -> FailureReport.Comparison {
        let common = theirs.prefix(TrafficSelectorNarrowing.selectorLimit).contains { request in
            ours.contains { $0.intersection(request) != nil }
        }
        return FailureReport.Comparison(
            subject: subject, ours: ours.prefix(shownLimit).map(\.description),
            theirs: theirs.prefix(shownLimit).map(\.description), mismatch: !common)
    }

    private static func text(_ selectors: [String]) -> String {
        selectors.isEmpty ? "none" : selectors.joined(separator: ", ")
    }

    /// Selectors of one side that a report shows.
    private static let shownLimit = 16
}
