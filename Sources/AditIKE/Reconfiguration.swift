// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// A new configuration, of which only what changed is touched (``ConnectionChange`` says what):
// 1. A connection of which IKE_SA_INIT or IKE_AUTH would be different goes with all its SAs, and is made anew.
// 2. Else its IKE SAs stay. A child whose SAs are made anew gets a new place in the ``ChildTable``, its old one is
// retired; whatever was planned for the old one is planned for the new one.
// 3. The Child SAs of what is retired are deleted at the peer; where there were any, or some were being made, the new
// child is asked for on the same IKE SA after that.
// 4. What an exchange under way makes of a retired child is not installed, and deleted at the peer.

extension IKEEndpoint {
    /// Replaces the configuration.
    mutating func configure(_ configurations: [ConnectionConfiguration]) {
        var kept: Set<String> = []
        var removed: [ConnectionID] = []
        let wanted = Dictionary(configurations.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for id in connections.ids {
            guard let current = connections[id]?.configuration else { continue }
            guard let next = wanted[current.name] else {
                takeDown(id, reason: "removed from the configuration")
                removed.append(id)
                continue
            }
            if follow(next, ConnectionChange(from: current, to: next), id) {
                kept.insert(current.name)
            } else {
                takeDown(id, reason: Self.changed)
                removed.append(id)
            }
        }
        connections.remove(removed)
        for configuration in configurations where kept.insert(configuration.name).inserted {
            let id = connections.add(configuration)
            if !startedChildren(id).isEmpty { timers.set(.initiate(id), at: now) }
        }
        connections.arrange(configurations.map(\.name))
    }

    /// Follows a change of a connection with its IKE SAs in place; false where they have to go.
    private mutating func follow(
        _ new: ConnectionConfiguration, _ change: ConnectionChange, _ id: ConnectionID
    ) -> Bool {
        switch change.effect {
        case .unchanged: return true
        case .replaced: return false
        case .kept: break
        }
        let used = childrenInUse(id)
        connections[id]?.pruneChildren(except: used)
        guard let before = connections[id] else { return false }
        let retired = change.children.count { $0.effect == .replaced || $0.effect == .removed }
        guard before.children.retiredCount + retired <= ChildTable.retiredLimit else { return false }
        connections[id]?.follow(new, change)
        if let waiting = before.resolving, !waiting.isEmpty, connections[id]?.resolving?.isEmpty ?? false {
            cancelAttempt(id, Self.changed)
            connections[id]?.resolving = nil
            timers.cancel(.resolution(id))
        }
        if attempts.place(of: id) != nil, !before.wanted.isEmpty, connections[id]?.wanted.isEmpty ?? false {
            cancelAttempt(id, Self.changed)
            attempts.withdraw(id)
        }
        if let attempt = before.attempt { withIKESA(attempt) { $0.followInAttempt(&$1) } }
        // What is left hands its plans over to what stays, which has deleted its own by then.
        let left = before.ikeSAs.filter { ikeSAs[$0]?.session?.handover != nil }
        for spi in before.ikeSAs.filter({ !left.contains($0) }) + left {
            withIKESA(spi) { $0.followInSession(before, change, &$1) }
        }
        // Who was put off after a failure is tried again, as a new connection is.
        if !startedChildren(id).isEmpty { timers.set(.initiate(id), at: now) }
        return true
    }

    /// The children of which there are SAs, or exchanges under way.
    private func childrenInUse(_ id: ConnectionID) -> Set<ChildID> {
        guard let connection = connections[id] else { return [] }
        var used: Set<ChildID> = []
        for sa in (connection.ikeSAs + [connection.attempt].compactMap { $0 }).compactMap({ ikeSAs[$0] }) {
            if case .authSent(let sent) = sa.state, let child = sent.child { used.insert(child.child) }
            if case .child(let negotiation) = sa.session?.exchange { used.insert(negotiation.child) }
            used.formUnion((sa.session?.children ?? []).map(\.child))
        }
        return used
    }

    // MARK: IKE SAs

    /// An attempt goes on for what took the place of the children that it was for.
    private mutating func followInAttempt(_ sa: inout IKESA) {
        guard let id = sa.connection, let children = connections[id]?.children else { return }
        let before = sa.wanted
        switch sa.state {
        case .initSent:
            sa.wanted = children.current(before)
            if sa.wanted.isEmpty, !before.isEmpty, sa.reauthenticates == nil {
                cancelAttempt(id, Self.changed)
                end(&sa, .none)
            }
        case .authSent(let sent):
            let negotiated = [sent.child?.child].compactMap { $0 }.filter { !children.isConfigured($0) }
            sa.wanted = children.current(negotiated + before)
        case .halfOpen, .established, .closing, .gone: break
        }
    }

    /// An IKE SA stays: it adopts what it can, and lets go what is retired.
    private mutating func followInSession(_ before: Connection, _ change: ConnectionChange, _ sa: inout IKESA) {
        guard let id = sa.connection, let connection = connections[id] else { return }
        let (old, new) = (before.configuration, connection.configuration)
        if old.dpdDelay != new.dpdDelay { watchLiveness(new, &sa) }
        if old.ikeRekeyTime != new.ikeRekeyTime { planIKERekey(new.ikeRekeyTime, &sa) }
        for index in sa.session?.children.indices ?? 0..<0 {
            guard let child = sa.session?.children[index], child.phase == .installed,
                let old = before.children[child.child], let new = connection.children[child.child],
                connection.children.isConfigured(child.child), old != new
            else { continue }
            adopt(new, insteadOf: old, rekeys: change.effect(on: new.name) == .rekeyed, at: index, &sa)
        }
        retireChildren(connection.children, &sa)
    }

    /// The time of an IKE SA counts from its beginning; what is over already is spread over a while.
    private mutating func planIKERekey(_ time: Duration, _ sa: inout IKESA) {
        guard let session = sa.session else { return }
        timers.cancel(.rekeyIKE(sa.spi))
        sa.session?.rekeyAt = time > .zero ? due(time, since: session.establishedAt) : nil
        if let due = sa.session?.rekeyAt, session.handover == nil { timers.set(.rekeyIKE(sa.spi), at: due) }
    }

    // MARK: Children

    /// A Child SA stays, under other values.
    private mutating func adopt(
        _ new: ChildConfiguration, insteadOf old: ChildConfiguration, rekeys: Bool, at index: Int, _ sa: inout IKESA
    ) {
        guard let child = sa.session?.children[index] else { return }
        let isLeft = sa.session?.handover != nil
        if old.rekeyTime != new.rekeyTime || rekeys {
            timers.cancel(.rekeyChild(child.inbound))
            timers.cancel(.expireChild(child.inbound))
            let planned = new.rekeyTime > .zero ? due(new.rekeyTime, since: child.installedAt) : nil
            let rekeyAt = rekeys ? now : planned
            sa.session?.children[index].rekeyAt = rekeyAt
            if let rekeyAt, !isLeft { timers.set(.rekeyChild(child.inbound), at: rekeyAt) }
            if new.rekeyTime > .zero {
                // Time enough to be rekeyed, however old it is.
                let limit = child.installedAt + hardLifetime(new)
                let least = (rekeyAt ?? now) + (hardLifetime(new) - new.rekeyTime)
                timers.set(.expireChild(child.inbound), at: max(limit, least))
            }
        }
        guard old.inactivity != new.inactivity else { return }
        timers.cancel(.inactivity(child.inbound))
        // Nobody has looked at its traffic before.
        if old.inactivity == .zero { sa.session?.children[index].lastTraffic = now }
        if let child = sa.session?.children[index], !isLeft { watchInactivity(child, new) }
    }

    /// When something is due that is done `time` after `start`; not all at once where that is over.
    private func due(_ time: Duration, since start: Timestamp) -> Timestamp {
        let due = start + jittered(time)
        return due > now ? due : now + (time - jittered(time))
    }

    /// Deletes the Child SAs of retired children, and asks for what took their place.
    private mutating func retireChildren(_ children: ChildTable, _ sa: inout IKESA) {
        guard let session = sa.session else { return }
        let retired = session.children.filter { !children.isConfigured($0.child) }
        let planned = (session.tasks + session.postponed).compactMap(\.created).filter { !children.isConfigured($0) }
        let isGoing = { (child: ChildSA) in child.phase == .deleting || child.phase == .draining }
        var wanted = retired.filter { !isGoing($0) }.map(\.child) + planned
        if case .child(let negotiation) = session.exchange, !children.isConfigured(negotiation.child) {
            wanted.append(negotiation.child)
        }
        sa.session?.forgetPlans { !children.isConfigured($0) }
        let spis = retired.filter { !isGoing($0) }.map(\.inbound)
        // One that the peer may not know yet is deleted later, and the others do not wait for that.
        let unconfirmed = spis.filter { $0 == session.unconfirmed?.inbound }
        let known = spis.filter { $0 != session.unconfirmed?.inbound }
        for some in [known, unconfirmed] where !some.isEmpty { startDelete(some, &sa) }
        let anew = children.current(wanted)
        guard let handover = session.handover else {
            for child in anew { addTask(.createChild(child), &sa) }
            return
        }
        let unfinished = children.current(handover.unfinished + anew)
        sa.session?.handover?.unfinished = unfinished
        if let survivor = survivor(of: sa) { ask(survivor, for: anew) }
    }

    /// Whether a reload has retired a child of an IKE SA's connection.
    func isRetired(_ child: ChildID, _ sa: IKESA) -> Bool {
        sa.connection.flatMap { connections[$0].map { !$0.children.isConfigured(child) } } ?? true
    }

    /// The answer to a request for a child that was retired meanwhile: what the peer made goes again.
    mutating func dropRetired(_ negotiation: ChildNegotiation, _ contents: PayloadContents, _ sa: inout IKESA) {
        forgetSPI(negotiation.spi)
        guard contents.errors.isEmpty, contents.securityAssociation?.proposals.first?.espSPI != nil else { return }
        // Before what takes its place is asked for.
        addUrgent(.deleteChildren([negotiation.spi]), &sa)
        startNextTask(&sa)
    }

    /// Whether Child SAs are still to be deleted whose place a child takes: the peer would take the new one for a copy.
    func waitsForRetired(_ child: ChildID, _ sa: IKESA) -> Bool {
        guard let id = sa.connection, let children = connections[id]?.children else { return false }
        return sa.session?.children.contains {
            $0.phase == .deleting && $0.child != child && children.current($0.child) == child
        } ?? false
    }

    /// What people are told.
    private static let changed = "configuration changed"
}

extension Session {
    /// Forgets what was to be created of some children.
    fileprivate mutating func forgetPlans(of isRetired: (ChildID) -> Bool) {
        tasks.removeAll { $0.created.map(isRetired) ?? false }
        postponed.removeAll { $0.created.map(isRetired) ?? false }
    }
}
