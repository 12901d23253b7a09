// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// One side has lost its state and the other sends on (RFC 7296 §1.5, §2.4, §2.21.4): the one tells, and the other takes
// it for a hint. What is not authenticated never ends an IKE SA: it asks its peer, and only silence is believed.

/// That a peer may have lost its state: something unauthenticated says so.
struct Suspicion: Sendable {
    /// When the peer was first asked because of it.
    let since: Timestamp
    /// When it was last said.
    var lastHint: Timestamp
    /// Whether it was said again since the peer was asked.
    var isConfirmed = false
}

extension IKEEndpoint {
    /// ESP arrived for an SPI that we do not have: its sender is told, without protection, when a connection may know
    /// it.
    mutating func reportUnknownSPI(_ spi: SPI, to remote: Endpoint) {
        let unspecified = IPAddress.bounds(of: remote.address.family).first
        guard childOwners[spi] == nil,
            let connection = connections.candidates(local: unspecified, remote: remote.address).first,
            invalidSPIAnswers.take(remote.address, now)
        else { return }
        let local = connection.configuration.localAddresses.first { $0.family == remote.address.family }
        // RFC 7296 §1.5: SPIs of zero, the Initiator flag set, the Response flag clear; nobody answers it.
        let header = IKEHeader(
            initiatorSPI: .zero, responderSPI: .zero, exchange: .informational, flags: .initiator, messageID: 0)
        let message = IKEMessage(header: header, payloads: [.notify(NotifyPayload(.invalidSPI, data: spi.bytes))])
        effects.append(
            .send(message.serialize(), local: Endpoint(local ?? unspecified, port: limits.natPort), remote: remote))
    }

    /// Handles an unprotected INVALID_SPI; false when the message is another one.
    mutating func receiveInvalidSPI(_ arrival: Arrival) -> Bool {
        guard arrival.header.exchange == .informational, !arrival.header.isResponse,
            let message = try? IKEMessage(parsing: arrival.bytes),
            let notify = PayloadContents(message.payloads).notify(.invalidSPI), let spi = SPI(bytes: notify.data)
        else { return false }
        counters.count(.unauthenticated)
        for inbound in (outboundSPIs[spi] ?? []).prefix(Self.sameSPILimit) {
            guard let owner = childOwners[inbound] else { continue }
            withIKESA(owner) { endpoint, sa in
                guard sa.remote.address == arrival.remote.address else { return }
                endpoint.suspect(&sa)
            }
        }
        return true
    }

    /// Something unauthenticated says that the peer has lost its state: it is asked, in short intervals while this is
    /// said again.
    mutating func suspect(_ sa: inout IKESA) {
        guard let session = sa.session else { return }
        if session.suspicion != nil {
            sa.session?.suspicion?.lastHint = now
            sa.session?.suspicion?.isConfirmed = true
        } else {
            // RFC 7296 §2.21.4: hints are limited too.
            guard session.suspectedAt.map({ now - $0 >= Self.suspicionInterval }) ?? true,
                unprotectedHints.take(now)
            else { return }
            sa.session?.suspicion = Suspicion(since: now, lastHint: now)
            sa.session?.suspectedAt = now
            // An outstanding request is a question already.
            if sa.window.outstanding == nil { addTask(.liveness, &sa) }
        }
        guard let due = timers.deadline(of: .retransmit(sa.spi)) else { return }
        timers.set(.retransmit(sa.spi), at: min(due, now + Self.probeInterval))
    }

    /// The retransmission timer of a suspected peer ran out; false when the ordinary schedule holds.
    mutating func probeAgain(_ sa: inout IKESA) -> Bool {
        guard let suspicion = sa.session?.suspicion, suspicion.isConfirmed,
            now - suspicion.lastHint <= Self.suspicionLifetime, let outstanding = sa.window.outstanding
        else { return false }
        guard now - suspicion.since < Self.probeLimit || outstanding.sendings < Self.probeSendings else {
            settle(&sa)
            giveUp(&sa)
            return true
        }
        timers.set(.retransmit(sa.spi), at: now + Self.probeInterval)
        transmit(sa.window.repeatOutstanding(), sa)
        return true
    }

    /// Child SAs with one outbound SPI that are looked at, at the most: peers choose it, each for itself.
    private static let sameSPILimit = 8
    private static let suspicionInterval: Duration = .seconds(2)
    private static let suspicionLifetime: Duration = .milliseconds(1500)
    private static let probeInterval: Duration = .milliseconds(500)
    private static let probeLimit: Duration = .seconds(2)
    private static let probeSendings = 4
}
