// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditCrypto
internal import AditWire

// IKE_SA_INIT as responder. Nothing is kept for a peer before it has shown that it receives at its address, once there
// are many half-open IKE SAs (RFC 7296 §2.6).

extension IKEEndpoint {
    /// Answers a first message.
    mutating func answerInit(_ bytes: [UInt8], header: IKEHeader, local: Endpoint, remote: Endpoint) {
        let key = HalfOpenTable.Key(initiatorSPI: header.initiatorSPI, remote: remote)
        if let known = halfOpen.ikeSA(for: key), repeatInit(bytes, known, local: local, remote: remote) { return }
        guard bytes.count <= limits.firstMessageLength else {
            counters.count(.tooLong)
            return
        }
        guard header.flags.contains(.initiator), header.messageID == 0,
            let message = try? IKEMessage(parsing: bytes)
        else {
            counters.count(.malformed)
            return
        }
        if let critical = message.payloads.first(where: \.isUnknownAndCritical) {
            let notify = NotifyPayload(.unsupportedCriticalPayload, data: [critical.type.rawValue])
            answerUnprotected(header, notify, local: local, remote: remote)
            return
        }
        let contents = PayloadContents(message.payloads)
        guard let offer = contents.securityAssociation, let share = contents.keyExchange, let nonce = contents.nonce
        else {
            counters.count(.malformed)
            answerUnprotected(header, NotifyPayload(.invalidSyntax), local: local, remote: remote)
            return
        }
        let candidates = connections.candidates(local: local.address, remote: remote.address)
        guard !candidates.isEmpty else {
            counters.count(.noConnection)
            // RFC 7296 §2.21.1: helping the peer's diagnosis, at a limited rate.
            if answerUnprotected(header, NotifyPayload(.noProposalChosen), local: local, remote: remote),
                unauthenticatedReports.take(now)
            {
                reportNoConnection(local, remote)
            }
            return
        }
        guard admitInit(contents, header, nonce, local: local, remote: remote) else { return }
        choose(
            InitRequest(
                bytes: bytes, message: message, contents: contents, offer: offer, share: share, nonce: nonce,
                local: local, remote: remote,
                authorities: authorities(of: candidates)),
            candidates, key)
    }

    private mutating func reportNoConnection(_ local: Endpoint, _ remote: Endpoint) {
        guard let down = connections.takenDown(local: local.address, remote: remote.address) else {
            effects.append(.report(.failed(noConnection(remote).ofRefusal)))
            return
        }
        let report = takenDown(down.configuration.name, .ikeSAInit, remote).ofRefusal
        connections[down.id]?.unprovenFailure = report
        effects.append(.report(.failed(report)))
    }

    /// Handles a first message whose SPI and source are known; false when it is another message.
    private mutating func repeatInit(_ bytes: [UInt8], _ known: IKESPI, local: Endpoint, remote: Endpoint) -> Bool {
        guard let sa = ikeSAs[known] else { return false }
        // RFC 7296 §2.1: after IKE_AUTH a repeated IKE_SA_INIT is ignored, before it the same response is repeated.
        guard case .halfOpen(let open) = sa.state else {
            counters.count(.retransmission)
            return true
        }
        guard open.request == bytes else { return false }
        counters.count(.retransmission)
        effects.append(.send(open.response, local: local, remote: remote))
        return true
    }

    /// Whether the limits let another half-open IKE SA in; demands a cookie when they ask for one.
    private mutating func admitInit(
        _ contents: PayloadContents, _ header: IKEHeader, _ nonce: [UInt8], local: Endpoint, remote: Endpoint
    ) -> Bool {
        // Several of one source ask for a cookie, and never shut it out: anybody can write its address.
        let demandsCookie =
            halfOpen.count >= limits.halfOpenBeforeCookie
            || halfOpen.count(from: remote.address) >= limits.halfOpenPerSourceBeforeCookie
        if demandsCookie, !hasCookie(contents, header, nonce, local: local, remote: remote) { return false }
        guard halfOpen.count(from: remote.address) < limits.halfOpenPerSource, ikeSAs.count < limits.ikeSAMaximum else {
            counters.count(.limitReached)
            return false
        }
        return true
    }

    /// Makes room for another half-open IKE SA: whoever has the most loses its oldest one, and nobody is shut out.
    private mutating func makeRoom() {
        while halfOpen.count >= max(limits.halfOpenMaximum, 1), let spi = halfOpen.dispensable {
            counters.count(.halfOpenDropped)
            withIKESA(spi) { endpoint, sa in
                switch sa.state {
                case .closing(let closing): endpoint.forget(&sa, closing.firstMessage)
                default: endpoint.end(&sa, .none)
                }
            }
            halfOpen.complete(spi)
        }
    }

    /// Whether a cookie of ours came back; demands one when it did not.
    private mutating func hasCookie(
        _ contents: PayloadContents, _ header: IKEHeader, _ nonce: [UInt8], local: Endpoint, remote: Endpoint
    ) -> Bool {
        var challenge = cookies ?? CookieChallenge(entropy: entropy, now: now)
        defer { cookies = challenge }
        let accepted = contents.notify(.cookie).map {
            challenge.accepts(
                $0.data, nonce: nonce, address: remote.address, initiatorSPI: header.initiatorSPI, now: now)
        }
        if accepted == true { return true }
        counters.count(.cookieRequired)
        let cookie = challenge.cookie(
            nonce: nonce, address: remote.address, initiatorSPI: header.initiatorSPI, now: now)
        // Not rate limited: the answer is shorter than the request and costs one hash.
        let reply = IKEHeader(
            initiatorSPI: header.initiatorSPI, responderSPI: .zero, exchange: .ikeSAInit, flags: .response,
            messageID: 0)
        let message = IKEMessage(header: reply, payloads: [.notify(NotifyPayload(.cookie, data: cookie))])
        effects.append(.send(message.serialize(), local: local, remote: remote))
        return false
    }

    /// Chooses a proposal and answers.
    private mutating func choose(
        _ request: InitRequest, _ candidates: [Connection], _ key: HalfOpenTable.Key
    ) {
        var choice: ProposalChoice?
        var configuration = candidates[0].configuration
        var mismatch: ProposalMismatch?
        for candidate in candidates where choice == nil {
            configuration = candidate.configuration
            do throws(ProposalMismatch) {
                choice = try selection(configuration).choose(from: request.offer, sentGroup: request.share.group)
            } catch { mismatch = mismatch ?? error }
        }
        guard let choice, let group = choice.group else {
            refuseProposals(request, candidates[0], mismatch)
            return
        }
        guard request.share.group == group.transformID else {
            // RFC 7296 §1.2: the group that we want, in two octets.
            let notify = NotifyPayload(.invalidKEPayload, data: ProposalSelection.invalidKEData(group))
            answerUnprotected(request.message.header, notify, local: request.local, remote: request.remote)
            return
        }
        // Who made up its source address is not to have more sent there than it sent itself.
        let length = answer(
            request, configuration, choice, spi: .zero, nonce: [UInt8](repeating: 0, count: Self.nonceLength),
            publicValue: request.share.value
        ).count
        guard
            length <= request.bytes.count
                || hasCookie(
                    request.contents, request.message.header, request.nonce, local: request.local,
                    remote: request.remote)
        else { return }
        guard let keyExchange = makeKeyExchange(group),
            let secret = try? keyExchange.sharedSecret(with: request.share.value)
        else {
            // RFC 6989 §2: a public value that its group forbids.
            counters.count(.malformed)
            answerUnprotected(
                request.message.header, NotifyPayload(.invalidSyntax), local: request.local, remote: request.remote)
            return
        }
        open(request, configuration, choice, keyExchange, secret, key)
    }

    private mutating func refuseProposals(
        _ request: InitRequest, _ connection: Connection, _ mismatch: ProposalMismatch?
    ) {
        let answered = answerUnprotected(
            request.message.header, NotifyPayload(.noProposalChosen), local: request.local, remote: request.remote)
        guard answered, let mismatch, unauthenticatedReports.take(now) else { return }
        let report = noProposal(connection.configuration.name, .ikeSAInit, mismatch, request.remote).ofRefusal
        // Not authenticated: it explains a connection that is not up, and changes nothing else.
        if connection.established.isEmpty { connections[connection.id]?.unprovenFailure = report }
        effects.append(.report(.failed(report)))
    }

    /// The authorities of these connections, each once, as many as one CERTREQ names.
    private func authorities(of candidates: [Connection]) -> [[UInt8]] {
        var authorities: [[UInt8]] = []
        for candidate in candidates {
            for authority in candidate.configuration.authentication.authorities
            where authorities.count < CertificateLimits.authorities && !authorities.contains(authority) {
                authorities.append(authority)
            }
        }
        return authorities
    }

    /// Makes the half-open IKE SA and sends the response.
    private mutating func open(
        _ request: InitRequest, _ configuration: ConnectionConfiguration, _ choice: ProposalChoice,
        _ keyExchange: KeyExchange, _ secret: SecretBytes, _ key: HalfOpenTable.Key
    ) {
        let spi = newIKESPI()
        let nonce = entropy.bytes(Self.nonceLength)
        let inputs = KeyInputs(
            initiatorNonce: request.nonce, responderNonce: nonce,
            initiatorSPI: request.message.header.initiatorSPI, responderSPI: spi)
        let seed = KeySchedule.skeyseed(prf: choice.pseudoRandomFunction, sharedSecret: secret, inputs: inputs)
        let fragmentation =
            configuration.fragmentation && request.contents.notify(.fragmentationSupported) != nil
        guard let (keying, keys) = makeKeying(choice, seed, inputs, role: .responder, fragmentation: fragmentation)
        else { return }
        let response = answer(
            request, configuration, choice, spi: spi, nonce: nonce, publicValue: keyExchange.publicValue)
        let nat = NATDetection(
            header: request.message.header, payloads: request.message.payloads, local: request.local,
            remote: request.remote)
        let peerHashes = request.contents.signatureHashes
        let state = HalfOpen(
            key: key, request: request.bytes, response: response, initiatorNonce: request.nonce,
            responderNonce: nonce, keying: keying, peerHashes: peerHashes, skPi: keys.skPi, skPr: keys.skPr)
        var sa = IKESA(
            spi: spi, peerSPI: inputs.initiatorSPI, role: .responder, local: request.local, remote: request.remote,
            createdAt: now, window: MessageWindow(nextRequest: 0, expectedRequest: 1), state: .halfOpen(state))
        sa.steeringByte = steeringByte(of: request.remote.address)
        sa.localBehindNAT = nat.localBehindNAT && !request.local.address.isUnspecified
        sa.remoteBehindNAT = nat.remoteBehindNAT
        sa.remoteFakesNAT = nat.remotePretends
        sa.natTraversal = nat.supported
        makeRoom()
        ikeSAs.insert(sa)
        halfOpen.insert(spi, key: key)
        timers.set(.halfOpen(spi), at: now + limits.halfOpenLifetime)
        effects.append(.send(response, local: request.local, remote: request.remote))
    }

    /// The response to a first message.
    private func answer(
        _ request: InitRequest, _ configuration: ConnectionConfiguration, _ choice: ProposalChoice, spi: IKESPI,
        nonce: [UInt8], publicValue: [UInt8]
    ) -> [UInt8] {
        var payloads: [Payload] = [
            .securityAssociation(choice.answer(spi: [])),
            .keyExchange(KeyExchangePayload(group: request.share.group, value: publicValue)),
            .nonce(NoncePayload(nonce)),
        ]
        let initiatorSPI = request.message.header.initiatorSPI
        let hashes: [NotifyType] = [.natDetectionSourceIP, .natDetectionDestinationIP]
        if hashes.allSatisfy({ request.contents.notify($0) != nil }) {
            payloads += NATDetection.payloads(
                initiatorSPI: initiatorSPI, responderSPI: spi, local: request.local, remote: request.remote,
                pretendNAT: configuration.encap)
        }
        if configuration.fragmentation && request.contents.notify(.fragmentationSupported) != nil {
            payloads.append(.notify(NotifyPayload(.fragmentationSupported)))
        }
        if request.contents.signatureHashes != nil {
            payloads.append(.notify(NotifyPayload(.signatureHashAlgorithms, data: SignatureHashes.ours.data)))
        }
        payloads += certificateRequest(request.authorities)
        let header = IKEHeader(
            initiatorSPI: initiatorSPI, responderSPI: spi, exchange: .ikeSAInit, flags: .response, messageID: 0)
        let message = IKEMessage(header: header, payloads: payloads).serialize()
        guard configuration.childless != .never else { return message }
        let announcing = IKEMessage(header: header, payloads: payloads + [.notify(.childlessSupported)]).serialize()
        // An announcement that nobody may need is not worth that a cookie is asked for because of the length.
        let isFree = announcing.count <= request.bytes.count || request.contents.notify(.cookie) != nil
        return isFree || configuration.childless != .allow ? announcing : message
    }

    /// A half-open IKE SA whose IKE_AUTH never came is forgotten.
    mutating func expireHalfOpen(_ spi: IKESPI) {
        withIKESA(spi) { endpoint, sa in
            guard case .halfOpen = sa.state else { return }
            endpoint.end(&sa, .none)
            endpoint.reportNoAuth(sa)
        }
    }

    /// IKE_AUTH never came: not authenticated, so it explains a connection that is not up, and changes nothing else.
    private mutating func reportNoAuth(_ sa: IKESA) {
        let waiting = connections.candidates(local: sa.local.address, remote: sa.remote.address).first {
            $0.established.isEmpty
        }
        guard let waiting, unauthenticatedReports.take(now) else { return }
        let report = noAuth(waiting.configuration.name, sa)
        connections[waiting.id]?.unprovenFailure = report
        effects.append(.report(.failed(report)))
    }
}

/// A first message, read.
private struct InitRequest {
    let bytes: [UInt8]
    let message: IKEMessage
    let contents: PayloadContents
    let offer: SecurityAssociationPayload
    let share: KeyExchangePayload
    let nonce: [UInt8]
    let local: Endpoint
    let remote: Endpoint
    /// Whose certificates the connections that may be meant accept.
    let authorities: [[UInt8]]
}
