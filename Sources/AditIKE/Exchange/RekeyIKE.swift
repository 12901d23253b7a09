// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditCrypto
internal import AditWire

// CREATE_CHILD_SA for the IKE SA itself, in both roles, and collisions of the two (RFC 7296 §1.3.2, §2.8.2, §2.18,
// §2.25.2).

extension IKEEndpoint {
    /// Asks for a successor of the IKE SA.
    mutating func requestIKERekey(groups: [UInt16], _ sa: inout IKESA) {
        guard let session = sa.session, let id = sa.connection, let configuration = connections[id]?.configuration
        else { return }
        guard
            let group = groups.last.flatMap({ KeyExchangeGroup(transformID: $0) }) ?? session.keying.choice.group,
            let keyExchange = makeKeyExchange(group)
        else {
            noteFailure(cryptographicFailure(sa), sa)
            return
        }
        let rekey = IKERekey(
            spi: newIKESPI(), nonce: entropy.bytes(Self.nonceLength), keyExchange: keyExchange,
            groups: groups.isEmpty ? [group.transformID] : groups)
        let proposals = configuration.proposals.map { $0.preferring(group) }
        sa.session?.exchange = .rekeyIKE(rekey)
        request(
            .createChildSA,
            [
                .securityAssociation(SecurityAssociationPayload(offering: proposals, spi: rekey.spi.bytes)),
                .nonce(NoncePayload(rekey.nonce)),
                .keyExchange(KeyExchangePayload(group: group.transformID, value: keyExchange.publicValue)),
            ], &sa)
    }

    /// The response to our request for a successor.
    mutating func finishIKERekey(_ contents: PayloadContents, _ rekey: IKERekey, _ sa: inout IKESA) {
        guard let session = sa.session, let id = sa.connection, let configuration = connections[id]?.configuration
        else { return }
        var rekey = rekey
        // The peer has deleted the one that it made.
        if let collision = rekey.collision, ikeSAs[collision.spi]?.session == nil { rekey.collision = nil }
        if let error = contents.errors.first {
            ikeRekeyRefused(error, rekey, configuration, &sa)
            return
        }
        let proposals = configuration.proposals.map { $0.preferring(rekey.keyExchange.group) }
        let selection = ProposalSelection(proposals, allowLegacy: configuration.allowLegacy)
        guard let answer = contents.securityAssociation, let nonce = contents.nonce, let share = contents.keyExchange,
            let choice = try? selection.check(answer: answer), choice.group == rekey.keyExchange.group,
            share.group == choice.group?.transformID, let peerSPI = IKESPI(bytes: choice.spi), peerSPI != .zero,
            let secret = try? rekey.keyExchange.sharedSecret(with: share.value),
            let keying = successorKeying(
                session.keying, choice, secret, role: .initiator,
                KeyInputs(
                    initiatorNonce: rekey.nonce, responderNonce: nonce, initiatorSPI: rekey.spi,
                    responderSPI: peerSPI))
        else {
            if let collision = rekey.collision {
                moveChildren(from: &sa, to: collision.spi)
                retire(&sa, .linger)
                return
            }
            fail(&sa, peerFault(.invalidSyntax, "the peer's answer to an IKE SA rekey is not acceptable", sa), .delete)
            return
        }
        insertSuccessor(rekey.spi, peerSPI, .initiator, keying, sa)
        let lowest = nonce.lexicographicallyPrecedes(rekey.nonce) ? nonce : rekey.nonce
        guard let collision = rekey.collision, lowest.lexicographicallyPrecedes(collision.lowestNonce) else {
            // Ours stays. RFC 7296 §2.8: the side that made it deletes the old one.
            moveChildren(from: &sa, to: rekey.spi)
            if let collision = rekey.collision {
                // The peer deletes its own, unless it has never come to know that it exists.
                withIKESA(collision.spi) { endpoint, redundant in endpoint.end(&redundant, .linger) }
            }
            retire(&sa, .delete)
            return
        }
        // RFC 7296 §2.8.2: the one with the lowest nonce is deleted by its maker, the other inherits the children.
        moveChildren(from: &sa, to: collision.spi)
        retire(&sa, .linger)
        withIKESA(rekey.spi) { endpoint, redundant in endpoint.end(&redundant, .delete) }
    }

    private mutating func ikeRekeyRefused(
        _ error: NotifyPayload, _ rekey: IKERekey, _ configuration: ConnectionConfiguration, _ sa: inout IKESA
    ) {
        if let collision = rekey.collision {
            // RFC 7296 §2.8.2: the peer had rekeyed already when our request came.
            moveChildren(from: &sa, to: collision.spi)
            retire(&sa, .linger)
            return
        }
        switch error.type {
        case .temporaryFailure: postpone(.rekeyIKE, &sa)
        case .invalidKEPayload:
            guard
                let group = selection(configuration).retryGroup(invalidKE: error.data, sent: rekey.keyExchange.group),
                !rekey.groups.contains(group.transformID)
            else { fallthrough }
            requestIKERekey(groups: rekey.groups + [group.transformID], &sa)
        default:
            // RFC 7296 §2.8: an IKE SA that cannot be rekeyed is closed, and a new one is made.
            fail(&sa, refusedIKERekey(error.type, configuration, sa), .delete)
        }
    }

    /// Answers a peer's request for a successor of the IKE SA.
    mutating func answerIKERekey(_ contents: PayloadContents, _ arrival: Arrival, _ sa: inout IKESA) {
        guard let session = sa.session, let id = sa.connection, let configuration = connections[id]?.configuration
        else { return }
        switch session.exchange {
        case .child, .deleteChildren:
            // RFC 7296 §2.25.1: not while a child is being made, rekeyed or closed.
            answer([.notify(NotifyPayload(.temporaryFailure))], arrival, &sa)
            return
        case .rekeyIKE(let rekey) where rekey.collision != nil:
            answer([.notify(NotifyPayload(.temporaryFailure))], arrival, &sa)
            return
        case .liveness, .mobility, .rekeyIKE, nil: break
        }
        guard let offer = contents.securityAssociation, let nonce = contents.nonce, let share = contents.keyExchange
        else {
            answer([.notify(NotifyPayload(.invalidSyntax))], arrival, &sa)
            fail(&sa, peerFault(.invalidSyntax, "the peer's IKE SA rekey is incomplete", sa), .linger)
            return
        }
        let choice: ProposalChoice
        do throws(ProposalMismatch) {
            choice = try selection(configuration).choose(from: offer, sentGroup: share.group)
        } catch {
            answer([.notify(NotifyPayload(.noProposalChosen))], arrival, &sa)
            noteFailure(noProposal(configuration.name, .createChildSA, error, sa.remote).ofRefusal, sa)
            return
        }
        guard let group = choice.group, group.transformID == share.group else {
            let data = choice.group.map(ProposalSelection.invalidKEData) ?? []
            answer([.notify(NotifyPayload(.invalidKEPayload, data: data))], arrival, &sa)
            return
        }
        let spi = newIKESPI()
        let ours = entropy.bytes(Self.nonceLength)
        guard let peerSPI = IKESPI(bytes: choice.spi), peerSPI != .zero, let keyExchange = makeKeyExchange(group),
            let secret = try? keyExchange.sharedSecret(with: share.value),
            let keying = successorKeying(
                session.keying, choice, secret, role: .responder,
                KeyInputs(initiatorNonce: nonce, responderNonce: ours, initiatorSPI: peerSPI, responderSPI: spi))
        else {
            answer([.notify(NotifyPayload(.invalidSyntax))], arrival, &sa)
            fail(&sa, peerFault(.invalidSyntax, "the peer's IKE SA rekey has an invalid value", sa), .linger)
            return
        }
        forgetPredecessor(of: sa)
        insertSuccessor(spi, peerSPI, .responder, keying, sa)
        answer(
            [
                .securityAssociation(choice.answer(spi: spi.bytes)),
                .nonce(NoncePayload(ours)),
                .keyExchange(KeyExchangePayload(group: group.transformID, value: keyExchange.publicValue)),
            ], arrival, &sa)
        if case .rekeyIKE(var rekey) = session.exchange {
            // RFC 7296 §2.8.2: both rekey; the nonces decide when our response is here.
            let lowest = nonce.lexicographicallyPrecedes(ours) ? nonce : ours
            rekey.collision = IKERekey.Collision(spi: spi, lowestNonce: lowest)
            sa.session?.exchange = .rekeyIKE(rekey)
            withIKESA(spi) { _, candidate in candidate.session?.inheritsFrom = arrival.ours }
            return
        }
        moveChildren(from: &sa, to: spi)
        retire(&sa, .linger)
    }

    /// The IKE SA before this one lingers no longer: its peer uses this one. So a peer that rekeys without end keeps
    /// three and not all of the last ``lingering``.
    private mutating func forgetPredecessor(of sa: IKESA) {
        guard let predecessor = sa.predecessor else { return }
        withIKESA(predecessor) { endpoint, old in
            guard case .closing(let closing) = old.state, closing.purpose == .linger else { return }
            endpoint.forget(&old, closing.firstMessage)
        }
    }

    private mutating func successorKeying(
        _ old: IKEKeying, _ choice: ProposalChoice, _ secret: SecretBytes, role: IKEReport.Role, _ inputs: KeyInputs
    ) -> IKEKeying? {
        // RFC 7296 §2.18: the old SA's PRF and SK_d make the seed, the new PRF the keys.
        let seed = KeySchedule.skeyseed(
            rekeyingWith: old.choice.pseudoRandomFunction, skD: old.skD, sharedSecret: secret, inputs: inputs)
        return makeKeying(choice, seed, inputs, role: role, fragmentation: old.fragmentation)?.0
    }

    /// Adds the successor of an IKE SA, still without children.
    private mutating func insertSuccessor(
        _ spi: IKESPI, _ peerSPI: IKESPI, _ role: IKEReport.Role, _ keying: IKEKeying, _ old: IKESA
    ) {
        guard let session = old.session else { return }
        let state = Session(
            keying: keying, localID: session.localID, remoteID: session.remoteID, firstMessage: nil,
            establishedAt: now, lastInbound: now, origin: session.origin)
        // RFC 7296 §1.3.2: the new IKE SA's counters start at 0.
        var sa = IKESA(
            spi: spi, peerSPI: peerSPI, role: role, local: old.local, remote: old.remote,
            connection: old.connection, createdAt: now, state: .established(state))
        sa.predecessor = old.spi
        sa.steeringByte = old.steeringByte
        sa.localBehindNAT = old.localBehindNAT
        sa.remoteBehindNAT = old.remoteBehindNAT
        sa.remoteFakesNAT = old.remoteFakesNAT
        sa.natTraversal = old.natTraversal
        ikeSAs.insert(sa)
    }

    /// The peer uses the IKE SA that it made in a simultaneous rekey, so it has decided: it has inherited the children.
    mutating func inherit(_ sa: inout IKESA) {
        guard let old = sa.session?.inheritsFrom else { return }
        let spi = sa.spi
        // The successor is put back while its predecessor hands over.
        ikeSAs.putBack(sa)
        withIKESA(old) { endpoint, old in
            endpoint.settle(&old)
            endpoint.moveChildren(from: &old, to: spi)
            endpoint.retire(&old, .linger)
        }
        guard let again = ikeSAs.take(spi) else { return }
        sa = again
    }

    /// Moves children and plans to the successor, which is from now on the connection's IKE SA (RFC 7296 §2.8).
    mutating func moveChildren(from old: inout IKESA, to spi: IKESPI) {
        guard let session = old.session else { return }
        old.session?.children = []
        old.session?.tasks = []
        old.session?.postponed = []
        unregister(old)
        withIKESA(spi) { endpoint, new in
            new.session?.inheritsFrom = nil
            new.session?.children = session.children
            // RFC 4478 §2: the time limit of the authentication applies to the new IKE SA.
            new.session?.reauthAt = session.reauthAt
            new.session?.reauthLimit = session.reauthLimit
            for child in session.children { endpoint.childOwners[child.inbound] = spi }
            endpoint.inheritPath(from: old, &new)
            endpoint.register(&new)
            new.session?.answeredAsOf = session.answeredAsOf
            if let handover = session.handover {
                new.session?.handover = handover
                endpoint.putToRest(new)
            }
            for task in session.tasks + session.postponed where task != .rekeyIKE && task != .liveness {
                new.session?.add(task)
            }
            if case .mobility(let exchange) = session.exchange { endpoint.addUrgent(exchange.task, &new) }
            if let id = new.connection, let name = endpoint.connections[id]?.configuration.name,
                let status = endpoint.status(of: new)
            {
                endpoint.effects.append(.report(.ikeRekeyed(connection: name, status)))
            }
            endpoint.startNextTask(&new)
        }
    }

    /// A replaced IKE SA only waits for its deletion, or asks for it.
    mutating func retire(_ sa: inout IKESA, _ farewell: Farewell) {
        guard case .established(var session) = sa.state else { return }
        session.exchange = nil
        sa.state = .established(session)
        end(&sa, farewell)
    }
}
