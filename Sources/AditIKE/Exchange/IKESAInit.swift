// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditCrypto
internal import AditWire

// IKE_SA_INIT as initiator (RFC 7296 §1.2, §2.6, §2.7, §2.21.1, §2.23).

extension IKEEndpoint {
    /// Sends the first message of a new IKE SA for `children` of a connection.
    ///
    /// `old` is the IKE SA whose place it takes: the peers authenticate anew where they are now. `isNext`: it has
    /// waited for its turn.
    mutating func initiate(
        _ id: ConnectionID, children: [ChildID], isResolved: Bool = false, isNext: Bool = false,
        replacing old: IKESA? = nil
    ) {
        guard let connection = connections[id], connection.canInitiate, !children.isEmpty || old != nil else { return }
        let configuration = connection.configuration
        let present = old?.remote.address
        guard let address = present != nil ? present : remoteForAttempt(id, children, isResolved: isResolved)
        else { return }
        guard old != nil || isNext || attempts.mayBegin(address, limit: limits.attemptsPerRemote) else {
            queue(id, children, for: address)
            return
        }
        let remote = Endpoint(address, port: configuration.remotePort)
        let local = Endpoint(
            old?.local.address ?? configuration.localAddresses.first { $0.family == remote.address.family }
                ?? IPAddress.bounds(of: remote.address.family).first,
            port: configuration.remotePort == limits.remoteNATPort ? limits.natPort : limits.ikePort)
        guard ikeSAs.count < limits.ikeSAMaximum else {
            attemptFailed(
                id, children: children, limitReached(configuration.name, .ikeSAInit, remote), replacing: old?.spi)
            return
        }
        guard let group = configuration.proposals.flatMap(\.keyExchangeGroups).first,
            let keyExchange = makeKeyExchange(group)
        else {
            let report = cryptographicFailure(configuration.name, .ikeSAInit, remote)
            attemptFailed(id, children: children, report, replacing: old?.spi)
            return
        }
        let sent = InitSent(
            nonce: entropy.bytes(Self.nonceLength), keyExchange: keyExchange, groups: [group.transformID])
        var sa = IKESA(
            spi: newIKESPI(), role: .initiator, local: local, remote: remote, connection: id, wanted: children,
            createdAt: now, state: .initSent(sent))
        sa.steeringByte = steeringByte(of: remote.address)
        sa.reauthenticates = old?.spi
        connections[id]?.attempt = sa.spi
        attempts.begin(sa.spi, address)
        effects.append(.report(.connecting(connection: configuration.name, remote: remote, role: .initiator)))
        sendRequest([initRequest(sent, configuration, sa)], &sa)
        ikeSAs.insert(sa)
    }

    private func initRequest(
        _ sent: InitSent, _ configuration: ConnectionConfiguration, _ sa: IKESA
    ) -> [UInt8] {
        var payloads: [Payload] = []
        // RFC 7296 §2.6: the cookie is the first payload, everything else stays as it was.
        if let cookie = sent.cookie { payloads.append(.notify(NotifyPayload(.cookie, data: cookie))) }
        payloads += [
            .securityAssociation(SecurityAssociationPayload(offering: configuration.proposals, spi: [])),
            .keyExchange(
                KeyExchangePayload(
                    group: sent.keyExchange.group.transformID, value: sent.keyExchange.publicValue)),
            .nonce(NoncePayload(sent.nonce)),
        ]
        payloads += NATDetection.payloads(
            initiatorSPI: sa.spi, responderSPI: .zero, local: sa.local, remote: sa.remote,
            pretendNAT: configuration.encap)
        if configuration.fragmentation { payloads.append(.notify(NotifyPayload(.fragmentationSupported))) }
        if configuration.childless == .prefer || configuration.childless == .force {
            // RFC 6023 §3 has it in the answer only; so long a request is answered with it, without a cookie first.
            payloads.append(.notify(.childlessSupported))
        }
        if configuration.authentication.usesSignatures {
            payloads.append(.notify(NotifyPayload(.signatureHashAlgorithms, data: SignatureHashes.ours.data)))
        }
        return IKEMessage(header: header(.ikeSAInit, response: false, id: 0, sa), payloads: payloads).serialize()
    }

    /// A response while IKE_SA_INIT is outstanding; nothing in it is authenticated.
    mutating func receiveInitResponse(_ arrival: Arrival, _ sa: inout IKESA) {
        guard arrival.header.exchange == .ikeSAInit, arrival.header.isResponse,
            sa.window.awaits(response: arrival.header.messageID),
            case .initSent(let sent) = sa.state, let id = sa.connection,
            let configuration = connections[id]?.configuration
        else {
            counters.count(.unexpected)
            return
        }
        guard let message = try? IKEMessage(parsing: arrival.bytes),
            !message.payloads.contains(where: \.isUnknownAndCritical)
        else {
            counters.count(.malformed)
            return
        }
        let contents = PayloadContents(message.payloads)
        if let cookie = contents.notify(.cookie) {
            sendCookie(cookie.data, sent, configuration, &sa)
        } else if let refused = contents.notify(.invalidKEPayload) {
            changeGroup(refused.data, sent, configuration, &sa)
        } else if let refusal = contents.errors.first {
            // RFC 7296 §2.21.1: forged as easily as not, so only noted; the retransmission timer decides.
            var sent = sent
            sent.refusal = refusal.type
            sa.state = .initSent(sent)
        } else {
            finishInit(arrival, message, contents, sent, configuration, &sa)
        }
    }

    private mutating func sendCookie(
        _ cookie: [UInt8], _ sent: InitSent, _ configuration: ConnectionConfiguration, _ sa: inout IKESA
    ) {
        // RFC 7296 §2.6: 1 to 64 octets; the number of rounds is limited, as cookies can be forged.
        guard (1...CookieChallenge.lengthLimit).contains(cookie.count), cookie != sent.cookie,
            sent.cookieRounds < Self.cookieRoundLimit
        else {
            counters.count(.unexpected)
            return
        }
        var sent = sent
        sent.cookie = cookie
        sent.cookieRounds += 1
        restartInit(sent, configuration, &sa)
    }

    private mutating func changeGroup(
        _ data: [UInt8], _ sent: InitSent, _ configuration: ConnectionConfiguration, _ sa: inout IKESA
    ) {
        // RFC 7296 §1.2, §2.7: the group that the responder wants, if we offered it; each is tried once.
        let group = selection(configuration).retryGroup(invalidKE: data, sent: sent.keyExchange.group)
        var sent = sent
        guard let group, !sent.groups.contains(group.transformID), let keyExchange = makeKeyExchange(group) else {
            sent.refusal = sent.refusal ?? .invalidKEPayload
            sa.state = .initSent(sent)
            return
        }
        sent.keyExchange = keyExchange
        sent.groups.append(group.transformID)
        restartInit(sent, configuration, &sa)
    }

    /// Sends IKE_SA_INIT again with other contents under the same SPI, nonce and Message ID (RFC 7296 §2.2).
    private mutating func restartInit(
        _ sent: InitSent, _ configuration: ConnectionConfiguration, _ sa: inout IKESA
    ) {
        let datagrams = [initRequest(sent, configuration, sa)]
        sa.state = .initSent(sent)
        sa.window.replaceOutstanding(datagrams, wait: limits.retransmitInitial)
        timers.set(.retransmit(sa.spi), at: now + limits.retransmitInitial)
        transmit(datagrams, sa)
    }

    private mutating func finishInit(
        _ arrival: Arrival, _ message: IKEMessage, _ contents: PayloadContents, _ sent: InitSent,
        _ configuration: ConnectionConfiguration, _ sa: inout IKESA
    ) {
        guard arrival.header.responderSPI != .zero, let answer = contents.securityAssociation,
            let nonce = contents.nonce
        else {
            counters.count(.malformed)
            return
        }
        let choice: ProposalChoice
        do throws(ProposalMismatch) {
            choice = try selection(configuration).check(answer: answer)
        } catch {
            ignoreAnswer(.proposal(error), sent, &sa)
            return
        }
        guard let share = contents.keyExchange, share.group == sent.keyExchange.group.transformID,
            choice.group == sent.keyExchange.group,
            // RFC 6989 §2: a public value that its group forbids is refused here.
            let secret = try? sent.keyExchange.sharedSecret(with: share.value)
        else {
            ignoreAnswer(.keyExchange(group: contents.keyExchange?.group), sent, &sa)
            return
        }
        // What was sent last, which our AUTH covers.
        let request = sa.window.outstanding?.datagrams.first ?? []
        settle(&sa)
        sa.peerSPI = arrival.header.responderSPI
        let inputs = KeyInputs(
            initiatorNonce: sent.nonce, responderNonce: nonce, initiatorSPI: sa.spi, responderSPI: sa.peerSPI)
        let seed = KeySchedule.skeyseed(prf: choice.pseudoRandomFunction, sharedSecret: secret, inputs: inputs)
        let fragmentation = configuration.fragmentation && contents.notify(.fragmentationSupported) != nil
        guard
            let (keying, keys) = makeKeying(
                choice, seed, inputs, role: .initiator, fragmentation: fragmentation)
        else {
            fail(&sa, cryptographicFailure(sa), .none)
            return
        }
        follow(
            NATDetection(
                header: message.header, payloads: message.payloads, local: arrival.local, remote: arrival.remote),
            arrival, &sa)
        sendAuth(
            InitResult(
                initiatorNonce: sent.nonce, responderNonce: nonce,
                request: request, response: arrival.bytes, keying: keying, keys: keys,
                peerHashes: contents.signatureHashes,
                peerIsChildless: contents.notify(.childlessIKEv2Supported) != nil),
            configuration, &sa)
    }

    /// An answer that does not fit what we asked: forged as easily as not, so the right one is waited for.
    private mutating func ignoreAnswer(_ fault: InitSent.Unacceptable, _ sent: InitSent, _ sa: inout IKESA) {
        counters.count(.malformed)
        var sent = sent
        sent.unacceptable = sent.unacceptable ?? fault
        sa.state = .initSent(sent)
    }

    /// Moves to the NAT traversal ports when the peer knows NAT traversal, as ESP always goes in UDP.
    private mutating func follow(_ nat: NATDetection, _ arrival: Arrival, _ sa: inout IKESA) {
        sa.localBehindNAT = nat.localBehindNAT && !arrival.local.address.isUnspecified
        sa.remoteBehindNAT = nat.remoteBehindNAT
        sa.remoteFakesNAT = nat.remotePretends
        sa.natTraversal = nat.supported
        guard nat.supported else {
            sa.local = arrival.local
            return
        }
        // RFC 7296 §2.23: an initiator may use port 4500 whether or not there is a NAT, and must when there is one.
        sa.local = Endpoint(arrival.local.address, port: limits.natPort)
        sa.remote = Endpoint(sa.remote.address, port: limits.remoteNATPort)
    }

    /// How IKE proposals of a connection are chosen and checked.
    func selection(_ configuration: ConnectionConfiguration) -> ProposalSelection {
        ProposalSelection(configuration.proposals, allowLegacy: configuration.allowLegacy)
    }

    static let nonceLength = 32
    private static let cookieRoundLimit = 8
}

/// What the initiator has after IKE_SA_INIT.
struct InitResult {
    let initiatorNonce: [UInt8]
    let responderNonce: [UInt8]
    let request: [UInt8]
    let response: [UInt8]
    let keying: IKEKeying
    let keys: IKESAKeys
    /// The hash functions that the peer verifies signatures with; nil without RFC 7427.
    let peerHashes: SignatureHashes?
    /// Whether the peer takes an IKE_AUTH without a child (RFC 6023 §3).
    let peerIsChildless: Bool
}
