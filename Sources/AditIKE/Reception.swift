// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// A datagram's way in:
// 1. The header alone decides the version, and whether this begins an IKE SA or belongs to one (by the SPI that we
// chose).
// 2. The integrity check comes before anything else is believed; what fails it is counted and changes nothing.
// 3. The Message ID decides: the next request, the last one again, the awaited response, or nothing.
// 4. Fragments are put together; the payloads are parsed; an unknown critical one refuses the message.
// 5. The exchange's own file handles it.

extension IKEEndpoint {
    /// Handles a datagram without the non-ESP marker.
    mutating func receive(_ bytes: [UInt8], local: Endpoint, remote: Endpoint) {
        var reader = ByteReader(bytes)
        // RFC 7296 §1.5: only a message outside of any IKE SA may have an initiator's SPI of zero.
        guard let header = try? IKEHeader(parsing: &reader),
            header.initiatorSPI != .zero || (header.responderSPI == .zero && header.exchange == .informational)
        else {
            counters.count(.malformed)
            return
        }
        guard header.majorVersion == 2 else {
            refuseVersion(header, local: local, remote: remote)
            return
        }
        guard header.length == UInt32(bytes.count) else {
            counters.count(.malformed)
            return
        }
        if header.exchange == .ikeSAInit, !header.isResponse, header.responderSPI == .zero {
            answerInit(bytes, header: header, local: local, remote: remote)
            return
        }
        let arrival = Arrival(bytes: bytes, header: header, local: local, remote: remote)
        guard ikeSAs.contains(arrival.ours) else {
            if receiveInvalidSPI(arrival) { return }
            refuseUnknownSPI(header, local: local, remote: remote)
            return
        }
        withIKESA(arrival.ours) { endpoint, sa in endpoint.receive(arrival, &sa) }
    }

    /// Takes an IKE SA out, works on it, and puts it back.
    mutating func withIKESA(_ spi: IKESPI, _ body: (inout IKEEndpoint, inout IKESA) -> Void) {
        guard var sa = ikeSAs.take(spi) else { return }
        body(&self, &sa)
        ikeSAs.putBack(sa)
    }

    private mutating func receive(_ arrival: Arrival, _ sa: inout IKESA) {
        let header = arrival.header
        let theirs = header.flags.contains(.initiator) ? header.initiatorSPI : header.responderSPI
        let fromInitiator = header.flags.contains(.initiator)
        guard fromInitiator == (sa.role == .responder) else {
            counters.count(.unexpected)
            return
        }
        if case .initSent = sa.state {
            receiveInitResponse(arrival, &sa)
            return
        }
        guard theirs == sa.peerSPI, let keying = sa.keying else {
            counters.count(.unknownSPI)
            return
        }
        do {
            let message = try keying.opener.open(arrival.bytes)
            receive(message, arrival, &sa)
        } catch {
            switch error {
            case .malformed: counters.count(.malformed)
            case .authenticationFailed: counters.count(.unauthenticated)
            case .notProtected: receiveUnprotected(arrival, &sa)
            case .malformedContent: receiveMalformed(arrival, &sa)
            }
        }
    }

    /// An authenticated message, or a part of one.
    private mutating func receive(_ message: OpenedMessage, _ arrival: Arrival, _ sa: inout IKESA) {
        guard admit(arrival, message, &sa) else { return }
        let payloads: [Payload]
        switch message.content {
        case .payloads(let whole): payloads = whole
        case .fragment(let fragment):
            switch reassemble(fragment, arrival.header, &sa) {
            case .waiting: return
            case .ignored:
                counters.count(.malformed)
                return
            case .tooLong:
                counters.count(.tooLong)
                return
            case .malformed:
                receiveMalformed(arrival, &sa)
                return
            case .complete(let whole): payloads = whole
            }
        }
        noteInbound(arrival, &sa)
        if let critical = payloads.first(where: \.isUnknownAndCritical) {
            receiveCritical(critical.type, arrival, &sa)
        } else if arrival.header.isResponse {
            receiveResponse(payloads, arrival, &sa)
        } else {
            receiveRequest(payloads, arrival, &sa)
        }
    }

    /// Puts a fragment to the others; those of peers that have proved nothing are limited, each and in all.
    private mutating func reassemble(
        _ fragment: MessageFragment, _ header: IKEHeader, _ sa: inout IKESA
    ) -> FragmentReassembly.Outcome {
        if header.isResponse { return sa.responseFragments.add(fragment, messageID: header.messageID) }
        guard halfOpen.contains(sa.spi) else { return sa.requestFragments.add(fragment, messageID: header.messageID) }
        let outcome = sa.requestFragments.add(
            fragment, messageID: header.messageID, lengthLimit: limits.unprovenMessageLength)
        halfOpen.setFragments(sa.spi, bytes: sa.requestFragments.length)
        while halfOpen.fragmentBytes > limits.unprovenFragmentBytes, let oldest = halfOpen.longestFragmented {
            counters.count(.halfOpenDropped)
            halfOpen.setFragments(oldest, bytes: 0)
            if oldest == sa.spi {
                sa.requestFragments.discard()
            } else {
                withIKESA(oldest) { _, other in other.requestFragments.discard() }
            }
        }
        return outcome
    }

    /// Whether the Message ID lets an authenticated message in; a retransmitted request gets its answer again.
    private mutating func admit(_ arrival: Arrival, _ message: OpenedMessage, _ sa: inout IKESA) -> Bool {
        let id = arrival.header.messageID
        if arrival.header.isResponse {
            if sa.window.awaits(response: id) { return true }
            counters.count(.unexpected)
            return false
        }
        switch sa.window.classify(request: id) {
        case .fresh: return true
        case .outside:
            // RFC 7296 §2.3: INVALID_MESSAGE_ID is optional; it is left out.
            counters.count(.outsideWindow)
            return false
        case .retransmission(let datagrams):
            counters.count(.retransmission)
            // RFC 7383 §2.6.1: of a fragmented request only the first fragment asks for the answer again.
            if case .fragment(let fragment) = message.content, fragment.number != 1 { return false }
            for datagram in datagrams {
                effects.append(.send(datagram, local: arrival.local, remote: arrival.remote))
            }
            deleteRefusedAgain(&sa)
            return false
        }
    }

    private mutating func receiveRequest(_ payloads: [Payload], _ arrival: Arrival, _ sa: inout IKESA) {
        // The window is one: a next request means that our last answer arrived.
        sa.session?.unconfirmed = nil
        reviewHandovers(sa)
        if sa.session?.inheritsFrom != nil, !PayloadContents(payloads).deletesIKESA { inherit(&sa) }
        switch (sa.state, arrival.header.exchange) {
        case (.halfOpen, .ikeAuth): answerAuth(payloads, arrival, &sa)
        case (.established, .createChildSA): answerCreateChild(payloads, arrival, &sa)
        case (.established, .informational): answerInformational(payloads, arrival, &sa)
        case (.closing, .createChildSA):
            // RFC 7296 §2.25.2: a request on an IKE SA that is being closed or was replaced.
            answer([.notify(NotifyPayload(.temporaryFailure))], arrival, &sa)
        case (.closing, .informational): answerWhileClosing(payloads, arrival, &sa)
        default: counters.count(.unexpected)
        }
    }

    private mutating func receiveResponse(_ payloads: [Payload], _ arrival: Arrival, _ sa: inout IKESA) {
        switch (sa.state, arrival.header.exchange) {
        case (.authSent, .ikeAuth):
            settle(&sa)
            finishAuth(payloads, arrival, &sa)
        case (.established, .createChildSA), (.established, .informational):
            settle(&sa)
            confirmFirst(&sa)
            noteAnswer(&sa)
            takeAnsweringPath(arrival, &sa)
            finishExchange(payloads, arrival, &sa)
            startNextTask(&sa)
        case (.closing, _):
            settle(&sa)
            finishClosing(&sa)
        default: counters.count(.unexpected)
        }
    }

    /// An authenticated message whose content is malformed.
    private mutating func receiveMalformed(_ arrival: Arrival, _ sa: inout IKESA) {
        counters.count(.invalidSyntax)
        refuse(.invalidSyntax, data: [], arrival, &sa)
    }

    private mutating func receiveCritical(_ type: PayloadType, _ arrival: Arrival, _ sa: inout IKESA) {
        // RFC 7296 §2.5: the notification names the payload type in one octet.
        refuse(.unsupportedCriticalPayload, data: [type.rawValue], arrival, &sa)
    }

    /// Refuses a whole authenticated message.
    private mutating func refuse(_ type: NotifyType, data: [UInt8], _ arrival: Arrival, _ sa: inout IKESA) {
        let code: FailureReport.Code =
            type == .invalidSyntax ? .invalidSyntax : .unsupportedCriticalPayload
        let what = type == .invalidSyntax ? "a malformed message" : "a critical payload of type \(data.first ?? 0)"
        guard !arrival.header.isResponse else {
            guard sa.window.awaits(response: arrival.header.messageID) else {
                counters.count(.unexpected)
                return
            }
            // RFC 7296 §2.21: no answer to a response; the state is cleaned up.
            settle(&sa)
            fail(&sa, peerFault(code, "the peer answered with \(what)", sa), .linger)
            return
        }
        guard case .fresh = sa.window.classify(request: arrival.header.messageID) else {
            counters.count(.outsideWindow)
            return
        }
        if case .authSent = sa.state {
            counters.count(.unexpected)
            return
        }
        answer([.notify(NotifyPayload(type, data: data))], arrival, &sa)
        if case .closing = sa.state { return }
        // RFC 7296 §2.21.3: INVALID_SYNTAX is fatal in both peers; §2.21.2: in IKE_AUTH both end the attempt.
        if case .established = sa.state, type != .invalidSyntax { return }
        fail(&sa, peerFault(code, "the peer sent \(what)", sa), .linger)
    }

    /// An unprotected message that names an IKE SA: never more than a hint (RFC 7296 §2.21.4).
    private mutating func receiveUnprotected(_ arrival: Arrival, _ sa: inout IKESA) {
        counters.count(.unauthenticated)
        guard arrival.header.isResponse, sa.session != nil, let message = try? IKEMessage(parsing: arrival.bytes),
            PayloadContents(message.payloads).notify(.invalidIKESPI) != nil
        else { return }
        suspect(&sa)
    }

    private mutating func refuseVersion(_ header: IKEHeader, local: Endpoint, remote: Endpoint) {
        counters.count(.unsupportedVersion)
        // RFC 7296 §2.5: a higher major version is answered with the highest that we speak; IKEv1 is ignored.
        guard header.majorVersion > 2, !header.isResponse else { return }
        answerUnprotected(header, NotifyPayload(.invalidMajorVersion), local: local, remote: remote)
    }

    private mutating func refuseUnknownSPI(_ header: IKEHeader, local: Endpoint, remote: Endpoint) {
        counters.count(.unknownSPI)
        // RFC 7296 §2.21.4: a response is never answered, a request may be.
        guard !header.isResponse, header.responderSPI != .zero else { return }
        answerUnprotected(header, NotifyPayload(.invalidIKESPI), local: local, remote: remote)
    }

    /// Answers a message outside any IKE SA: SPIs, exchange and Message ID are copied (RFC 7296 §1.5).
    ///
    /// False when the rate limit forbids it.
    @discardableResult
    mutating func answerUnprotected(
        _ header: IKEHeader, _ notify: NotifyPayload, local: Endpoint, remote: Endpoint
    ) -> Bool {
        let isAllowed =
            notify.type == .invalidKEPayload
            ? invalidKEAnswers.take(now) : unprotectedAnswers.take(remote.address, now)
        guard isAllowed else {
            counters.count(.rateLimited)
            return false
        }
        // The Initiator flag tells who sends: the opposite of the request's.
        let flags: IKEHeader.Flags = header.flags.contains(.initiator) ? .response : [.response, .initiator]
        let reply = IKEHeader(
            initiatorSPI: header.initiatorSPI, responderSPI: header.responderSPI, exchange: header.exchange,
            flags: flags, messageID: header.messageID)
        let message = IKEMessage(header: reply, payloads: [.notify(notify)])
        effects.append(.send(message.serialize(), local: local, remote: remote))
        return true
    }
}

/// A datagram with its header read.
struct Arrival: Sendable {
    let bytes: [UInt8]
    let header: IKEHeader
    let local: Endpoint
    let remote: Endpoint

    /// The SPI of the two that we chose (RFC 7296 §3.1).
    var ours: IKESPI { header.flags.contains(.initiator) ? header.responderSPI : header.initiatorSPI }
}

extension Payload {
    /// Whether it must be understood and is not (RFC 7296 §2.5).
    var isUnknownAndCritical: Bool {
        if case .unknown(let payload) = self { payload.critical } else { false }
    }
}
