// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// MOBIKE's requests: UPDATE_SA_ADDRESSES, lists of addresses, and return routability checks (RFC 4555 §3.5 to §3.9).

extension IKEEndpoint {
    /// What IKE_AUTH says of MOBIKE, in a request or in an answer to a peer that speaks it (RFC 4555 §3.2, §3.4).
    mutating func offerMobility(
        _ configuration: ConnectionConfiguration, _ role: IKEReport.Role, _ sa: inout IKESA
    ) -> [Payload] {
        guard configuration.mobike else { return [] }
        var mobility = Mobility(role: role)
        mobility.announced = additionalAddresses(configuration, sa)
        sa.mobility = mobility
        let payloads: [Payload] = [.notify(NotifyPayload(.mobikeSupported))]
        // RFC 4555 §3.9: without NAT traversal the addresses themselves are protected.
        let ends = role == .initiator && !sa.natTraversal ? [MobilityNotifies.noNATs(sa.path)] : []
        return payloads + MobilityNotifies.addresses(mobility.announced, complete: false) + ends
    }

    /// Asks what a task of MOBIKE is for.
    mutating func requestMobility(_ purpose: MobilityExchange.Purpose, _ sa: inout IKESA) {
        guard sa.mobility != nil, let id = sa.connection, let configuration = connections[id]?.configuration else {
            return
        }
        let exchange = MobilityExchange(
            purpose: purpose, path: sa.path, cookie: entropy.bytes(MobilityNotifies.cookieLength))
        var payloads: [Payload] = []
        let addresses = additionalAddresses(configuration, sa)
        let isNews = Set(addresses) != Set(sa.mobility?.announced ?? [])
        switch purpose {
        case .update:
            payloads.append(.notify(NotifyPayload(.updateSAAddresses)))
            payloads += natDetection(configuration, sa)
            // RFC 4555 §3.6: the list may come with the update.
            if isNews { payloads += MobilityNotifies.addresses(addresses, complete: true) }
        case .announce: payloads += MobilityNotifies.addresses(addresses, complete: true)
        case .verify: break
        }
        if purpose != .verify {
            sa.mobility?.announced = addresses
            if !sa.natTraversal { payloads.append(MobilityNotifies.noNATs(sa.path)) }
        }
        payloads.append(MobilityNotifies.cookie(exchange.cookie))
        sa.session?.exchange = .mobility(exchange)
        request(.informational, payloads, &sa)
    }

    /// The NAT detection of a message over the path in use; nothing where a side knows nothing of NAT traversal.
    func natDetection(_ configuration: ConnectionConfiguration, _ sa: IKESA) -> [Payload] {
        guard sa.natTraversal else { return [] }
        return NATDetection.payloads(
            initiatorSPI: sa.initiatorSPI, responderSPI: sa.responderSPI, local: sa.local, remote: sa.remote,
            pretendNAT: configuration.encap)
    }

    /// What a liveness check says: of the side that decides about the path also how it is seen (RFC 4555 §3.8).
    func livenessPayloads(_ sa: IKESA) -> [Payload] {
        guard sa.decidesPath, let configuration = sa.connection.flatMap({ connections[$0]?.configuration }) else {
            return []
        }
        return natDetection(configuration, sa)
    }

    /// The answer to a liveness check: a NAT may have given us another address or port (RFC 4555 §3.8).
    mutating func finishLiveness(_ contents: PayloadContents, _ sa: inout IKESA) {
        guard sa.decidesPath, sa.natTraversal, let seen = contents.notify(.natDetectionDestinationIP)?.data,
            seen != sa.mobility?.seenAs ?? ownHash(sa)
        else { return }
        addUrgent(.updateAddresses, &sa)
    }

    /// The response to a request of MOBIKE.
    mutating func finishMobility(
        _ contents: PayloadContents, _ exchange: MobilityExchange, _ arrival: Arrival, _ sa: inout IKESA
    ) {
        guard sa.mobility != nil else { return }
        // RFC 4555 §3.5, §3.7: after another change of the path the response says nothing.
        guard exchange.path == sa.path else {
            if exchange.purpose != .verify || sa.mobility?.isUnverified ?? false { addUrgent(exchange.task, &sa) }
            return
        }
        let error = contents.errors.first?.type
        let returned = contents.notify(.cookie2)?.data
        // RFC 4555 §3.7: a wrong value closes the IKE SA; beside an error it may be missing (§3.5).
        guard returned == exchange.cookie || (returned == nil && error != nil) else {
            fail(&sa, routabilityFailed(sa), .delete)
            return
        }
        if error == .unexpectedNATDetected {
            retryTranslated(exchange, &sa)
            return
        }
        sa.mobility?.translations = 0
        switch exchange.purpose {
        case .update:
            guard error == nil else {
                abandonPath(&sa)
                return
            }
            noteNAT(contents, arrival, &sa)
            sa.mobility?.seenAs = sa.localBehindNAT ? contents.notify(.natDetectionDestinationIP)?.data : nil
        case .announce: break
        case .verify:
            guard sa.mobility?.isUnverified ?? false else { return }
            sa.mobility?.isUnverified = false
            childrenFollow(&sa)
        }
    }

    /// RFC 4555 §3.9: an attacker may have changed one packet, so a new request is sent, and not for ever.
    private mutating func retryTranslated(_ exchange: MobilityExchange, _ sa: inout IKESA) {
        let count = (sa.mobility?.translations ?? 0) + 1
        sa.mobility?.translations = count
        if count <= Mobility.translationLimit {
            addUrgent(exchange.task, &sa)
        } else if exchange.purpose == .update {
            sa.mobility?.translations = 0
            abandonPath(&sa)
        }
    }

    /// The peer does not accept the path (RFC 4555 §3.5): another one, else the one before, else the end.
    private mutating func abandonPath(_ sa: inout IKESA) {
        let refused = sa.path
        guard var mobility = sa.mobility, let configuration = sa.connection.flatMap({ connections[$0]?.configuration })
        else { return }
        if mobility.refused.count < Mobility.refusedLimit { mobility.refused.append(refused) }
        sa.mobility = mobility
        if mobility.refused.count < Mobility.refusedLimit, let other = otherPaths(configuration, sa).first {
            changePath(to: other, &sa)
        } else if let previous = mobility.previous, previous != refused, hasAddress(previous.local.address) {
            sa.mobility?.previous = nil
            take(previous, children: true, &sa)
        } else {
            fail(&sa, addressesRefused(sa), .delete)
        }
    }

    /// What the NAT detection of an authenticated message tells of both sides.
    mutating func noteNAT(_ contents: PayloadContents, _ arrival: Arrival, _ sa: inout IKESA) {
        let nat = NATDetection(
            header: arrival.header, payloads: contents.payloads, local: arrival.local, remote: arrival.remote)
        guard nat.supported, sa.natTraversal else { return }
        sa.localBehindNAT = nat.localBehindNAT
        sa.remoteBehindNAT = nat.remoteBehindNAT
        sa.remoteFakesNAT = nat.remotePretends
        if !sa.localBehindNAT {
            timers.cancel(.keepalive(sa.spi))
        } else if limits.keepaliveInterval > .zero, timers.deadline(of: .keepalive(sa.spi)) == nil {
            timers.set(.keepalive(sa.spi), at: now + limits.keepaliveInterval)
        }
    }

    /// Adds a task before all others.
    mutating func addUrgent(_ task: IKETask, _ sa: inout IKESA) {
        sa.session?.tasks.removeAll { $0 == task }
        sa.session?.tasks.insert(task, at: 0)
    }

    private func ownHash(_ sa: IKESA) -> [UInt8] {
        NATDetection.hash(initiatorSPI: sa.initiatorSPI, responderSPI: sa.responderSPI, endpoint: sa.local)
    }

    private func routabilityFailed(_ sa: IKESA) -> FailureReport {
        peerFault(.invalidSyntax, "the peer did not send back the value of a return routability check (COOKIE2)", sa)
    }

    func addressesTranslated(_ sa: IKESA) -> FailureReport {
        report(
            sa, .invalidSyntax, .ikeAuth, "the peer's addresses were changed on their way, and it allows no NAT",
            "Remove the NAT between the peers, or let the peer use NAT traversal.")
    }

    private func addressesRefused(_ sa: IKESA) -> FailureReport {
        peerFault(.peerNotify, "the peer accepts none of our addresses", sa)
    }
}
