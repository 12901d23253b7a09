// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditCrypto
internal import AditWire

// CREATE_CHILD_SA for a Child SA as initiator: a further child, or one that replaces another (RFC 7296 §1.3.1, §1.3.3,
// §2.8).

extension IKEEndpoint {
    /// Asks for a child; nothing when it exists already and is not to be replaced.
    mutating func requestChild(_ index: ChildID, replacing old: ChildSA?, groups: [UInt16], _ sa: inout IKESA) {
        guard let session = sa.session, let id = sa.connection, let configuration = connections[id]?.configuration,
            let child = childConfiguration(index, sa)
        else { return }
        let first = old == nil ? missingTraffic(of: index, sa) : nil
        guard old != nil || first != nil || session.live(child: index) == nil else { return }
        guard old != nil || session.installed < limits.childrenPerIKESA else {
            childFailed(index, first: first, limitReached(configuration.name, .createChildSA, sa.remote), &sa)
            return
        }
        guard session.children.count < limits.allChildrenPerIKESA else {
            // Those that were replaced go within seconds.
            awaitRoom(old.map { .rekeyChild($0.inbound) } ?? .createChild(index), &sa)
            return
        }
        let offered = child.offered(first: first)
        let group =
            groups.last.flatMap { KeyExchangeGroup(transformID: $0) }
            ?? child.proposals.flatMap(\.keyExchangeGroups).first
        let keyExchange = group.flatMap { makeKeyExchange($0) }
        var proposals = childProposals(child, keyExchange: true)
        if let group { proposals = proposals.map { $0.preferring(group) } }
        // RFC 7296 §2.9.2: a rekey asks for what the old SA carries.
        let negotiation = ChildNegotiation(
            child: index, spi: newSPI(owner: sa), replaces: old?.inbound, proposals: proposals,
            localSelectors: old?.localSelectors ?? offered.local,
            remoteSelectors: old?.remoteSelectors ?? offered.remote,
            asked: old?.asked ?? child.offered(first: nil), first: first, nonce: entropy.bytes(Self.nonceLength),
            keyExchange: keyExchange,
            groups: groups.isEmpty ? [group?.transformID].compactMap { $0 } : groups)
        var payloads: [Payload] = []
        if let old { payloads.append(.notify(NotifyPayload(.rekeySA, esp: old.inbound))) }
        payloads += [
            .securityAssociation(SecurityAssociationPayload(offering: proposals, spi: negotiation.spi.bytes)),
            .nonce(NoncePayload(negotiation.nonce)),
        ]
        if let keyExchange {
            payloads.append(
                .keyExchange(
                    KeyExchangePayload(group: keyExchange.group.transformID, value: keyExchange.publicValue)))
        }
        payloads += [
            .trafficSelectorsInitiator(TrafficSelectorPayload(negotiation.localSelectors)),
            .trafficSelectorsResponder(TrafficSelectorPayload(negotiation.remoteSelectors)),
        ]
        sa.session?.exchange = .child(negotiation)
        request(.createChildSA, payloads, &sa)
    }

    /// Asks for a successor of a Child SA, unless it has one or is being deleted.
    mutating func requestRekey(of spi: SPI, _ sa: inout IKESA) {
        guard let index = sa.session?.index(inbound: spi), let child = sa.session?.children[index],
            child.phase == .installed
        else { return }
        requestChild(child.child, replacing: child, groups: [], &sa)
    }

    /// The response to our request for a child.
    mutating func finishChild(_ contents: PayloadContents, _ negotiation: ChildNegotiation, _ sa: inout IKESA) {
        guard let id = sa.connection, let configuration = connections[id]?.configuration else { return }
        guard !isRetired(negotiation.child, sa) else {
            dropRetired(negotiation, contents, &sa)
            return
        }
        if let error = contents.errors.first {
            forgetSPI(negotiation.spi)
            childRefused(error, negotiation, configuration, &sa)
            return
        }
        do throws(FailureReport) {
            let agreement = try check(contents, negotiation, configuration, .createChildSA, sa)
            guard let nonce = contents.nonce else {
                throw peerFault(.invalidSyntax, "the peer's answer has no nonce", sa)
            }
            try refuseCopy(agreement, negotiation, configuration, sa)
            var keying = ChildKeying(initiatorNonce: negotiation.nonce, responderNonce: nonce, weInitiated: true)
            keying.secret = try sharedSecret(agreement, contents, negotiation, sa)
            succeed(agreement, negotiation, keying, &sa)
        } catch {
            forgetSPI(negotiation.spi)
            childFailed(negotiation.child, first: negotiation.first, error, &sa)
            if let outbound = contents.securityAssociation?.proposals.first?.espSPI {
                deleteUnwanted(negotiation.spi, outbound, &sa)
            }
        }
    }

    private func sharedSecret(
        _ agreement: ChildAgreement, _ contents: PayloadContents, _ negotiation: ChildNegotiation, _ sa: IKESA
    ) throws(FailureReport) -> SecretBytes? {
        guard let group = agreement.choice.group else { return nil }
        guard let share = contents.keyExchange, let ours = negotiation.keyExchange, ours.group == group,
            share.group == group.transformID, let secret = try? ours.sharedSecret(with: share.value)
        else { throw peerFault(.invalidKeyExchange, "the peer's key exchange value does not fit its choice", sa) }
        return secret
    }

    /// The new SA is there; what it replaces goes, unless the peer rekeyed too and its SA wins (RFC 7296 §2.8.1).
    private mutating func succeed(
        _ agreement: ChildAgreement, _ negotiation: ChildNegotiation, _ keying: ChildKeying, _ sa: inout IKESA
    ) {
        let lowest = min(keying.initiatorNonce, keying.responderNonce) { $0.lexicographicallyPrecedes($1) }
        let collision = negotiation.collision.flatMap { isForSame($0, agreement, negotiation, sa) ? $0 : nil }
        let loses = collision.map { lowest.lexicographicallyPrecedes($0.lowestNonce) } ?? false
        let report = install(
            agreement, inbound: negotiation.spi, keying,
            replaces: negotiation.replaces ?? predecessor(agreement, sa), outboundActive: !loses, &sa)
        if let report { effects.append(.report(report)) }
        clearPostponement(&sa)
        if loses {
            // The SA made with the lowest of the four nonces is closed by the side that made it.
            startDelete([negotiation.spi], &sa)
            return
        }
        if let collision, let index = sa.session?.index(inbound: collision.inbound),
            let winner = sa.session?.index(inbound: negotiation.spi)
        {
            // The peer deletes its redundant one.
            sa.session?.children[index].phase = .superseded(by: negotiation.spi)
            sa.session?.children[winner].phase = .installed
            timers.cancel(.rekeyChild(collision.inbound))
            timers.set(.expireChild(collision.inbound), at: now + Self.supersededLifetime)
        }
        if let old = negotiation.replaces, let index = sa.session?.index(inbound: old),
            sa.session?.children[index].phase != .draining
        {
            startDelete([old], &sa)
        }
        askFurther(negotiation, &sa)
    }

    /// The peer refused a child.
    private mutating func childRefused(
        _ error: NotifyPayload, _ negotiation: ChildNegotiation, _ configuration: ConnectionConfiguration,
        _ sa: inout IKESA
    ) {
        let old = negotiation.replaces.flatMap { spi in sa.session?.index(inbound: spi) }
            .flatMap { sa.session?.children[$0] }
        // RFC 7296 §2.8.1: the peer rekeyed it, or deleted it after that; our request is void.
        if negotiation.collision != nil {
            if missingTraffic(of: negotiation.child, sa) != nil { postpone(.createChild(negotiation.child), &sa) }
            return
        }
        if negotiation.replaces != nil, old == nil || old?.phase != .installed { return }
        switch error.type {
        case .invalidKEPayload:
            let selection = ProposalSelection(negotiation.proposals, allowLegacy: configuration.allowLegacy)
            guard let sent = negotiation.keyExchange?.group,
                let group = selection.retryGroup(invalidKE: error.data, sent: sent),
                !negotiation.groups.contains(group.transformID)
            else { fallthrough }
            requestChild(
                negotiation.child, replacing: old, groups: negotiation.groups + [group.transformID], &sa)
        case .noAdditionalSAs, .singlePairRequired, .noProposalChosen, .tsUnacceptable, .invalidSyntax:
            let report = refusedChild(error.type, negotiation, configuration, .createChildSA, sa)
            childFailed(negotiation.child, first: negotiation.first, report, &sa)
            if error.type == .noAdditionalSAs, old != nil {
                // RFC 7296 §2.8: where rekeying is refused, a new IKE SA takes over.
                fail(&sa, report, .delete)
            } else if let old {
                timers.set(.rekeyChild(old.inbound), at: now + spread(Self.rekeyRetry))
            }
        case .temporaryFailure:
            postpone(old.map { .rekeyChild($0.inbound) } ?? .createChild(negotiation.child), &sa)
        case .childSANotFound:
            // RFC 7296 §2.25: the SA is deleted silently, and a new one is made from scratch.
            guard let old, let index = sa.session?.index(inbound: old.inbound) else { return }
            removeChild(at: index, &sa)
            makeAnew(old, &sa)
        default:
            childFailed(
                negotiation.child, first: negotiation.first,
                refusedChild(error.type, negotiation, configuration, .createChildSA, sa), &sa)
        }
    }

    /// A peer that took our offer in a way that we cannot accept has an SA that must go: it is named by our SPI.
    mutating func deleteUnwanted(_ inbound: SPI, _ outbound: SPI, _ sa: inout IKESA) {
        sa.session?.add(.deleteChildren([inbound]))
        startNextTask(&sa)
    }

    /// The hard lifetime of a Child SA is over: it is deleted, and made anew where it starts by itself.
    mutating func expireChild(_ spi: SPI) {
        guard let owner = childOwners[spi] else { return }
        withIKESA(owner) { endpoint, sa in
            guard let index = sa.session?.index(inbound: spi), let child = sa.session?.children[index] else { return }
            if child.phase == .draining {
                endpoint.finishDraining(at: index, &sa)
                return
            }
            if case .superseded(let successor) = child.phase, let next = sa.session?.index(inbound: successor) {
                if endpoint.mayBeUnknown(at: next, sa) {
                    endpoint.timers.set(.expireChild(spi), at: endpoint.now + Self.supersededLifetime / 4)
                    return
                }
                endpoint.activateOutbound(at: next, &sa)
            }
            endpoint.startDelete([spi], &sa)
            if child.phase == .installed { endpoint.makeAnew(child, &sa) }
        }
    }

    /// Whether the peer may not have our answer yet that made a Child SA: it has neither used it nor asked for more.
    /// Whether it lives at all, the liveness check finds out.
    private func mayBeUnknown(at index: Int, _ sa: IKESA) -> Bool {
        guard let session = sa.session else { return false }
        let child = session.children[index]
        return session.unconfirmed?.inbound == child.inbound && now - child.installedAt < Self.silenceLimit
    }

    private static let silenceLimit: Duration = .seconds(300)
    private static let rekeyRetry: Duration = .seconds(10)
}

/// The smaller one of two by `precedes`.
private func min(_ left: [UInt8], _ right: [UInt8], by precedes: ([UInt8], [UInt8]) -> Bool) -> [UInt8] {
    precedes(left, right) ? left : right
}
