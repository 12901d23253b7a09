// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// One IKE SA takes over from another one to the same peer, make before break:
// 1. The one that goes is left: it carries on, but no rekey begins on it, and what it was still to create is asked of
// the one that stays.
// 2. The one that stays is asked whether it lives. Its answer shows that the peer has it, and has not closed it to keep
// the other one.
// 3. When it carries every child, and the peer knows of each of them, the other one is deleted: by the side that made
// the one that stays, or by the other side a little later. Its children receive until the peer has heard of that.
// An IKE SA that was left stays when the one that was to take over does not live.

extension IKEEndpoint {
    /// From now on another IKE SA takes over from this one.
    mutating func leave(_ sa: inout IKESA, _ reason: Session.Handover.Reason) {
        guard sa.session?.handover == nil else { return }
        let handover = Session.Handover(since: now, reason: reason, unfinished: unfinished(sa))
        sa.session?.handover = handover
        sa.session?.tasks.removeAll { $0.isPlan }
        sa.session?.postponed.removeAll { $0.isPlan }
        putToRest(sa)
        if reason != .reauthenticated { addTask(.liveness, &sa) }
    }

    /// Watches an IKE SA that is left, and stops what would renew it.
    mutating func putToRest(_ sa: IKESA) {
        if let key = peerKey(of: sa) { leaving[key, default: []].insert(sa.spi) }
        timers.set(.handover(sa.spi), at: now)
        timers.cancel(.rekeyIKE(sa.spi))
        timers.cancel(.reauthenticate(sa.spi))
        for child in sa.session?.children ?? [] {
            timers.cancel(.rekeyChild(child.inbound))
            timers.cancel(.inactivity(child.inbound))
        }
    }

    /// An IKE SA that was left stays after all.
    mutating func stay(_ sa: inout IKESA) {
        guard let session = sa.session, let handover = session.handover, let id = sa.connection else { return }
        sa.session?.handover = nil
        forgetLeaving(sa)
        if let due = session.reauthAt { timers.set(.reauthenticate(sa.spi), at: max(due, now + Self.reauthInterval)) }
        if let due = session.rekeyAt { timers.set(.rekeyIKE(sa.spi), at: max(due, now)) }
        for child in session.children where child.phase == .installed {
            if let due = child.rekeyAt { timers.set(.rekeyChild(child.inbound), at: max(due, now)) }
            if let configuration = connections[id]?.children[child.child] { watchInactivity(child, configuration) }
        }
        for child in handover.unfinished { addTask(.createChild(child), &sa) }
        if !startedChildren(id).isEmpty { timers.set(.initiate(id), at: now) }
    }

    /// An IKE SA is no longer left: it stays, or is gone.
    mutating func forgetLeaving(_ sa: IKESA) {
        timers.cancel(.handover(sa.spi))
        guard let key = peerKey(of: sa), leaving[key]?.remove(sa.spi) != nil else { return }
        if leaving[key]?.isEmpty ?? false { leaving[key] = nil }
    }

    /// The IKE SA that takes over from one that is left, or that remains when one goes.
    func survivor(of sa: IKESA) -> IKESPI? {
        rivals(of: sa).last { ikeSAs[$0]?.session.map { $0.handover == nil } ?? false }
    }

    /// The children that we have made on an IKE SA, or were about to make.
    func unfinished(_ sa: IKESA) -> [ChildID] {
        guard let session = sa.session else { return [] }
        var found = Set((session.tasks + session.postponed).compactMap(\.created))
        if case .child(let negotiation) = session.exchange { found.insert(negotiation.child) }
        found.formUnion(session.children.filter { $0.phase == .installed && $0.weInitiated }.map(\.child))
        let children = sa.connection.flatMap { connections[$0]?.children }
        return children?.current(found.sorted()) ?? []
    }

    /// Asks for children on another IKE SA, where they are missing.
    mutating func ask(_ spi: IKESPI, for children: [ChildID]) {
        withIKESA(spi) { endpoint, sa in
            for child in children where sa.session?.live(child: child) == nil {
                endpoint.addTask(.createChild(child), &sa)
            }
        }
    }

    /// The peer has answered on an IKE SA.
    mutating func noteAnswer(_ sa: inout IKESA) {
        let requestedAt = sa.session?.requestedAt
        sa.session?.answeredAsOf = requestedAt
        reviewHandovers(sa)
    }

    /// Something changed on an IKE SA that others may be waiting for.
    mutating func reviewHandovers(_ sa: IKESA) {
        guard !leaving.isEmpty, let key = peerKey(of: sa) else { return }
        let left = (leaving[key] ?? []).sorted { $0.rawValue < $1.rawValue }
        for spi in left where spi != sa.spi { timers.set(.handover(spi), at: now) }
    }

    /// Closes an IKE SA from which another one has taken over.
    mutating func finishHandover(_ spi: IKESPI) {
        withIKESA(spi) { endpoint, old in
            guard let session = old.session, let handover = session.handover else { return }
            guard let survivor = endpoint.survivor(of: old), let heir = endpoint.ikeSAs[survivor],
                let new = heir.session
            else {
                endpoint.stay(&old)
                return
            }
            let waited = endpoint.now - handover.since
            let isProven = handover.reason == .reauthenticated || new.hasAnswered(since: handover.since)
            let isOurTurn = new.origin.isOurs || waited >= Self.patience
            let missing = Set(session.children.map(\.child)).filter { endpoint.missingTraffic(of: $0, heir) != nil }
            if isProven, isOurTurn, new.carries(session, missing: missing) || waited >= Self.handoverLimit {
                endpoint.close(&old, .delete, reason: handover.reason.text)
                return
            }
            endpoint.timers.set(.handover(spi), at: endpoint.now + Self.handoverInterval)
            if handover.stage == 0, isOurTurn {
                old.session?.handover?.stage = 1
                if !isProven, session.hasAnswered(since: handover.since) { endpoint.send(on: session) }
                endpoint.ask(survivor, for: handover.unfinished)
            } else if handover.stage == 1, waited >= Self.longPatience {
                old.session?.handover?.stage = 2
                endpoint.ask(survivor, for: session.children.filter { $0.phase == .installed }.map(\.child))
            }
        }
    }

    /// Of two IKE SAs the peer is heard on this one alone: it is sent on until that changes.
    private mutating func send(on session: Session) {
        for child in session.children where child.phase == .installed && session.isKnown(child) {
            effects.append(.activateOutbound(inboundSPI: child.inbound))
        }
    }

    /// The peer does not answer on an IKE SA beside which it has another one; false when it has none.
    mutating func leaveDead(_ sa: inout IKESA) -> Bool {
        guard isUnique(sa), let other = survivor(of: sa) ?? rivals(of: sa).last, let session = sa.session else {
            return false
        }
        let children = Set(unfinished(sa) + session.children.filter { $0.phase == .installed }.map(\.child)).sorted()
        var report = deadPeer(sa)
        report.consequence = .kept
        effects.append(.report(.failed(report)))
        // The peer may live and have the other one only.
        close(&sa, .delete, reason: report.message)
        ask(other, for: children)
        addTask(.liveness, to: other)
        return true
    }

    // MARK: Children

    /// Removes every child of an IKE SA.
    ///
    /// What another IKE SA to the same peer has as well is sent there from now on, and with `drains` still received for
    /// a while as it was: the Child SAs that are returned.
    mutating func removeChildren(_ sa: inout IKESA, drains: Bool) -> [SPI] {
        var drained: [SPI] = []
        while let child = sa.session?.children.last, let count = sa.session?.children.count {
            guard let heir = heir(of: child, sa) else {
                removeChild(at: count - 1, &sa)
                continue
            }
            let (spi, isDraining) = (sa.spi, child.phase == .draining)
            var isAdopted = false
            withIKESA(heir) { endpoint, new in
                if !isDraining { endpoint.takeOver(child, &new) }
                guard drains, new.session?.children.count ?? 0 < endpoint.limits.allChildrenPerIKESA else { return }
                endpoint.drain(child, of: spi, &new)
                isAdopted = true
            }
            if isAdopted {
                sa.session?.children.removeLast()
                drained.append(child.inbound)
            } else {
                removeChild(at: count - 1, &sa)
            }
        }
        return drained
    }

    /// The IKE SA to the same peer that has what a child carries.
    private func heir(of child: ChildSA, _ sa: IKESA) -> IKESPI? {
        let able = rivals(of: sa).filter { spi in
            guard let other = ikeSAs[spi], other.session?.sendingIndex(for: child) != nil else { return false }
            return isUnique(sa) || other.remote.address == sa.remote.address
        }
        return able.last { ikeSAs[$0]?.session?.handover == nil } ?? able.last
    }

    /// From now on a child is sent on this IKE SA.
    private mutating func takeOver(_ child: ChildSA, _ sa: inout IKESA) {
        guard let index = sa.session?.sendingIndex(for: child), let inbound = sa.session?.children[index].inbound
        else { return }
        sa.session?.children[index].outboundActive = true
        effects.append(.activateOutbound(inboundSPI: inbound))
    }

    /// A Child SA of an IKE SA that is gone only receives, and goes soon.
    private mutating func drain(_ child: ChildSA, of spi: IKESPI, _ sa: inout IKESA) {
        var drained = child
        drained.phase = .draining
        if child.phase != .draining { drained.leftBy = spi }
        // Below the SAs that are in use, of which the last one is the newest.
        sa.session?.children.insert(drained, at: 0)
        childOwners[child.inbound] = sa.spi
        guard child.phase != .draining else { return }
        timers.cancel(.rekeyChild(child.inbound))
        timers.cancel(.inactivity(child.inbound))
        timers.set(.expireChild(child.inbound), at: now + Self.drainTime)
    }

    /// The time of a Child SA that only receives is over, unless the peer may still not know that its IKE SA is gone.
    mutating func finishDraining(at index: Int, _ sa: inout IKESA) {
        guard let child = sa.session?.children[index] else { return }
        if let left = child.leftBy, case .closing(let closing) = ikeSAs[left]?.state, closing.purpose != .linger {
            timers.set(.expireChild(child.inbound), at: now + Self.drainTime)
        } else {
            removeChild(at: index, &sa)
        }
    }

    /// The peer knows that an IKE SA is gone: what it sent before that may still be under way.
    mutating func drainOut(_ closing: Closing) {
        for spi in closing.drained where childOwners[spi] != nil {
            timers.set(.expireChild(spi), at: now + Self.drainTime)
        }
    }

    /// The peer sends on a Child SA: where another IKE SA is left for this one, so do we.
    mutating func follow(_ child: ChildSA, _ sa: inout IKESA) {
        guard child.isInUse, sa.session?.handover == nil, !leaving.isEmpty, let key = peerKey(of: sa),
            leaving[key] != nil
        else { return }
        takeOver(child, &sa)
    }

    private static let handoverInterval: Duration = .seconds(1)
    /// So long the side that made the IKE SA that stays has, before the other one acts.
    private static let patience: Duration = .seconds(2)
    /// So long a side has to make its children again, before the other one makes them.
    private static let longPatience: Duration = .seconds(10)
    /// After so long an IKE SA is closed although the other one does not carry what it carries.
    private static let handoverLimit: Duration = .seconds(90)
}

extension Session {
    /// Whether the peer has answered something that was asked at this time or later.
    fileprivate func hasAnswered(since time: Timestamp) -> Bool { answeredAsOf.map { $0 >= time } ?? false }

    /// Whether the peer knows that a Child SA is there.
    fileprivate func isKnown(_ child: ChildSA) -> Bool { unconfirmed?.inbound != child.inbound }

    /// Whether each child that another IKE SA carries is here, and known to the peer; of those that are still asked
    /// for, with all that it lets through.
    fileprivate func carries(_ other: Session, missing: Set<ChildID>) -> Bool {
        other.children.allSatisfy { child in
            child.phase != .installed
                || (!isAsking(for: child.child)
                    && children.contains {
                        $0.child == child.child && $0.isInUse && isKnown($0)
                            && (!missing.contains(child.child) || $0.passed.covers(child.passed))
                    })
        }
    }

    /// Whether we are asking for a child: the peer may have made it, and given up one of its own for it, while its
    /// answer is still on the way.
    private func isAsking(for child: ChildID) -> Bool {
        if case .child(let negotiation) = exchange { negotiation.child == child } else { false }
    }

    /// Where the Child SA is that a child is sent on: not a successor that the peer may not have.
    fileprivate func sendingIndex(for child: ChildSA) -> Int? {
        let inUse = children.indices.filter { children[$0].child == child.child && children[$0].isInUse }
        // Of several that the peer has narrowed, those that let through what it does.
        let able = inUse.filter { children[$0].passed.covers(child.passed) }
        let found = able.isEmpty ? inUse : able
        return found.last { children[$0].outboundActive } ?? found.first
    }

    /// Whether it has a Child SA that is neither being deleted nor only receives.
    func isInUse(_ spi: SPI) -> Bool { children.contains { $0.inbound == spi && $0.isInUse } }
}

extension ChildSA {
    fileprivate var isInUse: Bool { phase != .deleting && phase != .draining }
}

extension IKETask {
    /// The child that is to be created.
    var created: ChildID? { if case .createChild(let child) = self { child } else { nil } }

    /// Whether it is of no use on an IKE SA that is about to go.
    fileprivate var isPlan: Bool {
        switch self {
        case .createChild, .rekeyChild, .rekeyIKE: true
        case .deleteChildren, .liveness, .updateAddresses, .announceAddresses, .verifyPeer: false
        }
    }
}

extension Session.Handover.Reason {
    fileprivate var text: String {
        switch self {
        case .reauthenticated: "the peers have authenticated anew"
        case .replaced: "replaced by a newer IKE SA to the same peer"
        case .crossed: "both peers initiated at once, and the other IKE SA stays"
        }
    }
}
