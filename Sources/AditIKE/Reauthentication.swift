// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// Authenticating anew (RFC 7296 §2.8.3, RFC 4478), make before break:
// 1. The original initiator makes a new IKE SA with all children while the old one works.
// 2. Each new child takes over sending from the one of the old IKE SA; the responder follows when it sees the new one
// used, or the old one go.
// 3. When every child is there, the old IKE SA is deleted (``Session/Handover``).
// The original responder says how long it takes an authentication for valid, and lets a peer go that is late.

extension IKEEndpoint {
    /// Starts the clock of an IKE SA whose sides have just proved who they are; `peer` is the lifetime that the peer
    /// gives us, which may also come later.
    mutating func limitAuthentication(_ sa: inout IKESA, peer: Duration? = nil) {
        guard let session = sa.session, let id = sa.connection,
            let own = connections[id]?.configuration.reauthTime
        else { return }
        var due = session.reauthAt
        if due == nil, own > .zero {
            let limit = session.establishedAt + own + max(own / 10, Self.reauthGrace)
            // RFC 4478 §2: the responder deletes soon after the end of the lifetime.
            due = session.origin.isOurs ? session.establishedAt + jittered(own) : limit
            sa.session?.reauthLimit = limit
        }
        if let peer, session.origin.isOurs {
            // RFC 4478 §2: within the time indicated, from now on; §5: within reason.
            let wanted = max(now + peer * 9 / 10, session.establishedAt + Self.reauthInterval)
            due = min(due ?? wanted, wanted)
        }
        guard let due else { return }
        sa.session?.reauthAt = due
        timers.set(.reauthenticate(sa.spi), at: due)
    }

    /// AUTH_LIFETIME of a connection, for the initiator (RFC 4478 §3).
    func authenticationLifetime(_ configuration: ConnectionConfiguration) -> NotifyPayload? {
        guard configuration.reauthTime > .zero else { return nil }
        let seconds = UInt32(clamping: configuration.reauthTime.components.seconds)
        return NotifyPayload(.authLifetime, data: (0..<4).map { UInt8(truncatingIfNeeded: seconds >> (24 - 8 * $0)) })
    }

    /// The time to authenticate anew has come, or the time that the peer had for it is over.
    mutating func reauthenticate(_ spi: IKESPI) {
        guard let old = ikeSAs[spi], let session = old.session, let id = old.connection,
            let connection = connections[id]
        else { return }
        // One that is left ends with that.
        guard session.handover == nil else { return }
        if let limit = session.reauthLimit, limit <= now {
            withIKESA(spi) { endpoint, sa in endpoint.fail(&sa, endpoint.notReauthenticated(sa), .delete) }
            return
        }
        guard session.origin.isOurs else { return }
        // It has no place among those that wait for their turn, and its IKE SA ends soon.
        let isUrgent = session.reauthAt.map { now - $0 >= Self.reauthPatience } ?? false
        guard connection.attempt == nil, !connection.held, connection.canInitiate,
            isUrgent || attempts.mayBegin(old.remote.address, limit: limits.attemptsPerRemote)
        else {
            timers.set(.reauthenticate(spi), at: now + spread(Self.reauthInterval))
            return
        }
        let live = session.children.filter { $0.phase == .installed || $0.phase == .deleting }
        for child in live where child.phase == .installed { awaitAgain(child, of: id) }
        initiate(id, children: connection.children.current(live.map(\.child)).sorted(), replacing: old)
    }

    /// An IKE SA could not be authenticated anew: it is tried again, until its time is over. False when it is gone.
    mutating func retryReauthentication(_ spi: IKESPI?) -> Bool {
        guard let spi, let session = ikeSAs[spi]?.session, let id = ikeSAs[spi]?.connection else { return false }
        connections[id]?.failures += 1
        let due = now + max(backOff(connections[id]?.failures ?? 1), Self.reauthInterval)
        timers.set(.reauthenticate(spi), at: min(due, session.reauthLimit ?? due))
        return true
    }

    static let reauthInterval: Duration = .seconds(5)
    /// After so long it begins beside however many attempts to the address.
    private static let reauthPatience: Duration = .seconds(20)
    /// How long after the end of its lifetime an authentication holds at the least; otherwise it is a tenth of it.
    private static let reauthGrace: Duration = .seconds(60)
}
