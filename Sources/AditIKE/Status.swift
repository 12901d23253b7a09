// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

extension IKEEndpoint {
    /// A snapshot of every configured connection, in configuration order.
    public func status() -> [ConnectionStatus] { connections.ids.compactMap { connections[$0].map(status(of:)) } }

    /// How much there is in all.
    public var totals: IKETotals {
        var totals = IKETotals()
        totals.ikeSAs = ikeSAs.count
        totals.halfOpen = halfOpen.count
        totals.childSAs = childOwners.count
        totals.ignored = counters
        return totals
    }

    private func status(of connection: Connection) -> ConnectionStatus {
        let sas = connection.ikeSAs.compactMap { ikeSAs[$0] }
        let children = sas.flatMap { sa in
            (sa.session?.children ?? []).filter { $0.phase != .draining }.compactMap { child in
                connection.children[child.child].map { status(of: child, $0, in: sa) }
            }
        }
        return ConnectionStatus(
            name: connection.configuration.name, state: state(of: connection),
            ikeSA: (sas.last { $0.session?.handover == nil } ?? sas.last).flatMap { status(of: $0) },
            ikeSAs: sas.compactMap { status(of: $0) }, children: children,
            lastFailure: connection.lastFailure ?? connection.unprovenFailure)
    }

    private func state(of connection: Connection) -> ConnectionStatus.State {
        if !connection.established.isEmpty { return .established }
        if connection.held { return .down }
        if isAttempting(connection) { return .connecting }
        // Where children only wait for the peer they go on doing so.
        let isCleared =
            connection.afterDeath == .clear
            && connection.configuration.children.contains { $0.startAction != .none }
        if connection.hasFailed || isCleared { return .failed }
        guard connection.canInitiate else { return .waiting }
        if !connection.started.isEmpty { return .connecting }
        return connection.children.ids.contains { connection.isAwaited($0) } ? .trap : .waiting
    }

    /// A snapshot of an authenticated IKE SA.
    func status(of sa: IKESA) -> IKESAStatus? {
        guard let session = sa.session else { return nil }
        return IKESAStatus(
            role: sa.role, local: sa.local, remote: sa.remote, localID: session.localID, remoteID: session.remoteID,
            localBehindNAT: sa.localBehindNAT, remoteBehindNAT: sa.remoteBehindNAT, remoteFakesNAT: sa.remoteFakesNAT,
            mobike: sa.mobility != nil,
            remoteAddresses: (sa.mobility?.peerAddresses ?? []).filter { $0 != sa.remote.address },
            initiatorSPI: sa.initiatorSPI.rawValue, responderSPI: sa.responderSPI.rawValue,
            proposal: session.keying.choice.proposal.suiteDescription, establishedAt: session.establishedAt,
            rekeyAt: session.rekeyAt, isLeaving: session.handover != nil,
            originalRole: session.origin.isOurs ? .initiator : .responder)
    }

    /// A snapshot of a Child SA.
    func status(of child: ChildSA, _ configuration: ChildConfiguration, in sa: IKESA? = nil) -> ChildSAStatus {
        let phase: ChildSAStatus.Phase =
            switch child.phase {
            case .installed: .installed
            case .superseded, .draining: .rekeyed
            case .deleting: .deleting
            }
        return ChildSAStatus(
            name: configuration.name, inboundSPI: child.inbound, outboundSPI: child.outbound,
            proposal: child.proposal, esn: child.esn, replayWindow: configuration.replayWindow,
            localSelectors: child.localSelectors, remoteSelectors: child.remoteSelectors,
            installedAt: child.installedAt, rekeyAt: child.rekeyAt, phase: phase,
            askedLocalSelectors: child.asked.local, askedRemoteSelectors: child.asked.remote,
            passedLocalSelectors: child.passed.local, passedRemoteSelectors: child.passed.remote,
            isNarrowed: isNarrowed(child, configuration), configuredLocalSelectors: configuration.localSelectors,
            configuredRemoteSelectors: configuration.remoteSelectors,
            owner: sa.map { sa in
                ChildSAStatus.Owner(
                    initiatorSPI: sa.initiatorSPI.rawValue, responderSPI: sa.responderSPI.rawValue, remote: sa.remote,
                    remoteID: sa.session?.remoteID)
            })
    }

    /// Whether less was agreed than was asked for, or less passes than is configured.
    private func isNarrowed(_ child: ChildSA, _ configuration: ChildConfiguration) -> Bool {
        let given = SelectorPair(local: child.localSelectors, remote: child.remoteSelectors)
        let configured = SelectorPair(local: configuration.localSelectors, remote: configuration.remoteSelectors)
        return !given.covers(child.asked) || !child.passed.covers(configured)
    }
}
