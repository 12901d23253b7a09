// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// Several IKE SAs to one peer: which one stays, and what becomes of the other's children.

extension IKEEndpoint {
    /// The Child SA of an older IKE SA to the same peer that a new one for the same traffic takes over from.
    func predecessor(_ agreement: ChildAgreement, _ sa: IKESA) -> SPI? {
        let agreed = SelectorPair(local: agreement.local, remote: agreement.remote)
        let isShared = uniquePolicy(sa) == .never
        return rivals(of: sa).reversed().lazy.compactMap { ikeSAs[$0] }
            .filter { !isShared || $0.remote == sa.remote }
            .compactMap { $0.session?.sending(child: agreement.child, within: agreed)?.inbound }.first
    }

    /// Whether an IKE SA comes from where the peer of an older one is: from its address and port, or from another of
    /// the addresses that it said to have (RFC 4555 §3.6).
    private func isPlaceShared(_ old: IKESA, _ new: IKESA) -> Bool {
        old.remote == new.remote || old.mobility?.peerAddresses.contains(new.remote.address) ?? false
    }

    /// Whether a Child SA of an older IKE SA goes on to be sent on, when a new IKE SA is there: its peer still has it,
    /// and is where it was.
    func isKept(_ spi: SPI, _ sa: IKESA, initialContact: Bool) -> Bool {
        guard let other = childOwners[spi].flatMap({ ikeSAs[$0] }), let origin = other.session?.origin,
            let new = sa.session?.origin
        else { return false }
        if initialContact, isForgotten(origin) { return false }
        return isPlaceShared(other, sa) || hasCrossed(origin, new)
    }

    /// Whether another IKE SA to the same peer makes one of them superfluous.
    func isUnique(_ sa: IKESA) -> Bool { uniquePolicy(sa) != .never }

    /// The IKE SA of a connection on which something new is asked.
    func working(_ connection: Connection) -> IKESPI? {
        connection.ikeSAs.last { ikeSAs[$0]?.session?.handover == nil } ?? connection.newest
    }

    private func uniquePolicy(_ sa: IKESA) -> ConnectionConfiguration.UniquePolicy? {
        sa.connection.flatMap { connections[$0]?.configuration.unique }
    }

    /// Where the peer is connected from, when that is another place than this IKE SA comes from; it is asked whether it
    /// lives.
    ///
    /// From the same place it is the same gateway, which authenticates anew or was restarted.
    mutating func holder(of identity: Identity, _ sa: IKESA) -> Endpoint? {
        guard let id = sa.connection else { return nil }
        let others = (peers[PeerKey(connection: id, identity: identity)] ?? []).filter {
            ikeSAs[$0].map { !isPlaceShared($0, sa) } ?? false
        }
        for spi in others {
            withIKESA(spi) { endpoint, other in
                if other.window.outstanding == nil { endpoint.addTask(.liveness, &other) }
            }
        }
        return others.first.flatMap { ikeSAs[$0]?.remote }
    }

    /// The peer of an authenticated IKE SA, as its connection knows it.
    func peerKey(of sa: IKESA) -> PeerKey? {
        guard let id = sa.connection, let session = sa.session else { return nil }
        return PeerKey(connection: id, identity: session.remoteID)
    }

    /// The other authenticated IKE SAs to the same peer, the oldest first.
    func rivals(of sa: IKESA) -> [IKESPI] {
        guard let id = sa.connection, let session = sa.session else { return [] }
        return (peers[PeerKey(connection: id, identity: session.remoteID)] ?? []).filter { $0 != sa.spi }
    }

    /// Decides between a newly authenticated IKE SA and the others to the same peer: one stays, the others are left.
    ///
    /// Of those that one side made, the newest stays. Of one from each side the newer one, but when both were made at
    /// once each side may see another one as the newer: there the one with the higher initiator's SPI stays, which both
    /// sides know, whenever they look.
    mutating func settleRivals(_ sa: inout IKESA, initialContact: Bool) {
        let isAnew = sa.reauthenticates != nil
        if isAnew || isUnique(sa) {
            if initialContact, sa.role == .responder, !isAnew { closeForgotten(sa) }
            let winner = isAnew ? sa.spi : winner(sa)
            closeSurplus(sa, except: winner)
            let others = rivals(of: sa)
            for spi in others where spi != winner {
                withIKESA(spi) { $0.leave(&$1, isAnew ? .reauthenticated : .replaced) }
            }
            if winner != sa.spi {
                withIKESA(winner) { endpoint, other in
                    endpoint.stay(&other)
                    endpoint.addTask(.liveness, &other)
                }
                leave(&sa, .crossed)
            } else if !others.isEmpty {
                sa.session?.add(.liveness)
            }
        }
        cancelWeakerAttempt(sa)
    }

    /// A peer that authenticates again and again, and lets nothing go, does not fill the table: its oldest go at once.
    private mutating func closeSurplus(_ sa: IKESA, except winner: IKESPI) {
        for spi in rivals(of: sa).dropLast(Self.rivalLimit) where spi != winner {
            withIKESA(spi) { $0.close(&$1, .none, reason: "replaced by newer IKE SAs to the same peer") }
        }
    }

    /// RFC 7296 §2.4: the peer has lost what it had; nothing is said on the old IKE SAs.
    private mutating func closeForgotten(_ sa: IKESA) {
        for spi in rivals(of: sa) {
            withIKESA(spi) { endpoint, other in
                guard let origin = other.session?.origin, endpoint.isForgotten(origin) else { return }
                endpoint.close(&other, .none, reason: "the peer started anew (INITIAL_CONTACT)")
            }
        }
    }

    /// Of all IKE SAs to the peer of `sa`, the one that stays.
    private func winner(_ sa: IKESA) -> IKESPI {
        guard let own = sa.session?.origin else { return sa.spi }
        let others = rivals(of: sa).compactMap { spi in ikeSAs[spi]?.session.map { (spi: spi, origin: $0.origin) } }
        // The peer's where this one is ours, and the other way round; `sa` is the newest of its side.
        guard let rival = others.filter({ $0.origin.isOurs != own.isOurs }).max(by: { $0.origin.at < $1.origin.at }),
            hasCrossed(rival.origin, own), rival.origin.initiatorSPI.rawValue > own.initiatorSPI.rawValue
        else { return sa.spi }
        return rival.spi
    }

    /// Whether the two sides made these two IKE SAs without knowing of the other side's.
    private func hasCrossed(_ older: Session.Origin, _ newer: Session.Origin) -> Bool {
        older.isOurs != newer.isOurs && newer.at - older.at < Self.overlapWindow
    }

    /// Whether a peer that says INITIAL_CONTACT means this one: neither one that it may not know of yet, nor one that
    /// may have been made at the same time.
    private func isForgotten(_ origin: Session.Origin) -> Bool {
        !origin.isOurs || now - origin.at >= Self.overlapWindow
    }

    /// Gives up our own attempt when the peer's IKE SA would win against it anyway.
    private mutating func cancelWeakerAttempt(_ sa: IKESA) {
        guard sa.role == .responder, let id = sa.connection, let attempt = connections[id]?.attempt,
            case .initSent = ikeSAs[attempt]?.state, attempt.rawValue < sa.initiatorSPI.rawValue
        else { return }
        var wanted: [ChildID] = []
        withIKESA(attempt) { endpoint, other in
            wanted = other.wanted
            endpoint.end(&other, .none)
        }
        connections[id]?.wanted += wanted
        timers.set(.initiate(id), at: now)
    }

    /// IKE SAs to one peer beside a new one, where one is meant to stay.
    private static let rivalLimit = 4
    /// Longer than a handshake takes whose messages are all lost but the last repetition.
    private static let overlapWindow: Duration = .seconds(120)
}
