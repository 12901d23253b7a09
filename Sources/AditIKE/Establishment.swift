// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// From authenticated to gone: registering an IKE SA, and taking one down.

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
                lastInbound: now,
                origin: Session.Origin(initiatorSPI: sa.initiatorSPI, isOurs: sa.role == .initiator, at: now)))
        attempts.end(sa.spi)
        if let id = sa.connection { connections[id]?.afterDeath = nil }
        register(&sa)
        guard let id = sa.connection else { return }
        if attempts.place(of: id) != nil {
            // The peer was quicker: what is wanted is asked for on its IKE SA.
            attempts.withdraw(id)
            timers.set(.initiate(id), at: now + Self.completion)
        }
        if connections[id]?.attempt == sa.spi {
            connections[id]?.attempt = nil
            // The address that works is the first one when the IKE SA is lost.
            connections[id]?.tried.removeAll { $0 == sa.remote.address }
        }
        connections[id]?.lastFailure = nil
        connections[id]?.unprovenFailure = nil
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
        watchLiveness(configuration, &sa)
        if let reauthAt = sa.session?.reauthAt { timers.set(.reauthenticate(sa.spi), at: reauthAt) }
        if sa.localBehindNAT, limits.keepaliveInterval > .zero {
            timers.set(.keepalive(sa.spi), at: now + limits.keepaliveInterval)
        }
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
        let own: [IKETimer] = [
            .liveness(sa.spi), .keepalive(sa.spi), .rekeyIKE(sa.spi), .retry(sa.spi),
            .reauthenticate(sa.spi),
        ]
        for timer in own { timers.cancel(timer) }
        forgetLeaving(sa)
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
        var drained: [SPI] = []
        var answers = true
        switch sa.state {
        case .initSent, .gone: break
        case .authSent(let sent):
            answers = false
            if let child = sent.child { forgetSPI(child.spi) }
            leaveContacts(sa)
        case .halfOpen(let open):
            firstMessage = open.key
            isAuthenticated = false
        case .closing(let closing):
            firstMessage = closing.firstMessage
            isAuthenticated = closing.isAuthenticated
        case .established(let session):
            firstMessage = session.firstMessage
            drained = removeChildren(&sa, drains: farewell == .delete || farewell == .linger)
            reviewHandovers(sa)
            abandonExchange(session.exchange)
            unregister(sa)
        }
        timers.cancel(.halfOpen(sa.spi))
        // Who has not proved anything stays counted until it is forgotten.
        if isAuthenticated { halfOpen.complete(sa.spi) }
        attempts.end(sa.spi)
        if let id = sa.connection, connections[id]?.attempt == sa.spi { connections[id]?.attempt = nil }
        guard let keying, farewell != .none else {
            forget(&sa, firstMessage)
            return
        }
        let closing = Closing(
            keying: keying, purpose: .linger, firstMessage: firstMessage, isAuthenticated: isAuthenticated,
            answers: answers, drained: drained)
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

    /// What the outstanding request would have made is no longer wanted.
    private mutating func abandonExchange(_ exchange: IKEExchange?) {
        switch exchange {
        case .child(let negotiation): forgetSPI(negotiation.spi)
        case .rekeyIKE(let rekey):
            guard let collision = rekey.collision else { return }
            withIKESA(collision.spi) { endpoint, other in endpoint.end(&other, .delete) }
        case .liveness, .deleteChildren, .mobility, nil: break
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
}
