// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditCrypto
internal import AditWire

// IKE_AUTH as responder (RFC 7296 §1.2, §2.15, §2.21.2).

extension IKEEndpoint {
    /// Answers IKE_AUTH: finds the connection by addresses and identity, verifies, proves, and makes the first child.
    mutating func answerAuth(_ payloads: [Payload], _ arrival: Arrival, _ sa: inout IKESA) {
        guard case .halfOpen(let open) = sa.state else { return }
        let contents = PayloadContents(payloads)
        guard let identification = contents.initiatorID else {
            answer([.notify(NotifyPayload(.invalidSyntax))], arrival, &sa)
            fail(&sa, peerFault(.invalidSyntax, "the peer's IKE_AUTH request lacks its identity", sa), .linger)
            return
        }
        guard let authentication = contents.authentication else {
            // RFC 7296 §2.16: without AUTH the initiator asks for EAP.
            refuseAuth(wantsEAP(identification, sa), arrival, &sa)
            return
        }
        // RFC 7296 §2.23: from here on the path is the one that the authenticated message took.
        sa.local = arrival.local
        sa.remote = arrival.remote
        guard let remoteID = Identity(identification) else {
            refuseAuth(noConnection(identification.description, contents, sa), arrival, &sa)
            return
        }
        let candidates = connections.candidates(
            local: arrival.local.address, remote: arrival.remote.address, identity: remoteID
        ).filter { accepts($0.configuration, contents.responderID, open.keying.choice, sa) }
        guard !candidates.isEmpty else {
            refuseAuth(noConnection(remoteID.description, contents, sa), arrival, &sa)
            return
        }
        let theirs = Proof(
            prf: open.keying.choice.pseudoRandomFunction, message: open.request, otherNonce: open.responderNonce,
            skP: open.skPi)
        // Several connections may fit when none names the identity: the proof tells them apart.
        var certificates = PeerCertificates(contents.certificates, at: wallClock.seconds)
        var refusal: (connection: Connection, failure: ProofFailure)?
        for connection in candidates.prefix(ConnectionConfiguration.proofLimit) {
            do throws(ProofFailure) {
                let algorithm = try theirs.verify(
                    authentication, connection.configuration, identification, &certificates)
                sa.connection = connection.id
                sa.isPeerProven = true
                accept(contents, open, connection.configuration, remoteID, algorithm, arrival, &sa)
                return
            } catch {
                // The most telling failure is reported: one of a connection that wants this kind of proof.
                if case .method = refusal?.failure ?? .method { refusal = (connection, error) }
            }
        }
        guard let refusal else { return }
        sa.connection = refusal.connection.id
        var report = wrongProof(
            refusal.failure, authentication, remoteID, wanting: contents.responderID, refusal.connection.configuration,
            sa)
        if candidates.count > ConnectionConfiguration.proofLimit { report.suggestion = tooManyFit(candidates.count) }
        refuseAuth(report, arrival, &sa)
    }

    /// Whether a connection takes the identity that the peer wants us to have, and the suite agreed before.
    private func accepts(
        _ configuration: ConnectionConfiguration, _ wanted: IdentificationPayload?, _ choice: ProposalChoice,
        _ sa: IKESA
    ) -> Bool {
        let ours = configuration.identity(at: sa.local.address)
        if let wanted, let wantedID = Identity(wanted), !wantedID.matches(ours) {
            // RFC 7296 §1.2: the responder may use another identity; with an address behind a NAT it has to.
            guard case .address = wantedID else { return false }
        }
        let offer = SecurityAssociationPayload(offering: [choice.proposal], spi: [])
        return (try? selection(configuration).choose(from: offer)) != nil
    }

    private mutating func refuseAuth(_ report: FailureReport, _ arrival: Arrival, _ sa: inout IKESA) {
        answer([.notify(NotifyPayload(.authenticationFailed))], arrival, &sa)
        fail(&sa, report, .linger)
    }

    private mutating func accept(
        _ contents: PayloadContents, _ open: HalfOpen, _ configuration: ConnectionConfiguration,
        _ remoteID: Identity, _ peerAlgorithm: SignatureAlgorithm?, _ arrival: Arrival, _ sa: inout IKESA
    ) {
        let localID = configuration.identity(at: sa.local.address)
        let ours = Proof(
            prf: open.keying.choice.pseudoRandomFunction, message: open.response, otherNonce: open.initiatorNonce,
            skP: open.skPr)
        var payloads: [Payload] = [.identificationResponder(localID.payload)]
        do throws(SignatureFailure) {
            let proof = try ours.prove(
                configuration, as: localID, peerHashes: open.peerHashes, peerAlgorithm: peerAlgorithm)
            payloads += proof.certificates + [proof.authentication]
        } catch {
            refuseAuth(noProof(error, sa), arrival, &sa)
            return
        }
        if configuration.unique == .keep, let holder = holder(of: remoteID, sa) {
            refuseAuth(duplicatePeer(remoteID, holder, sa), arrival, &sa)
            return
        }
        if let notify = refusalOfShape(contents, configuration) {
            answer([.notify(NotifyPayload(notify))], arrival, &sa)
            fail(&sa, unwantedShape(contents, sa), .linger)
            return
        }
        guard let mobility = acceptMobility(contents, configuration, arrival, &sa) else { return }
        effects.append(
            .report(.connecting(connection: configuration.name, remote: sa.remote, role: .responder)))
        var keying = open.keying
        keying.fragmentation = keying.fragmentation && configuration.fragmentation
        establish(&sa, keying, localID: localID, remoteID: remoteID, firstMessage: open.key)
        limitAuthentication(&sa)
        if let lifetime = authenticationLifetime(configuration) { payloads.append(.notify(lifetime)) }
        let (answered, outcome) = contents.isChildless ? ([], nil) : acceptChild(contents, open, configuration, &sa)
        answer(payloads + answered + mobility, arrival, &sa)
        // An answer that cannot be sealed has ended the IKE SA.
        guard sa.session != nil else { return }
        reportEstablished(sa)
        switch outcome {
        case .success(let report): effects.append(.report(report))
        case .failure(let refusal): if let report = refusal.report { noteFailure(report.ofRefusal, sa) }
        case nil: break
        }
        settleRivals(&sa, initialContact: contents.notify(.initialContact) != nil)
        startNextTask(&sa)
    }

    /// The child's part of IKE_AUTH: the payloads that answer it, and what people are told after they were sent.
    private mutating func acceptChild(
        _ contents: PayloadContents, _ open: HalfOpen, _ configuration: ConnectionConfiguration, _ sa: inout IKESA
    ) -> ([Payload], Result<IKEReport, ChildRefusal>?) {
        do throws(ChildRefusal) {
            let agreement = try agree(contents, configuration, rekeying: nil, keyExchange: false, sa)
            let inbound = newSPI(owner: sa)
            let keying = ChildKeying(
                initiatorNonce: open.initiatorNonce, responderNonce: open.responderNonce, weInitiated: false)
            let old = predecessor(agreement, sa)
            // A peer that has not lost what it had still receives on that, and may not have our answer yet.
            let isFirst = contents.notify(.initialContact) != nil
            let waits = old.map { isKept($0, sa, initialContact: isFirst) } ?? false
            // The inbound SA must be there before the peer can use it.
            let report = install(
                agreement, inbound: inbound, keying, replaces: old, outboundActive: !waits, &sa)
            sa.session?.unconfirmed?.isFirst = true
            return (childAnswer(agreement, inbound), report.map { .success($0) })
        } catch {
            // RFC 7296 §2.21.2: the IKE SA stands all the same.
            return ([.notify(error.notify)], .failure(error))
        }
    }

    /// The payloads that accept a Child SA, without nonce and key exchange.
    func childAnswer(_ agreement: ChildAgreement, _ inbound: SPI) -> [Payload] {
        var payloads: [Payload] = [
            .securityAssociation(agreement.choice.answer(spi: inbound.bytes)),
            .trafficSelectorsInitiator(TrafficSelectorPayload(agreement.remote)),
            .trafficSelectorsResponder(TrafficSelectorPayload(agreement.local)),
        ]
        if agreement.additionalPossible { payloads.append(.notify(NotifyPayload(.additionalTSPossible))) }
        return payloads
    }
}
