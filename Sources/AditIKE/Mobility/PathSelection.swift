// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// Which path an IKE SA uses: after a change of our addresses or routes, and when the path in use is dead.
// 1. The side that decides (RFC 4555 §2.1) takes the address that the route to its peer has, at once.
// 2. A request that is not answered goes over every other path, too; the one by which the answer comes is taken.
// 3. The other side changes its own end only when it has lost it, and tells its addresses.
// 4. Without MOBIKE our end changes, too: a peer that takes us for behind a NAT follows (RFC 7296 §2.23); one that does
// not is given up soon, and connected to again.

extension IKEEndpoint {
    /// The host's addresses or routes changed.
    mutating func addressesChanged(_ addresses: [HostAddress]) {
        hostAddresses = Array(addresses.prefix(Self.hostAddressLimit))
        for spi in ikeSAs.spis { withIKESA(spi) { endpoint, sa in endpoint.reconsiderPath(&sa) } }
        for id in connections.ids {
            // What failed before may succeed now.
            guard let due = timers.deadline(of: .initiate(id)), let connection = connections[id],
                connection.failures > 0
            else { continue }
            connections[id]?.notBefore = nil
            connections[id]?.tried = []
            // One change helps at once; many do not void the back-off.
            let soon = now + Self.retryAfterChange
            let soonest = connection.hastenedTo.map { max(soon, $0 + Self.hasteInterval) } ?? soon
            guard soonest < due else { continue }
            connections[id]?.hastenedTo = soonest
            timers.set(.initiate(id), at: soonest)
        }
    }

    private mutating func reconsiderPath(_ sa: inout IKESA) {
        guard let configuration = sa.connection.flatMap({ connections[$0]?.configuration }) else { return }
        switch sa.state {
        case .authSent where !hasAddress(sa.local.address):
            // RFC 4555 §3.3: the IKE SA's addresses will be those of this request.
            guard let local = localAddress(to: sa.remote.address, configuration) else { return }
            sa.local = Endpoint(local, port: sa.local.port)
            // Unless the first sending arrived after all: then an update has to follow.
            sa.mobility?.movedAt = now
            restartOutstanding(&sa)
        case .established:
            if sa.decidesPath {
                sa.mobility?.refused = []
                decidePath(configuration, &sa)
            } else {
                keepOwnEnd(configuration, &sa)
            }
            announce(configuration, &sa)
            startNextTask(&sa)
        case .initSent, .authSent, .halfOpen, .closing, .gone: break
        }
    }

    /// The side that decides: the path that the routes give now.
    private mutating func decidePath(_ configuration: ConnectionConfiguration, _ sa: inout IKESA) {
        let local = localAddress(to: sa.remote.address, configuration)
        guard local != sa.local.address else {
            guard sa.mobility?.offlineSince != nil else { return }
            // Back where we were; a NAT may have forgotten us.
            sa.mobility?.offlineSince = nil
            if sa.window.outstanding == nil { sa.session?.add(.liveness) } else { restartOutstanding(&sa) }
            return
        }
        let path = local.map { Path(local: Endpoint($0, port: sa.local.port), remote: sa.remote) }
        guard let path = path ?? otherPaths(configuration, sa).first else {
            if sa.mobility?.offlineSince == nil { sa.mobility?.offlineSince = now }
            return
        }
        changePath(to: path, &sa)
        restartOutstanding(&sa)
    }

    /// The side that does not decide, or without MOBIKE: another end of our own only when we have lost it, or when it
    /// is us who went to the peer and the route changed.
    private mutating func keepOwnEnd(_ configuration: ConnectionConfiguration, _ sa: inout IKESA) {
        if let end = sa.mobility?.lostEnd, hasAddress(end.address) {
            // The peer has not taken another path yet: what comes from elsewhere may not get through to it.
            sa.mobility?.lostEnd = nil
            guard end != sa.local else { return }
            take(Path(local: end, remote: sa.remote), children: true, &sa)
            restartOutstanding(&sa)
            return
        }
        let wasLost = !hasAddress(sa.local.address)
        guard wasLost || (sa.mobility == nil && sa.role == .initiator),
            let local = localAddress(to: sa.remote.address, configuration), local != sa.local.address
        else { return }
        if sa.mobility?.lostEnd == nil { sa.mobility?.lostEnd = sa.local }
        take(Path(local: Endpoint(local, port: sa.local.port), remote: sa.remote), children: true, &sa)
        if sa.mobility != nil {
            // RFC 4555 §3.6: the source of this tells the new address.
            addUrgent(.announceAddresses, &sa)
        } else if configuration.encap || sa.localBehindNAT {
            sa.movedUnannounced = true
            if sa.window.outstanding == nil { sa.session?.add(.liveness) }
        } else {
            reconnect(&sa)
            return
        }
        restartOutstanding(&sa)
    }

    /// The peer would answer at our new address, and send its packets to the old one: only new SAs help.
    private mutating func reconnect(_ sa: inout IKESA) {
        guard let id = sa.connection, let session = sa.session else { return }
        settle(&sa)
        close(&sa, .delete, reason: "our address changed, and the peer does not speak MOBIKE")
        // The peer is not dead, so `dpd_action` says nothing here.
        guard let connection = connections[id], !connection.held, connection.canInitiate else { return }
        want(id, connection.children.current(session.children.map(\.child)))
        timers.set(.initiate(id), at: now)
    }

    /// Tells the peer when our other addresses are not those that it knows (RFC 4555 §3.6).
    private mutating func announce(_ configuration: ConnectionConfiguration, _ sa: inout IKESA) {
        guard let mobility = sa.mobility, sa.session?.tasks.contains(.updateAddresses) == false,
            Set(mobility.announced) != Set(additionalAddresses(configuration, sa))
        else { return }
        sa.session?.add(.announceAddresses)
    }

    /// Takes another path, which the peer hears of by the next request (RFC 4555 §3.5).
    mutating func changePath(to path: Path, _ sa: inout IKESA) {
        let previous = sa.path
        sa.mobility?.previous = previous
        sa.mobility?.movedAt = now
        sa.mobility?.offlineSince = nil
        sa.mobility?.probed = []
        take(path, children: true, &sa)
        addUrgent(.updateAddresses, &sa)
    }

    /// Moves an IKE SA to a path, and its children.
    mutating func take(_ path: Path, children: Bool, _ sa: inout IKESA) {
        let isElsewhere = path.remote.address != sa.remote.address
        sa.local = path.local
        sa.remote = path.remote
        if isElsewhere, let session = sa.session { enterContacts(session.localID, session.remoteID, &sa) }
        if children { childrenFollow(&sa) }
    }

    /// The children follow the IKE SA, and people are told.
    mutating func childrenFollow(_ sa: inout IKESA) {
        let ends = espEndpoints(sa)
        for child in sa.session?.children ?? [] {
            effects.append(.moveChild(inboundSPI: child.inbound, local: ends.local, remote: ends.remote))
        }
        guard let name = sa.connection.flatMap({ connections[$0]?.configuration.name }), let status = status(of: sa)
        else { return }
        effects.append(.report(.moved(connection: name, status)))
    }

    /// The successor of an IKE SA goes on where it stood.
    func inheritPath(from old: IKESA, _ new: inout IKESA) {
        new.local = old.local
        new.remote = old.remote
        new.localBehindNAT = old.localBehindNAT
        new.remoteBehindNAT = old.remoteBehindNAT
        new.remoteFakesNAT = old.remoteFakesNAT
        new.mobility = old.mobility
        new.mobility?.probed = []
        // RFC 4555 §3.8: the hash is over the SPIs, too.
        new.mobility?.seenAs = nil
    }

    /// Sends the outstanding request again, now, as if it were new.
    mutating func restartOutstanding(_ sa: inout IKESA) {
        guard sa.window.outstanding != nil else { return }
        transmit(sa.window.restartOutstanding(wait: limits.retransmitInitial), sa)
        timers.set(.retransmit(sa.spi), at: now + limits.retransmitInitial)
    }

    /// Paths other than the one in use that may lead to the peer, the likely ones first; ``Mobility/probeLimit`` at the
    /// most.
    func otherPaths(_ configuration: ConnectionConfiguration, _ sa: IKESA) -> [Path] {
        // RFC 4555 §3.3: the ports stay; that of a NAT is good for one address only.
        let port = sa.decidesPath || !sa.natTraversal ? sa.remote.port : limits.remoteNATPort
        let remotes = [sa.remote] + otherAddresses(configuration, sa).map { Endpoint($0, port: port) }
        var likely: [Path] = []
        var others: [Path] = []
        for remote in remotes {
            guard let best = localAddress(to: remote.address, configuration) else { continue }
            let path = { Path(local: Endpoint($0, port: sa.local.port), remote: remote) }
            likely.append(path(best))
            others += usableAddresses(configuration, remote.address.family).filter { $0 != best }.map(path)
        }
        let refused = sa.mobility?.refused ?? []
        return Array((likely + others).filter { $0 != sa.path && !refused.contains($0) }.prefix(Mobility.probeLimit))
    }

    /// A request was sent again: from the third time on over every other path, too.
    mutating func probeOtherPaths(_ datagrams: [[UInt8]], _ sa: inout IKESA) {
        guard sa.mobility != nil, let session = sa.session,
            let configuration = sa.connection.flatMap({ connections[$0]?.configuration }),
            (sa.window.outstanding?.sendings ?? 0) >= Self.sendingsBeforeProbing
        else { return }
        if !sa.decidesPath {
            // RFC 4555 §3.6: the responder uses the initiator's other addresses for nothing but to tell its own.
            guard case .mobility(let exchange) = session.exchange, exchange.purpose == .announce else { return }
        }
        let paths = otherPaths(configuration, sa)
        sa.mobility?.probed = paths
        for path in paths {
            for datagram in datagrams { effects.append(.send(datagram, local: path.local, remote: path.remote)) }
        }
    }

    /// The response to a request that went over several paths arrived: its own path works (RFC 4555 §3.10).
    mutating func takeAnsweringPath(_ arrival: Arrival, _ sa: inout IKESA) {
        guard let probed = sa.mobility?.probed, !probed.isEmpty, sa.session != nil else { return }
        sa.mobility?.probed = []
        let path = Path(local: arrival.local, remote: arrival.remote)
        guard path != sa.path, probed.contains(path) else { return }
        guard !sa.decidesPath else {
            changePath(to: path, &sa)
            return
        }
        // RFC 4555 §3.5: the initiator will say where the children go, which may be this very path.
        sa.mobility?.isUnverified = true
        take(path, children: false, &sa)
    }

    /// How often a request of an IKE SA is sent at the most.
    func sendings(_ sa: IKESA) -> Int {
        // A peer that does not follow will not answer any more.
        if sa.movedUnannounced { return Self.sendingsUnannounced }
        guard sa.mobility?.role == .responder, sa.session?.exchange?.canWait ?? false, let id = sa.connection,
            let connection = connections[id], !connection.canInitiate, connection.configuration.unique != .keep
        else { return limits.retransmitTries }
        // RFC 4555 §3.11: five minutes for the initiator to find another path. Who could connect itself does not wait
        // that long, nor who keeps others away meanwhile.
        var (sendings, total, wait) = (0, Duration.zero, limits.retransmitInitial)
        while total < Self.patienceOfResponder, sendings < Self.sendingsOfResponder {
            total += wait
            wait = wait * MessageWindow.backOffNumerator / MessageWindow.backOffDenominator
            sendings += 1
        }
        return max(limits.retransmitTries, sendings)
    }

    /// Whether an unanswered request waits for a path to be there at all, which is known to be missing.
    mutating func waitsForPath(_ sa: inout IKESA) -> Bool {
        guard let since = sa.mobility?.offlineSince, sa.session != nil, now - since < Self.offlineLimit else {
            return false
        }
        timers.set(.retransmit(sa.spi), at: now + Self.offlineInterval)
        return true
    }

    /// Authenticated ESP came from another address than that of the path (RFC 4555 §3.8, §3.12).
    mutating func peerSentFrom(_ remote: Endpoint, _ sa: inout IKESA) {
        guard remote != sa.remote, let mobility = sa.mobility, let id = sa.connection,
            let configuration = connections[id]?.configuration
        else { return }
        guard !sa.decidesPath else {
            testPath(&sa)
            return
        }
        guard !sa.localBehindNAT, sa.remoteBehindNAT || configuration.remoteAddresses.isEmpty else { return }
        // What was still under way when the peer moved does not move it back.
        if let previous = mobility.previous, previous.remote == remote, let movedAt = mobility.movedAt,
            now - movedAt < Self.stragglerLimit
        {
            return
        }
        take(Path(local: sa.local, remote: remote), children: true, &sa)
        addTask(.verifyPeer, &sa)
    }

    /// The peer sends from where we do not follow: no evidence that it is still reached where we send to.
    mutating func testPath(_ sa: inout IKESA) {
        guard let session = sa.session, session.askedAt.map({ now - $0 >= Self.askingInterval }) ?? true else { return }
        sa.session?.askedAt = now
        if sa.window.outstanding == nil { addTask(.liveness, &sa) }
    }

    /// Addresses of the host that are looked at.
    private static let hostAddressLimit = 256
    private static let retryAfterChange: Duration = .milliseconds(200)
    /// The least time between two attempts that changes brought forward.
    private static let hasteInterval: Duration = .seconds(5)
    private static let sendingsBeforeProbing = 3
    private static let sendingsUnannounced = 4
    private static let patienceOfResponder: Duration = .seconds(300)
    private static let sendingsOfResponder = 12
    private static let offlineLimit: Duration = .seconds(300)
    private static let offlineInterval: Duration = .seconds(10)
    private static let askingInterval: Duration = .seconds(10)
    private static let stragglerLimit: Duration = .seconds(10)
}

extension IKEExchange {
    /// Whether nothing depends on it but to know that the peer is there: of the others the peer assumes, after a while,
    /// that its answer has arrived.
    fileprivate var canWait: Bool {
        switch self {
        case .liveness, .mobility: true
        case .child, .rekeyIKE, .deleteChildren: false
        }
    }
}
