// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditCrypto
internal import AditWire

// IKE_AUTH as initiator (RFC 7296 §1.2, §2.15, §2.21.2).

extension IKEEndpoint {
    /// Sends IKE_AUTH: who we are, the proof, and the first child.
    mutating func sendAuth(_ result: InitResult, _ configuration: ConnectionConfiguration, _ sa: inout IKESA) {
        guard let isChildless = beginsChildless(result, configuration, sa) else {
            fail(&sa, notChildless(sa), .none)
            return
        }
        let localID = configuration.identity(at: sa.local.address)
        let ours = Proof(
            prf: result.keying.choice.pseudoRandomFunction, message: result.request, otherNonce: result.responderNonce,
            skP: result.keys.skPi)
        let proof: (certificates: [Payload], authentication: Payload)
        do throws(SignatureFailure) {
            proof = try ours.prove(
                configuration, as: localID, peerHashes: result.peerHashes, peerAlgorithm: assumedAlgorithm(sa))
        } catch {
            fail(&sa, noProof(error, sa), .none)
            return
        }
        let negotiation = isChildless ? nil : firstChild(&sa)
        var payloads: [Payload] = [.identificationInitiator(localID.payload)]
        payloads += proof.certificates + certificateRequest(configuration.authentication.authorities)
        if let remoteID = configuration.remoteID, !remoteID.isPattern {
            // RFC 7296 §1.2: which of the responder's identities we want to talk to.
            payloads.append(.identificationResponder(remoteID.payload))
        }
        payloads.append(proof.authentication)
        let named = configuration.remoteID.flatMap { $0.isPattern ? nil : $0 }
        if configuration.unique != .never, isFirstContact(localID, named, sa) {
            // RFC 7296 §2.4: whatever the peer still has of us is from before a crash.
            payloads.append(.notify(NotifyPayload(.initialContact)))
        }
        enterContacts(localID, named, &sa)
        if let negotiation {
            payloads += [
                .securityAssociation(
                    SecurityAssociationPayload(offering: negotiation.proposals, spi: negotiation.spi.bytes)),
                .trafficSelectorsInitiator(TrafficSelectorPayload(negotiation.localSelectors)),
                .trafficSelectorsResponder(TrafficSelectorPayload(negotiation.remoteSelectors)),
            ]
        }
        payloads += offerMobility(configuration, .initiator, &sa)
        sa.state = .authSent(
            AuthSent(
                initiatorNonce: result.initiatorNonce, responderNonce: result.responderNonce,
                response: result.response, keying: result.keying, skPr: result.keys.skPr, localID: localID,
                peerHashes: result.peerHashes, child: negotiation))
        request(.ikeAuth, payloads, &sa)
    }

    /// The child that IKE_AUTH asks for: the first one wanted.
    private mutating func firstChild(_ sa: inout IKESA) -> ChildNegotiation? {
        // Where none is wanted and the peer takes no IKE SA without one, the first of the configuration stands in.
        let wanted = sa.wanted.isEmpty ? nil : sa.wanted.removeFirst()
        guard let children = sa.connection.flatMap({ connections[$0]?.children }),
            let index = wanted ?? children.ids.first, let child = children[index]
        else { return nil }
        let first = missingTraffic(of: index, sa)
        let offered = child.offered(first: first)
        return ChildNegotiation(
            child: index, spi: newSPI(owner: sa), replaces: nil,
            proposals: childProposals(child, keyExchange: false), localSelectors: offered.local,
            remoteSelectors: offered.remote, asked: child.offered(first: nil), first: first, nonce: [],
            keyExchange: nil, groups: [])
    }

    /// CERTREQ for certificates of these authorities (RFC 7296 §3.7); nothing where no certificate is wanted.
    func certificateRequest(_ authorities: [[UInt8]]) -> [Payload] {
        guard !authorities.isEmpty else { return [] }
        let hashes = authorities.prefix(CertificateLimits.authorities).flatMap { $0 }
        return [.certificateRequest(CertificatePayload(encoding: .x509Signature, bytes: hashes))]
    }

    /// The response to IKE_AUTH arrived.
    mutating func finishAuth(_ payloads: [Payload], _ arrival: Arrival, _ sa: inout IKESA) {
        guard case .authSent(let sent) = sa.state, let id = sa.connection,
            let configuration = connections[id]?.configuration
        else { return }
        let contents = PayloadContents(payloads)
        guard let identification = contents.responderID, let authentication = contents.authentication else {
            let error = contents.errors.first?.type
            if error == .authenticationFailed, signsOtherwise(sent, configuration, &sa) { return }
            fail(
                &sa,
                error.map { refusedAuth($0, configuration, sa) }
                    ?? peerFault(.invalidSyntax, "the peer's IKE_AUTH response lacks its identity or proof", sa), .none)
            return
        }
        // RFC 7296 §2.21.2: what cannot be verified is told to the peer, and the IKE SA is dropped.
        guard let remoteID = Identity(identification), configuration.remoteID?.matches(remoteID) ?? true else {
            fail(&sa, wrongIdentity(identification, configuration, sa), .notify(.authenticationFailed))
            return
        }
        let proof = Proof(
            prf: sent.keying.choice.pseudoRandomFunction, message: sent.response, otherNonce: sent.initiatorNonce,
            skP: sent.skPr)
        do throws(ProofFailure) {
            var certificates = PeerCertificates(contents.certificates, at: wallClock.seconds)
            _ = try proof.verify(authentication, configuration, identification, &certificates)
        } catch {
            fail(&sa, wrongProof(error, authentication, remoteID, configuration, sa), .notify(.authenticationFailed))
            return
        }
        if sa.local.address.isUnspecified { sa.local = Endpoint(arrival.local.address, port: sa.local.port) }
        settleMobility(contents, &sa)
        establish(&sa, sent.keying, localID: sent.localID, remoteID: remoteID, firstMessage: nil)
        limitAuthentication(&sa, peer: contents.authenticationLifetime)
        finishFirstChild(contents, sent, configuration, &sa)
        settleRivals(&sa, initialContact: contents.notify(.initialContact) != nil)
        if sa.mobility?.movedAt != nil { addUrgent(.updateAddresses, &sa) }
        startNextTask(&sa)
    }

    /// The first child's part of the response; its failure leaves the IKE SA as it is (RFC 7296 §1.2, §2.21.2).
    private mutating func finishFirstChild(
        _ contents: PayloadContents, _ sent: AuthSent, _ configuration: ConnectionConfiguration, _ sa: inout IKESA
    ) {
        let wanted = sa.wanted
        sa.wanted = []
        guard let child = sent.child else {
            reportEstablished(sa)
            for child in wanted { sa.session?.add(.createChild(child)) }
            return
        }
        if isRetired(child.child, sa) {
            reportEstablished(sa)
            dropRetired(child, contents, &sa)
            for child in wanted { sa.session?.add(.createChild(child)) }
            return
        }
        do throws(FailureReport) {
            if let error = contents.errors.first {
                throw refusedChild(error.type, child, configuration, .ikeAuth, sa)
            }
            let agreement = try check(contents, child, configuration, .ikeAuth, sa)
            let keying = ChildKeying(
                initiatorNonce: sent.initiatorNonce, responderNonce: sent.responderNonce, weInitiated: true)
            let report = install(
                agreement, inbound: child.spi, keying, replaces: predecessor(agreement, sa),
                outboundActive: true, &sa)
            reportEstablished(sa)
            if let report { effects.append(.report(report)) }
            askFurther(child, &sa)
        } catch {
            let refusedByUs = contents.errors.isEmpty && contents.securityAssociation != nil
            forgetSPI(child.spi)
            reportEstablished(sa)
            childFailed(child.child, first: child.first, error, &sa)
            if refusedByUs, let outbound = contents.securityAssociation?.proposals.first?.espSPI {
                deleteUnwanted(child.spi, outbound, &sa)
            }
        }
        for child in wanted { sa.session?.add(.createChild(child)) }
    }
}
