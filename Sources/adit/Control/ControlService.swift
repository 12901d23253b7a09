// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Adit
internal import AditIKE

/// What the control socket needs of a gateway; tests put something simpler in its place.
protocol ControlledGateway: Sendable {
    func status() -> GatewayStatus
    func perform(_ command: IKECommand) -> Bool
    func lastFailure(of connection: String?) -> FailureReport?
}

extension Gateway: ControlledGateway {}

/// Where answers go: a client's channel, or a list in tests.
protocol AnswerSink: AnyObject {
    /// Sends one line; false when nobody reads any more.
    func send(_ value: JSONValue) -> Bool
    /// Whether the client has gone.
    var isClosed: Bool { get }
}

/// Answers control requests. Called by one thread a client; never holds the gateway up.
struct ControlService: Sendable {
    let gateway: any ControlledGateway
    let events: EventHub
    let log: TransitionLog
    let configuration: ActiveConfiguration
    /// How long `up` and `rekey` follow an attempt; longer than all retransmissions of an exchange.
    var attemptLimit: Duration = .seconds(120)

    /// Answers `request` on `channel`.
    func answer(_ request: ControlRequest, _ channel: any AnswerSink) {
        switch request {
        case .status:
            let document = StatusDocument(
                status: gateway.status(), configuration: configuration.current, failureTime: log.failureTime(of:))
            send(.result(document.json), channel)
        case .explain(let name):
            explain(name, channel)
        case .reload(let dryRun):
            reload(dryRun: dryRun, channel)
        case .up(let name):
            guard isKnown(name, channel) else { return }
            up(name, channel)
        case .down(let name):
            guard isKnown(name, channel) else { return }
            down(name, channel)
        case .rekey(let name, let ike):
            guard isKnown(name, channel) else { return }
            rekey(name, ike: ike, channel)
        }
    }

    private func up(_ name: String, _ channel: any AnswerSink) {
        let connection = configuration.current.connections.first { $0.name == name }
        let wanted = Set((connection?.children ?? []).map(\.name))
        events.following { follower in
            let now = status(of: name)
            var missing = wanted
            if let now, now.state == .established {
                missing.subtract(now.children.filter { $0.phase == .installed }.map(\.name))
            }
            if now?.state == .established, missing.isEmpty { return done("\(name) is up already", channel) }
            if connection?.hasRemote != true {
                return fail(
                    "peer_unreachable", "\(name) has no address to connect to",
                    "wait for the peer, or set remote_addrs in the configuration", channel)
            }
            guard gateway.perform(.initiate(connection: name, child: nil)) else { return refuse(channel) }
            // One of several IKE SAs may go while another stays or comes.
            let goesOn = { status(of: name).map { $0.state == .established || $0.state == .connecting } ?? false }
            follow(name, follower, channel, afterClose: goesOn) { report in
                guard case .childInstalled(_, let child, _, _) = report else { return nil }
                missing.remove(child)
                guard missing.isEmpty else { return nil }
                return wanted.count > 1
                    ? "\(name) is up: children \(wanted.sorted().joined(separator: ", ")) carry traffic"
                    : "\(name) is up: child \(child) carries traffic"
            }
        }
    }

    private func down(_ name: String, _ channel: any AnswerSink) {
        guard gateway.perform(.terminate(connection: name)) else { return refuse(channel) }
        let deadline = ContinuousClock.now + .seconds(5)
        // The machine closes on its own side at once; the peer's answer to the DELETE is a courtesy.
        let isUp = { status(of: name).map { $0.state == .established || $0.state == .connecting } ?? false }
        events.following { follower in
            while isUp(), ContinuousClock.now < deadline {
                _ = follower.next(before: min(deadline, .now + .milliseconds(50)))
            }
        }
        isUp()
            ? fail("timeout", "\(name) is still up after 5 s", "look at the gateway's log", channel)
            : done("\(name) is down", channel)
    }

    private func rekey(_ name: String, ike: Bool, _ channel: any AnswerSink) {
        events.following { follower in
            guard let now = status(of: name), now.state == .established,
                case let (sas, children) = rekeyable(now), ike ? sas > 0 : children > 0
            else {
                return fail(
                    "not_established", "\(name) is not up, so there is nothing to rekey", "adit up \(name)", channel)
            }
            guard gateway.perform(ike ? .rekeyIKE(connection: name) : .rekeyChildren(connection: name)) else {
                return refuse(channel)
            }
            var left = ike ? sas : children
            follow(name, follower, channel, afterClose: { false }) { report in
                switch report {
                case .ikeRekeyed where ike: left -= 1
                case .childInstalled(_, _, _, .some) where !ike: left -= 1
                default: break
                }
                guard left == 0 else { return nil }
                let done = sas == 1 ? "IKE SA" : "\(sas) IKE SAs"
                return "\(name): \(ike ? done : count(children, "child", "children")) rekeyed"
            }
        }
    }

    /// How many IKE SAs and Child SAs a rekey replaces: those of an IKE SA that is about to go stay as they are.
    private func rekeyable(_ connection: ConnectionStatus) -> (sas: Int, children: Int) {
        let leaving = Set(connection.ikeSAs.filter(\.isLeaving).map(\.initiatorSPI))
        let children = connection.children.filter { child in
            child.phase == .installed && !(child.owner.map { leaving.contains($0.initiatorSPI) } ?? false)
        }
        return (connection.ikeSAs.count - leaving.count, children.count)
    }

    private func refuse(_ channel: any AnswerSink) {
        fail("limit_reached", "too many requests wait for the gateway", "try again", channel)
    }

    /// Passes a connection's events on as progress, until `finished` says something, or it failed; `afterClose` says
    /// whether it goes on when an IKE SA is gone.
    private func follow(
        _ name: String, _ follower: EventFollower, _ channel: any AnswerSink, afterClose goesOn: () -> Bool,
        _ finished: (IKEReport) -> String?
    ) {
        let deadline = ContinuousClock.now + attemptLimit
        while ContinuousClock.now < deadline {
            guard let event = follower.next(before: min(deadline, .now + .seconds(1))) else {
                if channel.isClosed { return }
                continue
            }
            let text = EventText(event)
            guard case .ike(let report) = event, text.connection == name else {
                // A problem of the system may be why nothing comes of it: a refused command, a route, an interface.
                if case .warning(let warning) = event, !channel.send(ControlAnswer.progress(warning).json) { return }
                // Others' events are many: who is gone gives up the place.
                if channel.isClosed { return }
                continue
            }
            if case .failed(let failure) = report, failure.consequence == .ended {
                let remedy = failure.suggestion.hasSuffix(".") ? failure.suggestion.dropLast() : failure.suggestion[...]
                return fail(failure.code.rawValue, failure.message, "\(remedy) (adit explain \(name))", channel)
            }
            guard channel.send(ControlAnswer.progress(text.progress).json) else { return }
            if let message = finished(report) { return done(message, channel) }
            if case .closed(_, let reason) = report, !goesOn() {
                return fail("closed", "\(name) was closed: \(reason)", "look at the gateway's log", channel)
            }
        }
        fail(
            "timeout", "\(name): nothing was decided in \(attemptLimit.components.seconds) s", "adit explain \(name)",
            channel)
    }

    private func explain(_ name: String?, _ channel: any AnswerSink) {
        if let name, !isKnown(name, channel) { return }
        let names: [String?] = name.map { [$0] } ?? gateway.status().connections.map(\.name) + [nil]
        let failures = names.compactMap { name in
            gateway.lastFailure(of: name).map { FailureDocument.json($0, at: log.failureTime(of: $0)) }
        }
        let state = name.flatMap { status(of: $0) }?.state.rawValue
        send(.result(.object([("failures", .array(failures)), ("state", .optional(state))])), channel)
    }

    private func reload(dryRun: Bool, _ channel: any AnswerSink) {
        switch dryRun ? configuration.plan() : configuration.reload(into: gateway) {
        case .success(let outcome):
            for line in outcome.warnings + outcome.plan.lines.dropLast() {
                _ = channel.send(ControlAnswer.progress(line).json)
            }
            let message = outcome.plan.summary + (dryRun ? " (a dry run: nothing was changed)" : "")
            let result = JSONValue.object([
                ("message", .string(message)), ("applied", .boolean(!dryRun)), ("plan", outcome.plan.json),
                ("warnings", .array(outcome.warnings.map(JSONValue.string))),
            ])
            send(.result(result), channel)
        case .failure(let refusal):
            for line in refusal.problems { _ = channel.send(ControlAnswer.progress(line).json) }
            fail("configuration", "nothing was changed", "correct the file and reload again", channel)
        }
    }

    private func isKnown(_ name: String, _ channel: any AnswerSink) -> Bool {
        let names = configuration.current.connections.map(\.name)
        guard !names.contains(name) else { return true }
        let near = nearestWord(to: name, among: names).map { "did you mean \"\($0)\"?" }
        let shown = names.prefix(16).joined(separator: ", ")
        fail("no_such_connection", "there is no connection \(quoted(name))", near ?? "there are: \(shown)", channel)
        return false
    }

    private func status(of name: String) -> ConnectionStatus? { gateway.status().connections.first { $0.name == name } }

    private func done(_ message: String, _ channel: any AnswerSink) {
        send(.result(.object([("message", .string(message))])), channel)
    }

    private func fail(_ code: String, _ message: String, _ suggestion: String, _ channel: any AnswerSink) {
        send(.error(code: code, message: message, suggestion: suggestion), channel)
    }

    private func send(_ answer: ControlAnswer, _ channel: any AnswerSink) { _ = channel.send(answer.json) }
}
