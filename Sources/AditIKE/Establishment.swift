// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// From authenticated to gone: registering an IKE SA, choosing between two to the same peer, and taking one down.

/// What the peer hears when an IKE SA ends.
enum Farewell: Equatable {
    /// Nothing, and nothing is answered any more.
    case none
    /// Nothing, but what was answered last is answered again when it is asked again.
    case linger
    /// DELETE.
    case delete
    /// A notification that ends the IKE SA without DELETE (RFC 7296 §2.21.2).
    case notify(NotifyType)
}

extension IKEEndpoint {
    /// Both sides are authenticated.
    mutating func establish(
        _ sa: inout IKESA, _ keying: IKEKeying, localID: Identity, remoteID: Identity,
        firstMessage: HalfOpenTable.Key?
    ) {
        timers.cancel(.halfOpen(sa.spi))
        halfOpen.complete(sa.spi)
        sa.state = .established(
            Session(
                keying: keying, localID: localID, remoteID: remoteID, firstMessage: firstMessage, establishedAt: now,
                lastInbound: now))
        register(&sa)
        guard let id = sa.connection else { return }
        if connections[id]?.attempt == sa.spi { connections[id]?.attempt = nil }
        connections[id]?.lastFailure = nil
        connections[id]?.hasFailed = false
        connections[id]?.notBefore = nil
    }

    /// Enters an authenticated IKE SA into the indexes and starts its timers.
    mutating func register(_ sa: inout IKESA) {
        guard let id = sa.connection, let remoteID = sa.session?.remoteID,
            let configuration = connections[id]?.configuration
        else { return }
        connections[id]?.register(sa.spi)
        if let localID = sa.session?.localID { enterContacts(localID, remoteID, &sa) }
        peers[PeerKey(connection: id, identity: remoteID), default: []].append(sa.spi)
        if configuration.dpdDelay > .zero { timers.set(.liveness(sa.spi), at: now + configuration.dpdDelay) }
        if sa.localBehindNAT { timers.set(.keepalive(sa.spi), at: now + limits.keepaliveInterval) }
        if !startedChildren(id).isEmpty {
            // Whichever side made it, what starts by itself and is missing then is asked for.
            timers.set(.initiate(id), at: now + Self.completion)
        }
        if configuration.ikeRekeyTime > .zero {
            let rekeyAt = now + jittered(configuration.ikeRekeyTime)
            sa.session?.rekeyAt = rekeyAt
            timers.set(.rekeyIKE(sa.spi), at: rekeyAt)
        }
    }

    /// Whether no IKE SA of any connection goes to this peer; nil stands for any identity at its address.
    func isFirstContact(_ localID: Identity, _ remoteID: Identity?, _ sa: IKESA) -> Bool {
        let remote = remoteID.map(Contact.Remote.identity) ?? .address(sa.remote.address)
        return contacts[Contact(local: localID, remote: remote)] == nil
    }

    /// Enters an IKE SA as one to this peer.
    mutating func enterContacts(_ localID: Identity, _ remoteID: Identity?, _ sa: inout IKESA) {
        leaveContacts(sa)
        sa.contacts = [Contact(local: localID, remote: .address(sa.remote.address))]
        if let remoteID { sa.contacts.append(Contact(local: localID, remote: .identity(remoteID))) }
        for contact in sa.contacts { contacts[contact, default: []].insert(sa.spi) }
    }

    /// The IKE SA no longer counts as one to its peer.
    private mutating func leaveContacts(_ sa: IKESA) {
        for contact in sa.contacts {
            contacts[contact]?.remove(sa.spi)
            if contacts[contact]?.isEmpty ?? false { contacts[contact] = nil }
        }
    }

    /// Takes an authenticated IKE SA out of the indexes and stops its timers, the retransmission's excepted.
    mutating func unregister(_ sa: IKESA) {
        for timer in [IKETimer.liveness(sa.spi), .keepalive(sa.spi), .rekeyIKE(sa.spi), .retry(sa.spi), .rival(sa.spi)]
        {
            timers.cancel(timer)
        }
        leaveContacts(sa)
        guard let id = sa.connection, let session = sa.session else { return }
        connections[id]?.established[sa.spi] = nil
        let key = PeerKey(connection: id, identity: session.remoteID)
        peers[key]?.removeAll { $0 == sa.spi }
        if peers[key]?.isEmpty ?? false { peers[key] = nil }
    }

    /// Tells that an IKE SA is established.
    mutating func reportEstablished(_ sa: IKESA) {
        guard let id = sa.connection, let name = connections[id]?.configuration.name, let status = status(of: sa)
        else { return }
        effects.append(.report(.established(connection: name, status)))
    }

    /// The Child SA of an older IKE SA to the same peer that a new one for the same child takes over from.
    func predecessor(_ child: Int, _ sa: IKESA) -> SPI? {
        rivals(of: sa).reversed().lazy.compactMap { ikeSAs[$0]?.session?.live(child: child)?.inbound }.first
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
        var isLoser = false
        for spi in rivals(of: sa) {
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

    /// Ends an authenticated IKE SA and says so.
    mutating func close(_ sa: inout IKESA, _ farewell: Farewell, reason: String) {
        let name = sa.connection.flatMap { connections[$0]?.configuration.name }
        let wasEstablished = sa.session != nil
        end(&sa, farewell)
        if wasEstablished, let name { effects.append(.report(.closed(connection: name, reason: reason))) }
    }

    /// Ends an IKE SA in any state: its children go, and the peer hears the farewell.
    mutating func end(_ sa: inout IKESA, _ farewell: Farewell) {
        let keying = sa.keying
        var firstMessage: HalfOpenTable.Key?
        var isAuthenticated = true
        switch sa.state {
        case .initSent, .gone: break
        case .authSent(let sent):
            forgetSPI(sent.child.spi)
            leaveContacts(sa)
        case .halfOpen(let open):
            firstMessage = open.key
            isAuthenticated = false
        case .closing(let closing):
            firstMessage = closing.firstMessage
            isAuthenticated = closing.isAuthenticated
        case .established(let session):
            firstMessage = session.firstMessage
            removeChildren(&sa)
            abandonExchange(session.exchange)
            unregister(sa)
        }
        timers.cancel(.halfOpen(sa.spi))
        // Who has not proved anything stays counted until it is forgotten.
        if isAuthenticated { halfOpen.complete(sa.spi) }
        if let id = sa.connection, connections[id]?.attempt == sa.spi { connections[id]?.attempt = nil }
        guard let keying, farewell != .none else {
            forget(&sa, firstMessage)
            return
        }
        let closing = Closing(
            keying: keying, purpose: .linger, firstMessage: firstMessage, isAuthenticated: isAuthenticated)
        sayFarewell(farewell, closing, &sa)
    }

    private mutating func sayFarewell(_ farewell: Farewell, _ closing: Closing, _ sa: inout IKESA) {
        var closing = closing
        switch farewell {
        case .none, .linger:
            settle(&sa)
            sa.state = .closing(closing)
            timers.set(
                .closing(sa.spi), at: now + (closing.isAuthenticated ? Self.lingering : Self.unauthenticatedLingering))
        case .delete where sa.window.outstanding != nil:
            // RFC 7296 §2.3: the window is one request, so DELETE waits.
            closing.purpose = .deleteNext
            sa.state = .closing(closing)
        case .delete:
            closing.purpose = .lastRequest
            sa.state = .closing(closing)
            request(.informational, [.delete(.ikeSA)], &sa)
        case .notify(let type):
            closing.purpose = .lastRequest
            sa.state = .closing(closing)
            request(.informational, [.notify(NotifyPayload(type))], &sa)
        }
    }

    /// Removes every child of an IKE SA.
    private mutating func removeChildren(_ sa: inout IKESA) {
        while let count = sa.session?.children.count, count > 0 { removeChild(at: count - 1, &sa) }
    }

    /// What the outstanding request would have made is no longer wanted.
    private mutating func abandonExchange(_ exchange: IKEExchange?) {
        switch exchange {
        case .child(let negotiation): forgetSPI(negotiation.spi)
        case .rekeyIKE(let rekey):
            guard let collision = rekey.collision else { return }
            withIKESA(collision.spi) { endpoint, other in endpoint.end(&other, .delete) }
        case .liveness, .deleteChildren, nil: break
        }
    }

    /// Forgets an IKE SA without a trace.
    mutating func forget(_ sa: inout IKESA, _ firstMessage: HalfOpenTable.Key?) {
        settle(&sa)
        timers.cancel(.closing(sa.spi))
        if let firstMessage { halfOpen.remove(sa.spi, key: firstMessage) }
        sa.state = .gone
    }

    /// An IKE SA has lingered long enough.
    mutating func expireClosing(_ spi: IKESPI) {
        withIKESA(spi) { endpoint, sa in
            guard case .closing(let closing) = sa.state else { return }
            endpoint.forget(&sa, closing.firstMessage)
        }
    }

    /// Forgetting after the last answer: longer than a peer retransmits at short intervals.
    static let lingering: Duration = .seconds(30)
    /// Forgetting after a refused IKE_AUTH, whose answer may have been lost.
    private static let unauthenticatedLingering: Duration = .seconds(10)
    private static let completion: Duration = .seconds(3)
    private static let rivalProbe: Duration = .seconds(4)
    private static let overlapWindow: Duration = .seconds(60)
}
