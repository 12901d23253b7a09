// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditCrypto
internal import AditWire

// CREATE_CHILD_SA as responder (RFC 7296 §1.3, §2.8, §2.25).

extension IKEEndpoint {
    /// Answers CREATE_CHILD_SA: a new child, a child's rekey, or the IKE SA's rekey.
    mutating func answerCreateChild(_ payloads: [Payload], _ arrival: Arrival, _ sa: inout IKESA) {
        let contents = PayloadContents(payloads)
        if let handover = sa.session?.handover, handover.reason == .reauthenticated || contents.rekeys {
            // RFC 7296 §2.25.2: it is about to be closed.
            answer([.notify(NotifyPayload(.temporaryFailure))], arrival, &sa)
            return
        }
        if contents.securityAssociation?.proposals.first?.proposal.securityProtocol == .ike {
            answerIKERekey(contents, arrival, &sa)
            return
        }
        do throws(ChildRefusal) {
            try answerChild(contents, arrival, &sa)
        } catch {
            answer([.notify(error.notify)], arrival, &sa)
            if let report = error.report { noteFailure(report.ofRefusal, sa) }
            if error.notify.type == .invalidSyntax {
                // RFC 7296 §2.21.3: fatal in both peers.
                fail(&sa, peerFault(.invalidSyntax, "the peer's CREATE_CHILD_SA request is incomplete", sa), .linger)
            }
        }
    }

    private mutating func answerChild(
        _ contents: PayloadContents, _ arrival: Arrival, _ sa: inout IKESA
    ) throws(ChildRefusal) {
        guard let session = sa.session, let id = sa.connection, let configuration = connections[id]?.configuration,
            let nonce = contents.nonce
        else { throw ChildRefusal(notify: NotifyPayload(.invalidSyntax)) }
        if case .rekeyIKE = session.exchange {
            // RFC 7296 §2.25.2: not while the IKE SA itself is being rekeyed.
            throw ChildRefusal(notify: NotifyPayload(.temporaryFailure))
        }
        let old = try rekeyed(contents, session)
        guard old != nil || session.installed < limits.childrenPerIKESA else {
            throw ChildRefusal(notify: NotifyPayload(.noAdditionalSAs))
        }
        guard session.children.count < limits.allChildrenPerIKESA else {
            // RFC 7296 §2.25: those that were replaced go within seconds.
            throw ChildRefusal(notify: NotifyPayload(.temporaryFailure))
        }
        let agreement = try agree(contents, configuration, rekeying: old, keyExchange: true, sa)
        let given = SelectorPair(local: agreement.local, remote: agreement.remote)
        let twin = session.children.last {
            old == nil && $0.child == agreement.child && $0.phase == .installed
                && ($0.covers(agreement)
                    || given.covers(SelectorPair(local: $0.localSelectors, remote: $0.remoteSelectors)))
        }
        if let twin, twin.weInitiated, twin.covers(agreement), now - twin.installedAt < Self.crossingWindow {
            // Both sides asked for the same child at once, and ours came first: the peer will see that it is there.
            throw ChildRefusal(notify: NotifyPayload(.temporaryFailure))
        }
        let ours = entropy.bytes(Self.nonceLength)
        var keying = ChildKeying(initiatorNonce: nonce, responderNonce: ours, weInitiated: false)
        var share: Payload?
        if let group = agreement.choice.group, let theirs = contents.keyExchange {
            guard let keyExchange = makeKeyExchange(group),
                let secret = try? keyExchange.sharedSecret(with: theirs.value)
            else { throw ChildRefusal(notify: NotifyPayload(.invalidSyntax)) }
            keying.secret = secret
            share = .keyExchange(KeyExchangePayload(group: group.transformID, value: keyExchange.publicValue))
        }
        let inbound = newSPI(owner: sa)
        // RFC 7296 §2.8: on a rekey we send on the old SA until the peer shows that it has the new one.
        let replaced = old?.inbound ?? predecessor(agreement, sa)
        let report = install(
            agreement, inbound: inbound, keying, replaces: replaced, outboundActive: replaced == nil && twin == nil,
            &sa)
        noteCollision(agreement.child, replacing: old, inbound, nonces: (nonce, ours), &sa)
        if let old { supersede(old, by: inbound, &sa) }
        var payloads = childAnswer(agreement, inbound)
        payloads.insert(.nonce(NoncePayload(ours)), at: 1)
        if let share { payloads.insert(share, at: 2) }
        answer(payloads, arrival, &sa)
        if let report { effects.append(.report(report)) }
    }

    /// The Child SA that a request wants to replace; nil when it asks for a new one.
    private func rekeyed(_ contents: PayloadContents, _ session: Session) throws(ChildRefusal) -> ChildSA? {
        guard let notify = contents.notify(.rekeySA) else { return nil }
        // The SPI is the one on which the peer receives.
        guard let spi = notify.espSPI, let index = session.index(outbound: spi) else {
            let answer = notify.espSPI.map { NotifyPayload(.childSANotFound, esp: $0) }
            throw ChildRefusal(notify: answer ?? NotifyPayload(.childSANotFound))
        }
        let child = session.children[index]
        guard child.phase == .installed else {
            // RFC 7296 §2.25.1: one that is being closed.
            throw ChildRefusal(notify: NotifyPayload(.temporaryFailure))
        }
        return child
    }

    /// When we are asking for the same at this moment, the nonces will decide which SA stays (RFC 7296 §2.8.1).
    private mutating func noteCollision(
        _ child: ChildID, replacing old: ChildSA?, _ inbound: SPI, nonces: ([UInt8], [UInt8]), _ sa: inout IKESA
    ) {
        guard case .child(var negotiation) = sa.session?.exchange, negotiation.child == child,
            negotiation.replaces == old?.inbound
        else { return }
        let lowest = nonces.0.lexicographicallyPrecedes(nonces.1) ? nonces.0 : nonces.1
        negotiation.collision = ChildNegotiation.Collision(inbound: inbound, lowestNonce: lowest)
        sa.session?.exchange = .child(negotiation)
    }

    /// The peer made a successor of `old`, and will delete it.
    private mutating func supersede(_ old: ChildSA, by inbound: SPI, _ sa: inout IKESA) {
        guard let index = sa.session?.index(inbound: old.inbound) else { return }
        sa.session?.children[index].phase = .superseded(by: inbound)
        sa.session?.tasks.removeAll { $0 == .rekeyChild(old.inbound) }
        sa.session?.postponed.removeAll { $0 == .rekeyChild(old.inbound) }
        timers.cancel(.rekeyChild(old.inbound))
        // A peer that never deletes the old one does not keep us on it.
        timers.set(.expireChild(old.inbound), at: now + Self.supersededLifetime)
    }

    /// As long as a peer may repeat its request.
    private static let crossingWindow: Duration = .seconds(60)
    static let supersededLifetime: Duration = .seconds(60)
}
