// SPDX-License-Identifier: Apache-2.0
// Adit: AditControl

internal import AditCrypto
internal import AditESP
internal import AditIKE
internal import AditLinux
internal import AditWire
internal import Glibc

/// Performs the IKE machine's effects, in their order. Lives on the control thread.
final class EffectApplier {
    private let table: SATable
    private let policies: ChildDirectory
    private let ikeSocket: IKESocket
    private let natSocket: IKESocket
    private let tunnel: TunnelInterface
    private let resolver: NameResolver
    /// The connections whose names are being looked up, by the token of the question.
    private var questions: [UInt32: String] = [:]
    private var hasAsked = false
    /// What the names of connections were found to mean: addresses that stay reachable outside the tunnel.
    private var resolvedPeers: [String: [IPAddress]] = [:]
    private let addresses: [IPPrefix]
    private let fixedMTU: Int?
    private let innerMTU: @Sendable (CipherSuite, IPAddress.Family, Int) -> Int
    private let mtuChanged: @Sendable (Int) -> Void
    private let childInstalled: @Sendable () -> Void
    private let report: @Sendable (IKEReport) -> Void
    private let warn: @Sendable (String) -> Void
    /// Where keys go when somebody asked for them.
    private let keyLog: KeyLog?
    private var keyLogIsFull = false
    /// Every installed pair by our SPI: what its routes and the MTU follow from.
    private var installed: [SPI: ChildSAInstallation] = [:]
    /// Packets that children with an `inactivity` carried when they were last looked at.
    private var watched: [SPI: UInt64] = [:]
    /// The largest inner packet: the device's MTU, or less where a fixed one is more than a path takes.
    private var limit: Int
    private var hasToldLimit = false
    private var sweep = PathSweep()
    /// Routes that stay while nothing is installed, so that a packet goes into the tunnel or nowhere.
    private var trapped: [ChildConfiguration] = []
    /// The configured addresses of peers, which stay reachable outside the tunnel.
    private var configuredPeers: [IPAddress] = []
    /// Child SAs that could not be installed since ``takeFailures()``: the IKE machine believes that they are.
    private var failures: [(spi: SPI, reason: String)] = []
    /// Messages that the kernel refused to send since ``takeUnsendable()``.
    private var unsendable: [IKEEvent] = []
    /// The last failure of a peer that fits no connection.
    private(set) var lastUnmatchedFailure: FailureReport?

    init(_ parts: borrowing ControlParts, policies: ChildDirectory) throws(SystemError) {
        table = parts.table
        self.policies = policies
        ikeSocket = parts.ikeSocket
        resolver = try NameResolver(lookup: parts.lookup)
        natSocket = parts.natSocket
        addresses = parts.addresses
        fixedMTU = parts.fixedMTU
        innerMTU = parts.innerMTU
        mtuChanged = parts.mtuChanged
        childInstalled = parts.childInstalled
        report = parts.report
        warn = parts.warn
        keyLog = parts.keyLog
        limit = parts.fixedMTU ?? Self.firstMTU(parts)
        tunnel = try TunnelInterface(
            link: parts.link, mtu: limit, installRoutes: parts.installRoutes, warn: parts.warn)
    }

    /// The TUN device's MTU.
    var mtu: Int { tunnel.mtu }

    /// Whether any Child SA is installed.
    var hasChildren: Bool { !installed.isEmpty }

    /// Brings the interface up, with the routes that stand without an SA.
    func start(connections: [ConnectionConfiguration]) throws(SystemError) {
        do throws(SystemError) {
            try tunnel.bringUp(addresses: addresses)
        } catch {
            tunnel.removeAll()
            throw error
        }
        mtuChanged(tunnel.mtu)
        reconfigure(connections)
    }

    /// Follows a new configuration with the routes that are there before any SA.
    func reconfigure(_ connections: [ConnectionConfiguration]) {
        let (before, peersBefore) = (trapped, configuredPeers)
        configuredPeers = connections.flatMap(\.remoteAddresses)
        for peer in configuredPeers { tunnel.addPeer(peer) }
        trapped = connections.flatMap { connection in
            connection.children.compactMap { ChildDirectory.routed($0, connection) }
        }
        for child in trapped { tunnel.addRoutes(to: child.remoteSelectors, from: child.localSelectors) }
        for child in before { tunnel.removeRoutes(to: child.remoteSelectors) }
        for peer in peersBefore { tunnel.removePeer(peer) }
        watchInactivity(connections)
        table.reorder(installed.mapValues { policies.order(connection: $0.connection, child: $0.child) })
        let names = Set(connections.map(\.name))
        for name in resolvedPeers.keys where !names.contains(name) { keepReachable([], of: name) }
    }

    /// A child that stays may have got an `inactivity`, or lost it.
    private func watchInactivity(_ connections: [ConnectionConfiguration]) {
        var timed: [String: Bool] = [:]
        for connection in connections {
            for child in connection.children { timed["\(connection.name)/\(child.name)"] = child.inactivity > .zero }
        }
        for (spi, child) in installed {
            guard let isTimed = timed["\(child.connection)/\(child.child)"], isTimed != (watched[spi] != nil) else {
                continue
            }
            watched[spi] = isTimed ? 0 : nil
        }
    }

    // MARK: Host names

    /// Readable while ``takeAnswers()`` has something.
    var resolverDescriptor: CInt { resolver.descriptor }

    /// Names that were looked up since; their addresses are reachable outside the tunnel from now on.
    func takeAnswers() -> [IKEEvent] {
        // Also when nothing is waited for: a question that took too long is asked again under the same token, and what
        // is not taken keeps the descriptor readable for ever.
        guard hasAsked else { return [] }
        return resolver.take().map { token, lookups in
            if let connection = questions.removeValue(forKey: token), lookups.contains(where: { $0.failure == nil }) {
                keepReachable(lookups.flatMap(\.addresses), of: connection)
            }
            return .resolved(
                token: token,
                lookups.map { NameResolution(name: $0.name, addresses: $0.addresses, failure: $0.failure) })
        }
    }

    private func keepReachable(_ peers: [IPAddress], of connection: String) {
        for peer in peers { tunnel.addPeer(peer) }
        for peer in resolvedPeers[connection] ?? [] { tunnel.removePeer(peer) }
        resolvedPeers[connection] = peers.isEmpty ? nil : peers
    }

    /// Takes the routes back; the interface goes with its descriptors.
    func finish() {
        for spi in installed.keys { table.remove(inboundSPI: spi) }
        installed = [:]
        tunnel.removeAll()
    }

    /// Performs `effects`, first to last.
    func apply(_ effects: [IKEEffect]) {
        for effect in effects { apply(effect) }
    }

    /// What the IKE machine must hear of, once.
    func takeFailures() -> [(spi: SPI, reason: String)] {
        defer { failures = [] }
        return failures
    }

    /// The messages that could not leave, once.
    func takeUnsendable() -> [IKEEvent] {
        defer { unsendable = [] }
        return unsendable
    }

    /// The children with an `inactivity` on which packets passed since this was last asked.
    func takeTraffic() -> [SPI] {
        var active: [SPI] = []
        for (spi, before) in watched {
            guard let carried = table.counters(inboundSPI: spi) else { continue }
            let packets = carried.packetsIn &+ carried.packetsOut
            guard packets != before else { continue }
            watched[spi] = packets
            active.append(spi)
        }
        return active
    }

    private func apply(_ effect: IKEEffect) {
        switch effect {
        case .send(let bytes, let local, let remote): send(bytes, local: local, remote: remote)
        case .installChild(let installation): install(installation)
        case .activateOutbound(let spi):
            table.activateOutbound(inboundSPI: spi)
            childInstalled()
        case .removeChild(let spi): remove(spi)
        case .moveChild(let spi, let local, let remote): move(spi, local: local, remote: remote)
        case .sendKeepalive(let local, let remote):
            // RFC 3948 §2.3: one octet 0xFF, without the non-ESP marker.
            natSocket.send([0xff], nonESPMarker: false, local: local.address, remote: remote)
        case .resolve(let connection, let names, let token):
            questions[token] = connection
            hasAsked = true
            resolver.ask(names, token: token)
        case .disclose(let disclosure): noteKeys(keyLog?.add(disclosure))
        case .report(let happened):
            if case .failed(let failure) = happened, failure.connection == nil { lastUnmatchedFailure = failure }
            // Nobody is to hear that a child came up when it did not.
            if case .childInstalled(_, _, let child, _) = happened,
                failures.contains(where: { $0.spi == child.inboundSPI })
            {
                return
            }
            report(happened)
        }
    }

    // MARK: Datagrams

    private func send(_ bytes: [UInt8], local: Endpoint, remote: Endpoint) {
        // RFC 7296 §2.23: on the NAT traversal port every IKE message follows four zero octets.
        let viaNAT = local.port == natSocket.port
        let socket = viaNAT ? natSocket : ikeSocket
        let sent = socket.send(bytes, nonESPMarker: viaNAT, local: local.address, remote: remote)
        if case .failed(let code) = sent, let reason = SendFailure(errno: code) {
            unsendable.append(.unsendable(bytes, local: local, remote: remote, reason: reason))
        }
    }

    // MARK: Child SAs

    private func install(_ child: ChildSAInstallation) {
        do {
            let order = policies.order(connection: child.connection, child: child.child)
            try table.install(ChildSAParameters(child, order: order))
        } catch {
            warn("\(child.connection)/\(child.child): cannot install the Child SA: \(error)")
            failures.append((child.inboundSPI, "\(error)"))
            return
        }
        noteKeys(keyLog?.add(child))
        installed[child.inboundSPI] = child
        if child.configuration.inactivity > .zero { watched[child.inboundSPI] = 0 }
        tunnel.addPeer(child.remote.address)
        tunnel.addRoutes(to: child.remoteSelectors, from: child.localSelectors)
        followPath(of: child)
        childInstalled()
    }

    private func remove(_ spi: SPI) {
        table.remove(inboundSPI: spi)
        watched[spi] = nil
        guard let child = installed.removeValue(forKey: spi) else { return }
        tunnel.removeRoutes(to: child.remoteSelectors)
        tunnel.removePeer(child.remote.address)
    }

    private func move(_ spi: SPI, local: Endpoint, remote: Endpoint) {
        guard var child = installed[spi] else { return }
        // The new address is reachable outside the tunnel before the first packet goes there.
        tunnel.addPeer(remote.address)
        tunnel.removePeer(child.remote.address)
        table.move(inboundSPI: spi, local: local, remote: remote)
        child.local = local
        child.remote = remote
        installed[spi] = child
        followPath(of: child)
    }

    /// Says once that keys are missing from the log.
    private func noteKeys(_ written: Bool?) {
        guard written == false, !keyLogIsFull else { return }
        keyLogIsFull = true
        warn("the key log is full or cannot be written: the keys from now on are missing in it")
    }

    /// Interfaces, addresses or routes of the host changed: peers stay reachable outside the tunnel at once.
    func routesChanged(_ now: Timestamp) {
        tunnel.refreshPeers()
        tunnel.noteChange(now)
    }

    /// When ``checkInterface(_:)`` is due.
    var interfaceCheckAt: Timestamp? { tunnel.checkAt }

    /// Puts back what others took away from the interface.
    func checkInterface(_ now: Timestamp) { tunnel.check(now) }

    // MARK: MTU

    /// A datagram was too large for the path to `peer`: follow what the kernel learned.
    func pathChanged(to peer: Endpoint) {
        let path = Self.pathMTU(to: peer.address)
        for child in installed.values where child.remote == peer {
            changeMTU(to: innerMTU(child.suite, peer.address.family, path), mayRise: false)
        }
    }

    /// The device has one MTU for all peers, the smallest. While there is one peer each new SA sets it afresh, so that
    /// it rises again with the path; see ``sweepPaths(_:)``.
    private func followPath(of child: ChildSAInstallation) {
        let address = child.remote.address
        let path = Self.pathMTU(to: address)
        let isOnlyPeer =
            installed.count <= Self.freshLimit && installed.values.allSatisfy { $0.remote.address == address }
        let suites = isOnlyPeer ? installed.values.map(\.suite) : [child.suite]
        guard let mtu = suites.map({ innerMTU($0, address.family, path) }).min() else { return }
        changeMTU(to: mtu, mayRise: isOnlyPeer)
    }

    /// Asks the kernel again for the paths to all peers, a few each time: the MTU rises when the peer with the smallest
    /// has gone, or when the kernel forgets what an ICMP message said, which may have been forged (RFC 8201 §4). Called
    /// about every second while there are children.
    func sweepPaths(_ now: Timestamp) {
        let smallest = sweep.turn(now) {
            Set(installed.values.map { PathSweep.Path(peer: $0.remote.address, suite: $0.suite) })
        } ask: { path in
            innerMTU(path.suite, path.peer.family, Self.pathMTU(to: path.peer))
        }
        if let smallest { changeMTU(to: smallest, mayRise: true) }
    }

    private func changeMTU(to path: Int, mayRise: Bool) {
        sweep.note(path)
        let mtu = min(path, fixedMTU ?? path)
        guard mtu < limit || (mayRise && mtu != limit) else { return }
        limit = mtu
        if let fixedMTU { tellLimit(fixedMTU) } else { tunnel.setMTU(mtu) }
        mtuChanged(mtu)
    }

    /// Says once that a fixed MTU is too large.
    private func tellLimit(_ fixed: Int) {
        guard limit < fixed, !hasToldLimit else { return }
        hasToldLimit = true
        warn(
            "mtu = \(fixed) is more than a path to a peer takes, which is \(limit): larger packets are sent in "
                + "fragments, or their senders are told; set mtu to \(limit) at the most, or to \"auto\"")
    }

    private static func firstMTU(_ parts: borrowing ControlParts) -> Int {
        let innerMTU = parts.innerMTU
        return parts.connections.flatMap { connection in
            connection.children.compactMap { child -> Int? in
                guard let suite = child.proposals.first?.cipherSuite else { return nil }
                let remote = connection.remoteAddresses.first
                return innerMTU(suite, remote?.family ?? .v4, remote.map(pathMTU) ?? defaultPathMTU)
            }
        }.min() ?? innerMTU(.aesGCM16(.bits128), .v4, defaultPathMTU)
    }

    /// What the kernel knows, within limits that a forged ICMP message cannot abuse (RFC 8201 §4, RFC 791).
    private static func pathMTU(to remote: IPAddress) -> Int {
        let smallest = remote.family == .v4 ? 576 : 1280
        return min(max(PathQuery.mtu(to: remote) ?? defaultPathMTU, smallest), largestPathMTU)
    }

    /// Of more children than that the MTU only falls.
    private static let freshLimit = 256
    private static let defaultPathMTU = 1500
    private static let largestPathMTU = 9000
}

extension SendFailure {
    /// What an errno of a send says of the addresses; nil when it says nothing of them.
    fileprivate init?(errno code: CInt) {
        switch code {
        case EADDRNOTAVAIL, EINVAL, ENETUNREACH, EHOSTUNREACH: self = .unreachable
        case EAFNOSUPPORT: self = .family
        default: return nil
        }
    }
}
