// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// INFORMATIONAL: deletion in both directions, and answers to whatever else (RFC 7296 §1.4, §1.4.1, §2.25).

extension IKEEndpoint {
    /// Answers INFORMATIONAL on an authenticated IKE SA.
    mutating func answerInformational(_ payloads: [Payload], _ arrival: Arrival, _ sa: inout IKESA) {
        let contents = PayloadContents(payloads)
        if contents.deletesIKESA {
            answerIKEDelete(arrival, &sa)
            return
        }
        if contents.notify(.authenticationFailed) != nil || contents.notify(.invalidSyntax) != nil
            || contents.notify(.unsupportedCriticalPayload) != nil, isNew(sa)
        {
            // RFC 7296 §2.21.2: after IKE_AUTH the initiator may say so that it could not verify us.
            answer([], arrival, &sa)
            fail(&sa, rejectedByInitiator(contents, sa), .linger)
            return
        }
        if let lifetime = contents.authenticationLifetime { limitAuthentication(&sa, peer: lifetime) }
        var deleted: [SPI] = []
        for delete in contents.deletes {
            for spi in delete.espSPIs { if let ours = deletedByPeer(spi, &sa) { deleted.append(ours) } }
        }
        // RFC 7296 §1.4.1: the answer names our halves, except of what we asked to delete ourselves.
        let answered: [Payload] = deleted.isEmpty ? [] : [.delete(DeletePayload(esp: deleted))]
        let before = sa.path
        answer(answered + answerMobility(contents, arrival, &sa), arrival, &sa)
        if sa.path != before { restartOutstanding(&sa) }
        startNextTask(&sa)
    }

    /// Whether nothing but IKE_AUTH has happened on this IKE SA.
    private func isNew(_ sa: IKESA) -> Bool { sa.role == .responder && sa.window.expectedRequest <= 2 }

    private mutating func answerIKEDelete(_ arrival: Arrival, _ sa: inout IKESA) {
        answer([], arrival, &sa)
        if sa.session?.inheritsFrom != nil {
            // RFC 7296 §2.8.2: the redundant one of a simultaneous rekey, deleted by its maker.
            end(&sa, .linger)
            return
        }
        // RFC 7296 §2.8.2: the peer rekeyed the IKE SA before it knew of our attempt; its new one takes over.
        if case .rekeyIKE(let rekey) = sa.session?.exchange, let collision = rekey.collision,
            ikeSAs[collision.spi]?.session != nil
        {
            moveChildren(from: &sa, to: collision.spi)
            retire(&sa, .linger)
            return
        }
        let id = sa.connection
        let children = sa.session?.children.map(\.child) ?? []
        let lived = sa.session.map { now - $0.establishedAt } ?? .zero
        let unfinished = unfinished(sa)
        let other = isUnique(sa) ? survivor(of: sa) : nil
        close(&sa, .linger, reason: "the peer deleted it")
        if let other { ask(other, for: unfinished) }
        // With another IKE SA to the connection's peer nothing was lost.
        guard let id, connections[id]?.established.isEmpty ?? false else { return }
        lost(id, children: children, lived: lived, deadPeer: false)
    }

    /// The peer deleted its half of a Child SA; returns our half, which the answer names.
    private mutating func deletedByPeer(_ spi: SPI, _ sa: inout IKESA) -> SPI? {
        guard let index = sa.session?.index(outbound: spi), let child = sa.session?.children[index] else {
            return nil
        }
        if case .superseded(let successor) = child.phase, let next = sa.session?.index(inbound: successor) {
            // RFC 7296 §2.8: the peer closes the old SA, so it has the new one.
            activateOutbound(at: next, &sa)
        }
        // RFC 7296 §1.4.1: deletions that cross are not named again.
        let crossed = child.phase == .deleting && isDeleteOutstanding(child.inbound, sa)
        drainOrRemove(at: index, &sa)
        sa.session?.tasks.removeAll { $0 == .deleteChildren([child.inbound]) || $0 == .rekeyChild(child.inbound) }
        if child.phase == .installed { wantAgain(child.child, sa) }
        return crossed ? nil : child.inbound
    }

    private func isDeleteOutstanding(_ spi: SPI, _ sa: IKESA) -> Bool {
        if case .deleteChildren(let spis) = sa.session?.exchange { spis.contains(spi) } else { false }
    }

    /// A child that starts by itself was deleted by the peer.
    private mutating func wantAgain(_ child: ChildID, _ sa: IKESA) {
        guard let id = sa.connection, startedChildren(id).contains(child), sa.session?.live(child: child) == nil,
            !isRekeying(child, sa)
        else { return }
        timers.set(.initiate(id), at: now + spread(limits.initiateBackOffInitial))
    }

    private func isRekeying(_ child: ChildID, _ sa: IKESA) -> Bool {
        if case .child(let negotiation) = sa.session?.exchange { negotiation.child == child } else { false }
    }

    /// Begins to delete Child SAs: they still receive until the peer has answered.
    mutating func startDelete(_ spis: [SPI], _ sa: inout IKESA) {
        for spi in spis {
            guard let index = sa.session?.index(inbound: spi) else { continue }
            sa.session?.children[index].phase = .deleting
            timers.cancel(.rekeyChild(spi))
            timers.cancel(.expireChild(spi))
        }
        addTask(.deleteChildren(spis), &sa)
    }

    /// Asks the peer to delete its halves of Child SAs.
    mutating func requestDelete(_ spis: [SPI], _ sa: inout IKESA) {
        sa.session?.exchange = .deleteChildren(spis)
        request(.informational, [.delete(DeletePayload(esp: spis))], &sa)
    }

    /// The peer has deleted its halves.
    mutating func finishDelete(_ spis: [SPI], _ sa: inout IKESA) {
        for spi in spis {
            guard let index = sa.session?.index(inbound: spi), sa.session?.children[index].phase != .draining
            else { continue }
            drainOrRemove(at: index, &sa)
        }
    }

    /// A Child SA is deleted at the peer: one that has a successor receives a little longer what is under way.
    private mutating func drainOrRemove(at index: Int, _ sa: inout IKESA) {
        guard let session = sa.session else { return }
        let child = session.children[index]
        var replaced = session.children.contains { $0.replaces == child.inbound }
        if case .superseded = child.phase { replaced = true }
        guard replaced else {
            removeChild(at: index, &sa)
            return
        }
        sa.session?.children[index].phase = .draining
        timers.cancel(.rekeyChild(child.inbound))
        timers.set(.expireChild(child.inbound), at: now + Self.drainTime)
    }

    /// How long packets on an old SA may be under way.
    static let drainTime: Duration = .seconds(5)

    /// Answers INFORMATIONAL on an IKE SA that is on its way out.
    mutating func answerWhileClosing(_ payloads: [Payload], _ arrival: Arrival, _ sa: inout IKESA) {
        guard case .closing(var closing) = sa.state else { return }
        let isDeleted = PayloadContents(payloads).deletesIKESA
        guard closing.answers || isDeleted else {
            counters.count(.unexpected)
            return
        }
        answer([], arrival, &sa)
        guard isDeleted, closing.isAuthenticated else { return }
        drainOut(closing)
        // RFC 7296 §2.25.2: our own request to close is forgotten.
        settle(&sa)
        closing.purpose = .linger
        sa.state = .closing(closing)
        timers.set(.closing(sa.spi), at: now + Self.lingering)
    }

    /// A response arrived on an IKE SA that is on its way out.
    mutating func finishClosing(_ sa: inout IKESA) {
        guard case .closing(var closing) = sa.state else { return }
        switch closing.purpose {
        case .linger: break
        case .deleteNext:
            closing.purpose = .lastRequest
            sa.state = .closing(closing)
            request(.informational, [.delete(.ikeSA)], &sa)
        case .lastRequest:
            drainOut(closing)
            forget(&sa, closing.firstMessage)
        }
    }
}
