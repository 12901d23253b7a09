// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Adit
internal import AditIKE
internal import Logging
internal import Synchronization

/// Logs a gateway's events, one line a transition, and remembers when a connection last failed.
final class TransitionLog: Sendable {
    /// A connection, or its peers: what these bring about never hides what happened to the connection.
    private struct Origin: Hashable {
        /// Empty for peers that fit no connection.
        var connection: String
        var isRefusal: Bool

        init(_ failure: FailureReport) {
            connection = failure.connection ?? ""
            isRefusal = failure.consequence == .refused
        }
    }

    private struct State {
        /// When the handshake under way began, by connection.
        var started: [String: ContinuousClock.Instant] = [:]
        var failed: [Origin: WallTime] = [:]
        /// What peers can cause, by connection, and what the system can; both keyed by configured names only.
        var attempts: [String: LineBudget] = [:]
        var failures: [Origin: LineBudget] = [:]
        var warnings = LineBudget()
    }

    private let logger: Logger
    private let state = Mutex(State())

    init(_ logger: Logger) { self.logger = logger }

    /// Writes the line of an event, unless peers or the system repeat themselves too often.
    func log(_ event: GatewayEvent) {
        let (elapsed, withheld) = state.withLock { note(event, in: &$0) }
        guard let withheld else { return }
        write(EventText(event, elapsed: elapsed), withheld)
        if let narrowing = EventText(narrowingIn: event) { write(narrowing, 0) }
    }

    private func write(_ text: EventText, _ withheld: Int) {
        var metadata: Logger.Metadata = ["event": .string(text.kind)]
        if let connection = text.connection { metadata["connection"] = .string(connection) }
        if let failure = text.failure {
            // What `adit explain --json` has, less what the line has already.
            for (name, value) in FailureDocument.json(failure, at: nil).members
            where !["connection", "message", "at"].contains(name) { metadata[name] = .stringConvertible(value) }
        }
        let more = withheld > 0 ? " (\(withheld) similar lines left out)" : ""
        logger.log(level: text.level, "\(text.message)\(more)", metadata: metadata)
    }

    /// When the connection of `failure`, or a peer, last failed so.
    func failureTime(of failure: FailureReport) -> WallTime? { state.withLock { $0.failed[Origin(failure)] } }

    /// How long the handshake took, and how many similar lines were left out; nil when this one is to be left out, too.
    private func note(_ event: GatewayEvent, in state: inout State) -> (Duration?, Int?) {
        let now = ContinuousClock.now
        switch event {
        case .ike(.connecting(let connection, _, let role)):
            state.started[connection] = now
            return (nil, role == .initiator ? 0 : state.attempts[connection, default: LineBudget()].take(now))
        case .ike(.established(let connection, _)):
            return (state.started.removeValue(forKey: connection).map { $0.duration(to: now) }, 0)
        case .ike(.failed(let failure)):
            let origin = Origin(failure)
            state.failed[origin] = .now()
            if !origin.isRefusal { state.started[origin.connection] = nil }
            return (nil, state.failures[origin, default: LineBudget()].take(now))
        case .warning:
            return (nil, state.warnings.take(now))
        default:
            return (nil, 0)
        }
    }
}

/// A limit on lines that others can cause: a burst, then one every few seconds.
struct LineBudget {
    static let burst = 10.0
    static let perSecond = 0.2

    private var tokens = burst
    private var last: ContinuousClock.Instant?
    private var withheld = 0

    /// Takes a line out of the budget: how many were withheld since the last one, or nil to withhold this one, too.
    mutating func take(_ now: ContinuousClock.Instant) -> Int? {
        let elapsed = last.map { $0.duration(to: now) / Duration.seconds(1) } ?? 0
        tokens = min(Self.burst, tokens + elapsed * Self.perSecond)
        last = now
        guard tokens >= 1 else {
            withheld += 1
            return nil
        }
        tokens -= 1
        defer { withheld = 0 }
        return withheld
    }
}
