// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// What happens when something fails: to the IKE SA, to its connection, and what people are told.

extension IKEEndpoint {
    /// An IKE SA is over because of a failure.
    mutating func fail(_ sa: inout IKESA, _ report: FailureReport, _ farewell: Farewell) {
        let id = sa.connection
        switch sa.state {
        case .initSent:
            let wanted = sa.wanted
            end(&sa, .none)
            if let id { attemptFailed(id, children: wanted, report, replacing: sa.reauthenticates) }
        case .authSent(let sent):
            let wanted = (sent.child.map { [$0.child] } ?? []) + sa.wanted
            end(&sa, farewell)
            if let id { attemptFailed(id, children: wanted, report, replacing: sa.reauthenticates) }
        case .established(let session):
            let children = session.children.map(\.child)
            let lived = now - session.establishedAt
            // Why comes before what: whoever follows the connection hears of the failure first.
            noteFailure(report, sa)
            close(&sa, farewell, reason: report.message)
            if let id { lost(id, children: children, lived: lived, deadPeer: report.code == .deadPeer) }
        case .halfOpen:
            end(&sa, farewell)
            noteFailure(report.ofRefusal, sa, isProven: sa.isPeerProven)
        case .closing(let closing): forget(&sa, closing.firstMessage)
        case .gone: break
        }
    }

    /// The retransmissions of a request are used up.
    mutating func giveUp(_ sa: inout IKESA) {
        switch sa.state {
        case .initSent(let sent):
            let report =
                sent.refusal.map { refusedInit($0, sa) } ?? sent.unacceptable.map { unacceptableInit($0, sent, sa) }
                ?? sent.cookie.map { _ in cookieInVain(sa) }
            fail(&sa, report ?? unreachable(sa), .none)
        case .authSent: fail(&sa, timeout(sa), .none)
        case .established:
            if !leaveDead(&sa) { fail(&sa, deadPeer(sa), .none) }
        case .closing(let closing): forget(&sa, closing.firstMessage)
        case .halfOpen, .gone: break
        }
    }

    /// A message of ours cannot leave this host.
    ///
    /// An attempt to which nobody has answered yet goes on with the next address at once. All others are sent again as
    /// if the message had been lost: the network may come back.
    mutating func unsendable(_ bytes: [UInt8], local: Endpoint, remote: Endpoint, _ reason: SendFailure) {
        var reader = ByteReader(bytes)
        guard let header = try? IKEHeader(parsing: &reader), header.flags.contains(.initiator) else { return }
        withIKESA(header.initiatorSPI) { endpoint, sa in
            guard case .initSent(let sent) = sa.state, sent.isUnanswered, sa.window.outstanding?.sendings == 1,
                sa.local == local, sa.remote == remote
            else { return }
            endpoint.fail(&sa, endpoint.cannotSend(reason, sa), .none)
        }
    }

    /// Records and tells a failure that leaves the connection's plans as they are.
    mutating func noteFailure(_ report: FailureReport, _ sa: IKESA, isProven: Bool = true) {
        // A half-open IKE SA belongs to no connection yet, but its report may name the one that the peer meant.
        if let id = sa.connection ?? report.connection.flatMap({ connections.id(named: $0) }) {
            if isProven {
                connections[id]?.lastFailure = report
            } else {
                connections[id]?.unprovenFailure = report
            }
        }
        effects.append(.report(.failed(report)))
    }

    /// An attempt of ours failed: the next address at once, else after a wait that doubles.
    ///
    /// Where it was to take the place of the IKE SA `old`, that one stays and tries again.
    mutating func attemptFailed(
        _ id: ConnectionID, children: [ChildID], _ report: FailureReport, replacing old: IKESPI? = nil
    ) {
        guard let connection = connections[id] else { return tell(report, id, .ended) }
        if let old, retryReauthentication(connection.established[old] == nil ? working(connection) : old) {
            tell(report, id, .kept)
            // What was asked for meanwhile comes up on the IKE SA that stays.
            bring(id, children)
            return
        }
        connections[id]?.hasFailed = true
        let isLast = !connection.hasUntriedRemote
        if isLast { connections[id]?.tried = [] }
        let unreachable = report.code == .peerUnreachable || report.code == .timeout
        if unreachable, !isLast, !connection.children.current(children).isEmpty {
            tell(report, id, .nextAddress)
            bring(id, children)
            return
        }
        tell(report, id, .ended)
        connections[id]?.failures += 1
        let due = now + backOff(connections[id]?.failures ?? 1)
        connections[id]?.notBefore = due
        if !startedChildren(id).isEmpty { timers.set(.initiate(id), at: due) }
    }

    /// Records and tells why an attempt of ours failed, and what follows.
    private mutating func tell(
        _ report: FailureReport, _ id: ConnectionID, _ consequence: FailureReport.Consequence
    ) {
        var report = report
        report.consequence = consequence
        connections[id]?.lastFailure = report
        effects.append(.report(.failed(report)))
    }

    /// An attempt that is under way will not be finished: whoever waits for it hears of that.
    mutating func cancelAttempt(_ id: ConnectionID, _ reason: String) {
        guard let connection = connections[id], isAttempting(connection) else { return }
        let report = cancelled(connection, by: reason)
        connections[id]?.lastFailure = report
        effects.append(.report(.failed(report)))
    }

    /// A child could not be made; its IKE SA stands. `first` is the traffic for which it was asked.
    mutating func childFailed(
        _ child: ChildID, first: SelectorPair? = nil, _ report: FailureReport, _ sa: inout IKESA
    ) {
        if let first, sa.session?.live(child: child) != nil {
            furtherFailed(child, first, report, sa)
            return
        }
        noteFailure(report, sa)
        guard let id = sa.connection, connections[id] != nil else { return }
        connections[id]?.failedChild = child
        connections[id]?.awaited.forget(child)
        connections[id]?.failures += 1
        let due = now + backOff(connections[id]?.failures ?? 1)
        connections[id]?.notBefore = due
        if startedChildren(id).contains(child) { timers.set(.initiate(id), at: due) }
    }

    /// An IKE SA or some children of a connection are gone, and not because we wanted it.
    mutating func lost(_ id: ConnectionID, children: [ChildID], lived: Duration, deadPeer: Bool) {
        guard let connection = connections[id], !connection.held, connection.canInitiate else { return }
        // A tunnel that never lives long is not retried ever so fast.
        connections[id]?.failures = lived >= Self.stableAfter ? 0 : connection.failures + 1
        var wanted = startedChildren(id)
        if deadPeer {
            switch connection.configuration.dpdAction {
            case .restart: wanted = Array(Set(wanted + connection.children.current(children))).sorted()
            case .trap: return giveUp(id, .trap)
            case .clear: return giveUp(id, .clear)
            }
        }
        guard !wanted.isEmpty else { return }
        connections[id]?.wanted += wanted
        timers.set(.initiate(id), at: deadPeer ? now : now + backOff(max(connections[id]?.failures ?? 1, 1)))
    }

    /// The peer is dead, and `dpd_action` says that nothing is to be tried by itself.
    private mutating func giveUp(_ id: ConnectionID, _ action: ConnectionConfiguration.DeadPeerAction) {
        // Where another peer of the connection is connected, that one goes on.
        guard connections[id]?.established.isEmpty ?? false else { return }
        timers.cancel(.initiate(id))
        connections[id]?.wanted = []
        connections[id]?.afterDeath = action
    }

    /// The children that come up by themselves; none while the connection is held down.
    func startedChildren(_ id: ConnectionID) -> [ChildID] {
        guard let connection = connections[id], connection.canInitiate, !connection.held else { return [] }
        return connection.started
    }

    func backOff(_ failures: Int) -> Duration {
        let doublings = min(max(failures - 1, 0), Self.doublingLimit)
        return spread(min(limits.initiateBackOffInitial * (1 << doublings), limits.initiateBackOffMaximum))
    }

    private static let doublingLimit = 16
    private static let stableAfter: Duration = .seconds(30)
}
