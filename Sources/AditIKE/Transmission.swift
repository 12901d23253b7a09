// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// A message's way out: requests wait for the window and are sent again until answered, answers are kept for one
// repetition.

extension IKEEndpoint {
    /// Sends a request; the window must be free.
    mutating func request(_ exchange: ExchangeType, _ payloads: [Payload], _ sa: inout IKESA) {
        let header = header(exchange, response: false, id: sa.window.nextRequest, sa)
        guard let datagrams = seal(header, payloads, sa) else {
            fail(&sa, unsealed(exchange, payloads, sa), .none)
            return
        }
        sendRequest(datagrams, &sa)
    }

    /// Sends the datagrams of a request and waits for its response.
    mutating func sendRequest(_ datagrams: [[UInt8]], _ sa: inout IKESA) {
        sa.window.send(datagrams, wait: limits.retransmitInitial)
        sa.session?.requestedAt = now
        timers.set(.retransmit(sa.spi), at: now + limits.retransmitInitial)
        transmit(datagrams, sa)
    }

    /// Answers the request in `arrival`, and keeps the answer.
    mutating func answer(_ payloads: [Payload], _ arrival: Arrival, _ sa: inout IKESA) {
        let header = header(arrival.header.exchange, response: true, id: arrival.header.messageID, sa)
        guard let datagrams = seal(header, payloads, sa) else {
            fail(&sa, unsealed(arrival.header.exchange, payloads, sa), .none)
            return
        }
        sa.window.answer(with: datagrams)
        // RFC 7296 §2.11: the answer goes to where the request came from.
        for datagram in datagrams {
            effects.append(.send(datagram, local: arrival.local, remote: arrival.remote))
        }
    }

    /// Sends datagrams along the IKE SA's path.
    mutating func transmit(_ datagrams: [[UInt8]], _ sa: IKESA) {
        for datagram in datagrams { effects.append(.send(datagram, local: sa.local, remote: sa.remote)) }
    }

    /// The outstanding request is answered or given up.
    mutating func settle(_ sa: inout IKESA) {
        sa.window.settle()
        timers.cancel(.retransmit(sa.spi))
    }

    /// The header of a message of an IKE SA.
    func header(_ exchange: ExchangeType, response: Bool, id: UInt32, _ sa: IKESA) -> IKEHeader {
        var flags: IKEHeader.Flags = response ? .response : []
        if sa.role == .initiator { flags.insert(.initiator) }
        return IKEHeader(
            initiatorSPI: sa.initiatorSPI, responderSPI: sa.responderSPI, exchange: exchange, flags: flags,
            messageID: id)
    }

    private func seal(_ header: IKEHeader, _ payloads: [Payload], _ sa: IKESA) -> [[UInt8]]? {
        guard let keying = sa.keying else { return nil }
        guard keying.fragmentation else { return keying.sealer.seal(header, payloads).map { [$0] } }
        return keying.sealer.seal(header, payloads, fragmentLength: limits.fragmentSize)
    }

    /// Why a message could not be sealed.
    private func unsealed(_ exchange: ExchangeType, _ payloads: [Payload], _ sa: IKESA) -> FailureReport {
        SKSealer.fits(payloads) ? cryptographicFailure(sa) : messageTooLong(exchange, sa)
    }

    /// The retransmission timer ran out.
    mutating func retransmit(_ spi: IKESPI) {
        withIKESA(spi) { endpoint, sa in
            if case .initSent(let sent) = sa.state, let refusal = sent.refusal,
                (sa.window.outstanding?.sendings ?? 0) >= Self.sendingsDespiteRefusal
            {
                endpoint.fail(&sa, endpoint.refusedInit(refusal, sa), .none)
                return
            }
            if endpoint.probeAgain(&sa) { return }
            guard let (datagrams, wait) = sa.window.retransmit(tries: endpoint.tries(sa)) else {
                if endpoint.waitsForPath(&sa) { return }
                endpoint.settle(&sa)
                endpoint.giveUp(&sa)
                return
            }
            // A peer that is not there has nothing half open for us: others need not wait for it.
            if case .initSent = sa.state { endpoint.attempts.end(spi) }
            endpoint.timers.set(.retransmit(spi), at: endpoint.now + wait)
            endpoint.transmit(datagrams, sa)
            endpoint.probeOtherPaths(datagrams, &sa)
        }
    }

    /// How often the outstanding request is sent.
    private func tries(_ sa: IKESA) -> Int {
        guard case .initSent = sa.state, let id = sa.connection,
            connections[id]?.remotes.count ?? 0 > 1
        else { return sendings(sa) }
        return min(limits.retransmitTries, limits.addressTries)
    }

    /// RFC 7296 §2.21.1: an unauthenticated refusal is not believed at once.
    private static let sendingsDespiteRefusal = 2
}
