// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// Authenticating anew (RFC 7296 §2.8.3, RFC 4478), make before break:
// 1. The original initiator makes a new IKE SA with all children while the old one works.
// 2. Each new child takes over sending from the one of the old IKE SA; the responder follows when it sees the new one
// used, or the old one go.
// 3. When every child is there, the old IKE SA is deleted; its children still receive what is under way.
// The original responder says how long it takes an authentication for valid, and lets a peer go that is late.

extension IKEEndpoint {
    /// Starts the clock of an IKE SA whose sides have just proved who they are; `peer` is the lifetime that the peer
    /// gives us, which may also come later.
    mutating func limitAuthentication(_ sa: inout IKESA, peer: Duration? = nil) {
        guard let session = sa.session, let id = sa.connection,
            let own = connections[id]?.configuration.reauthTime
        else { return }
        var due = session.reauthAt
        if due == nil, own > .zero {
            let limit = session.establishedAt + own + max(own / 10, Self.reauthGrace)
            // RFC 4478 §2: the responder deletes soon after the end of the lifetime.
            due = session.authenticatedAsInitiator ? session.establishedAt + jittered(own) : limit
            sa.session?.reauthLimit = limit
        }
        if let peer, session.authenticatedAsInitiator {
            // RFC 4478 §2: within the time indicated, from now on; §5: within reason.
            let wanted = max(now + peer * 9 / 10, session.establishedAt + Self.reauthInterval)
            due = min(due ?? wanted, wanted)
        }
        guard let due else { return }
        sa.session?.reauthAt = due
        timers.set(.reauthenticate(sa.spi), at: due)
    }

    /// AUTH_LIFETIME of a connection, for the initiator (RFC 4478 §3).
    func authenticationLifetime(_ configuration: ConnectionConfiguration) -> NotifyPayload? {
        guard configuration.reauthTime > .zero else { return nil }
        let seconds = UInt32(clamping: configuration.reauthTime.components.seconds)
        return NotifyPayload(.authLifetime, data: (0..<4).map { UInt8(truncatingIfNeeded: seconds >> (24 - 8 * $0)) })
    }

    /// The time to authenticate anew has come, or the time that the peer had for it is over.
    mutating func reauthenticate(_ spi: IKESPI) {
        guard let old = ikeSAs[spi], let session = old.session, let id = old.connection,
            let connection = connections[id]
        else { return }
        if let limit = session.reauthLimit, limit <= now {
            withIKESA(spi) { endpoint, sa in endpoint.fail(&sa, endpoint.notReauthenticated(sa), .delete) }
            return
        }
        guard session.authenticatedAsInitiator else { return }
        guard connection.attempt == nil, !connection.held, connection.canInitiate else {
            timers.set(.reauthenticate(spi), at: now + spread(Self.reauthInterval))
            return
        }
        let live = session.children.filter { $0.phase == .installed || $0.phase == .deleting }.map(\.child)
        initiate(id, children: Array(Set(live)).sorted(), replacing: old)
    }

    /// An IKE SA could not be authenticated anew: it is tried again, until its time is over. False when it is gone.
    mutating func retryReauthentication(_ spi: IKESPI?) -> Bool {
        guard let spi, let session = ikeSAs[spi]?.session, let id = ikeSAs[spi]?.connection else { return false }
        connections[id]?.failures += 1
        let due = now + max(backOff(connections[id]?.failures ?? 1), Self.reauthInterval)
        timers.set(.reauthenticate(spi), at: min(due, session.reauthLimit ?? due))
        return true
    }

    /// The peers have authenticated anew: the IKE SAs before are left as soon as `new` carries what they carry.
    mutating func handOver(to new: IKESA) {
        for spi in rivals(of: new) {
            withIKESA(spi) { endpoint, old in
                // Nothing more is asked of it; what it carries goes on until it is closed.
                old.session?.handoverSince = endpoint.now
                old.session?.tasks = []
                old.session?.postponed = []
                for timer in [IKETimer.rekeyIKE(spi), .reauthenticate(spi), .rival(spi)] {
                    endpoint.timers.cancel(timer)
                }
                for child in old.session?.children ?? [] {
                    endpoint.timers.cancel(.rekeyChild(child.inbound))
                    endpoint.timers.cancel(.inactivity(child.inbound))
                }
                endpoint.timers.set(.handover(spi), at: endpoint.now + Self.handoverInterval)
            }
        }
    }

    /// Closes an IKE SA whose successor is complete.
    mutating func finishHandover(_ spi: IKESPI) {
        withIKESA(spi) { endpoint, old in
            guard let session = old.session, let since = session.handoverSince else { return }
            guard let new = endpoint.rivals(of: old).last.flatMap({ endpoint.ikeSAs[$0]?.session }) else {
                // The new one has not lived: this one stays, and tries again.
                old.session?.handoverSince = nil
                endpoint.timers.set(.reauthenticate(spi), at: endpoint.now + Self.reauthInterval)
                return
            }
            let isComplete = session.children.allSatisfy {
                $0.phase != .installed || new.live(child: $0.child) != nil
            }
            guard isComplete || endpoint.now - since >= Self.handoverLimit else {
                endpoint.timers.set(.handover(spi), at: endpoint.now + Self.handoverInterval)
                return
            }
            endpoint.close(&old, .delete, reason: "the peers have authenticated anew")
        }
    }

    /// Removes every child of an IKE SA.
    ///
    /// What another IKE SA to the same peer has taken over sends there from now on, and with `drains` still receives
    /// for a while what is under way.
    mutating func removeChildren(_ sa: inout IKESA, drains: Bool) {
        while let child = sa.session?.children.last, let count = sa.session?.children.count {
            guard let heir = heir(of: child, sa) else {
                removeChild(at: count - 1, &sa)
                continue
            }
            var isAdopted = false
            withIKESA(heir) { endpoint, new in
                if let next = new.session?.successor(of: child) { endpoint.activateOutbound(at: next, &new) }
                guard drains, new.session?.children.count ?? 0 < endpoint.limits.childrenPerIKESA else { return }
                endpoint.drain(child, &new)
                isAdopted = true
            }
            if isAdopted {
                sa.session?.children.removeLast()
            } else {
                removeChild(at: count - 1, &sa)
            }
        }
    }

    /// The IKE SA to the same peer that has taken over from a child; none where the child had taken over from it.
    private func heir(of child: ChildSA, _ sa: IKESA) -> IKESPI? {
        guard child.phase != .draining else { return nil }
        return rivals(of: sa).last { spi in
            ikeSAs[spi]?.session?.live(child: child.child) != nil
                && child.replaces.map { childOwners[$0] != spi } ?? true
        }
    }

    /// A Child SA of an IKE SA that is gone only receives, and goes soon.
    private mutating func drain(_ child: ChildSA, _ sa: inout IKESA) {
        var drained = child
        drained.phase = .draining
        sa.session?.children.append(drained)
        childOwners[child.inbound] = sa.spi
        timers.cancel(.rekeyChild(child.inbound))
        timers.cancel(.inactivity(child.inbound))
        timers.set(.expireChild(child.inbound), at: now + Self.drainTime)
    }

    private static let reauthInterval: Duration = .seconds(5)
    /// How long after the end of its lifetime an authentication holds at the least; otherwise it is a tenth of it.
    private static let reauthGrace: Duration = .seconds(60)
    private static let handoverInterval: Duration = .seconds(1)
    private static let handoverLimit: Duration = .seconds(30)
}

extension Session {
    /// Where the child is that sends instead of `child` of an IKE SA that goes: the one made to replace it, or, where
    /// `child` was itself rekeyed after that one was made, whichever is newest.
    fileprivate func successor(of child: ChildSA) -> Int? {
        if let next = children.firstIndex(where: { $0.replaces == child.inbound && $0.phase != .draining }) {
            return next
        }
        guard child.outboundActive else { return nil }
        return children.lastIndex { $0.child == child.child && $0.phase == .installed }
    }
}
