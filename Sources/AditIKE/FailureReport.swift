// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

/// Why a negotiation failed, in a form that can be shown, logged, counted and acted on.
public struct FailureReport: Sendable, Equatable, Error {
    /// Stable words: programs match on them, documentation lists them, none is ever renamed.
    public enum Code: String, Sendable, CaseIterable {
        case authenticationFailed = "authentication_failed"
        case noProposalChosen = "no_proposal_chosen"
        case trafficSelectorsUnacceptable = "ts_unacceptable"
        case invalidIdentity = "invalid_identity"
        case invalidKeyExchange = "invalid_ke_payload"
        case certificateExpired = "certificate_expired"
        case certificateUntrusted = "certificate_untrusted"
        case peerUnreachable = "peer_unreachable"
        case timeout = "timeout"
        case nameResolutionFailed = "name_resolution_failed"
        case peerNotify = "peer_notify"
        case invalidSyntax = "invalid_syntax"
        case unsupportedCriticalPayload = "unsupported_critical_payload"
        case noMatchingConnection = "no_matching_connection"
        case connectionDown = "connection_down"
        case duplicatePeer = "duplicate_peer"
        case childlessRequired = "childless_required"
        case cookieRequired = "cookie_required"
        case limitReached = "limit_reached"
        case cryptographicFailure = "cryptographic_failure"
        case deadPeer = "dead_peer"
        case cancelled = "cancelled"
    }

    /// Where it failed.
    public enum Stage: String, Sendable, CaseIterable {
        case resolve = "resolve"
        case ikeSAInit = "ike_sa_init"
        case ikeAuth = "ike_auth"
        case createChildSA = "create_child_sa"
        case informational = "informational"
    }

    /// What follows for whoever waits for this side to bring the connection up.
    public enum Consequence: String, Sendable, CaseIterable {
        /// What was attempted is over; a later attempt begins anew.
        case ended = "ended"
        /// The next address of the peer is tried at once.
        case nextAddress = "next_address"
        /// The IKE SA that was to be replaced stays, and does what was asked for.
        case kept = "kept"
        /// A peer's request was refused: what this side attempts goes on. Where ``code`` is found before the peer has
        /// proved who it is, anybody can bring that about.
        case refused = "refused"
    }

    /// The connection; nil when no configured connection fits the peer.
    public var connection: String?
    /// What kind of failure.
    public var code: Code
    /// Where.
    public var stage: Stage
    /// One sentence for a person.
    public var message: String
    /// One sentence that says what to change, naming configuration keys.
    public var suggestion: String
    /// The peer, as `address:port`.
    public var remote: String?
    /// What each side brought, line by line, when the failure is a difference.
    public var comparison: [Comparison] = []
    /// What follows from it.
    public var consequence = Consequence.ended

    /// One line of a side-by-side difference.
    public struct Comparison: Sendable, Hashable {
        /// What is compared: `encryption`, `key exchange`, `local_ts`, `remote_id`, …
        public var subject: String
        /// What we are configured with.
        public var ours: [String]
        /// What the peer offered, asked or sent.
        public var theirs: [String]
        /// Whether this line is what prevented the agreement.
        public var mismatch: Bool

        /// A line.
        public init(subject: String, ours: [String], theirs: [String], mismatch: Bool) {
            self.subject = subject
            self.ours = ours
            self.theirs = theirs
            self.mismatch = mismatch
        }
    }

    /// The same report of a request that a peer made and that was refused.
    var ofRefusal: FailureReport {
        var report = self
        report.consequence = .refused
        return report
    }

    /// A report.
    public init(
        connection: String?, code: Code, stage: Stage, message: String, suggestion: String, remote: String? = nil,
        comparison: [Comparison] = []
    ) {
        self.connection = connection
        self.code = code
        self.stage = stage
        self.message = message
        self.suggestion = suggestion
        self.remote = remote
        self.comparison = comparison
    }
}
