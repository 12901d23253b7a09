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

    /// Whether the peer of a Child SA is where this IKE SA comes from.
    func isPlaceShared(_ spi: SPI, _ sa: IKESA) -> Bool {
        childOwners[spi].flatMap { ikeSAs[$0] }.map { isPlaceShared($0, sa) } ?? false
    }

    /// Whether an IKE SA comes from where the peer of an older one is: from its address and port, or from another of
    /// the addresses that it said to have (RFC 4555 §3.6).
    private func isPlaceShared(_ old: IKESA, _ new: IKESA) -> Bool {
        old.remote == new.remote || old.mobility?.peerAddresses.contains(new.remote.address) ?? false
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

    /// The other authenticated IKE SAs to the same peer, the oldest first.
    func rivals(of sa: IKESA) -> [IKESPI] {
        guard let id = sa.connection, let session = sa.session else { return [] }
        return (peers[PeerKey(connection: id, identity: session.remoteID)] ?? []).filter { $0 != sa.spi }
    }

    /// Decides between a newly authenticated IKE SA and older ones to the same peer: the newest stays.
    ///
    /// When both peers initiated at once, each may see another one as the newest. The side whose attempt was under way
    /// when the other's arrived knows, and decides by what both know: the IKE SA with the lower initiator's SPI goes.
    mutating func settleRivals(_ sa: inout IKESA, initialContact: Bool) {
        guard sa.reauthenticates == nil else {
            handOver(to: sa)
            return
        }
        var isLoser = false
        for spi in uniquePolicy(sa) == .never ? [] : rivals(of: sa) {
            let (role, ours, begun) = (sa.role, sa.initiatorSPI.rawValue, sa.createdAt)
            var theirsWins = false
            withIKESA(spi) { endpoint, other in
                guard let session = other.session else { return }
                if role == .initiator {
                    let overlapped = other.role == .responder && session.establishedAt >= begun
                    if overlapped, other.initiatorSPI.rawValue > ours {
                        theirsWins = true
                    } else {
                        endpoint.close(&other, .delete, reason: "replaced by a newer IKE SA to the same peer")
                    }
                } else if initialContact, other.role == .responder || endpoint.isOld(session) {
                    // RFC 7296 §2.4: the peer has lost what it had; nothing is said on the old IKE SA.
                    endpoint.close(&other, .none, reason: "the peer started anew (INITIAL_CONTACT)")
                } else {
                    other.session?.rivalSince = endpoint.now
                    endpoint.timers.set(.rival(spi), at: endpoint.now + Self.rivalProbe)
                    endpoint.addTask(.liveness, &other)
                }
            }
            isLoser = isLoser || theirsWins
        }
        if isLoser { close(&sa, .delete, reason: "both peers initiated at once, and the other IKE SA stays") }
        cancelWeakerAttempt(sa)
    }

    /// Gives up our own attempt when the peer's IKE SA would win against it anyway.
    private mutating func cancelWeakerAttempt(_ sa: IKESA) {
        guard sa.role == .responder, let id = sa.connection, let attempt = connections[id]?.attempt,
            case .initSent = ikeSAs[attempt]?.state, attempt.rawValue < sa.initiatorSPI.rawValue
        else { return }
        var wanted: [Int] = []
        withIKESA(attempt) { endpoint, other in
            wanted = other.wanted
            endpoint.end(&other, .none)
        }
        connections[id]?.wanted += wanted
        timers.set(.initiate(id), at: now)
    }

    /// Older than any handshake that could still be under way at the peer.
    private func isOld(_ session: Session) -> Bool { now - session.establishedAt >= Self.overlapWindow }

    /// The time to decide about an IKE SA that has a newer rival.
    mutating func resolveRival(_ spi: IKESPI) {
        withIKESA(spi) { endpoint, sa in
            guard let session = sa.session, let since = session.rivalSince else { return }
            guard !endpoint.rivals(of: sa).isEmpty else {
                sa.session?.rivalSince = nil
                return
            }
            // A peer that answers has both, and deletes the one that it does not want; the rest of the time is its own.
            if session.lastInbound > since, endpoint.now - since < Self.overlapWindow {
                endpoint.timers.set(.rival(spi), at: since + Self.overlapWindow)
                return
            }
            endpoint.close(&sa, .delete, reason: "replaced by a newer IKE SA to the same peer")
        }
    }

    private static let rivalProbe: Duration = .seconds(4)
    private static let overlapWindow: Duration = .seconds(60)
}
