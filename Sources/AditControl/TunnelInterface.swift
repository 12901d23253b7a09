// SPDX-License-Identifier: Apache-2.0
// Adit: AditControl

internal import AditLinux
internal import AditWire
internal import Glibc

/// The TUN device as the host sees it: its addresses, its MTU and the routes through it. Used by the control thread.
///
/// Everything it adds goes away with ``removeAll()``, or with the interface; routes carry our origin number. What
/// others take away meanwhile comes back by ``check(_:)``. Without a device (`link` nil: an embedder's own packets) it
/// only remembers the MTU.
final class TunnelInterface {
    private let netlink: Netlink
    private let link: UInt32?
    private let installRoutes: Bool
    private let warn: @Sendable (String) -> Void
    private var peers: PeerRoutes?
    private var installed = RoutedDestinations()
    private(set) var mtu: Int
    private var name = ""
    private var addresses: [IPPrefix] = []
    /// Those among the addresses that were not there before us.
    private var added: [IPPrefix] = []
    private var wasUp = true
    private var state = State.up
    /// When ``check(_:)`` is due; nil before the first ``noteChange(_:)``.
    private(set) var checkAt: Timestamp?
    private var checkedAt: Timestamp?
    private var hasChanged = false
    private var hasToldMissing = false

    /// What became of the interface, as far as it was told.
    private enum State { case up, down, gone }

    init(
        link: UInt32?, mtu: Int, installRoutes: Bool, warn: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        netlink = try Netlink()
        self.link = link
        self.mtu = mtu
        self.installRoutes = installRoutes
        self.warn = warn
    }

    /// Removes what a killed gateway left, sets addresses and MTU, and brings the interface up.
    func bringUp(addresses: [IPPrefix]) throws(SystemError) {
        guard let link else { return }
        for route in try netlink.routes() where route.link == link { try netlink.removeRoute(route) }
        if let before = try netlink.links().first(where: { $0.index == link }) {
            (name, wasUp) = (before.name, before.isUp)
            let peers = PeerRoutes(netlink, link: link, name: name, warn: warn)
            try peers.removeLeftovers()
            if installRoutes { self.peers = peers }
        }
        try netlink.setMTU(mtu, link: link)
        try netlink.setTransmitQueueLength(Self.transmitQueueLength, link: link)
        // Else the kernel's own router solicitations would ask for an SA.
        try? netlink.setLinkLocalAddress(generated: false, link: link)
        let present = try netlink.addresses(link: link).map(\.prefix)
        self.addresses = addresses
        added = addresses.filter { !present.contains($0) }
        for address in addresses { try netlink.addAddress(address, link: link) }
        try netlink.setUp(true, link: link)
    }

    /// Changes the MTU; a kernel that refuses is reported, not fatal.
    func setMTU(_ mtu: Int) {
        guard mtu != self.mtu else { return }
        guard let link else {
            self.mtu = mtu
            return
        }
        do {
            try netlink.setMTU(mtu, link: link)
            self.mtu = mtu
        } catch { warn("cannot set the tunnel's MTU to \(mtu): \(error)") }
    }

    /// A peer that is to stay reachable outside the tunnel, for one more user.
    func addPeer(_ peer: IPAddress) { peers?.add(peer, destinations: installed) }

    /// One user of the peer fewer.
    func removePeer(_ peer: IPAddress) { peers?.remove(peer) }

    /// The host's own routes changed.
    func refreshPeers() { peers?.refresh(destinations: installed) }

    /// Routes `remote` through the tunnel for one more user; addresses of `local` on this host become the source hint.
    /// Peers inside of it must have been added before.
    func addRoutes(to remote: [TrafficSelector], from local: [TrafficSelector]) {
        guard installRoutes, let link else { return }
        for destination in destinations(remote) {
            if installed.addUser(of: destination) { continue }
            guard peers?.isPeer(destination) != true else {
                warn("\(destination) is a peer's own address and cannot be routed through the tunnel to it")
                continue
            }
            peers?.prepare(for: destination)
            let source = hostAddress(in: local, family: destination.address.family)
            let route = Route(destination, link: link, source: source)
            do {
                try netlink.addRoute(route)
                installed.insert(route)
            } catch  where error.code == ENETDOWN {
                // It is added when the interface is up again.
                installed.insert(route)
            } catch  where error.code == EEXIST {
                warn("a route to \(destination) exists already and stays; remove it if the tunnel should carry it")
            } catch { warn("cannot route \(destination) through the tunnel: \(error)") }
        }
        peers?.keep(for: installed)
    }

    /// One user fewer; the last one takes the route with it.
    func removeRoutes(to remote: [TrafficSelector]) {
        for destination in destinations(remote) {
            if let route = installed.removeUser(of: destination) { remove(route) }
        }
        peers?.keep(for: installed)
    }

    /// Takes back every route, also the ones that keep peers reachable; an interface that was there before us gets back
    /// its addresses and its state.
    func removeAll() {
        for route in installed.routes { remove(route) }
        installed = RoutedDestinations()
        peers?.removeAll()
        guard let link, state != .gone else { return }
        do {
            for address in added { try netlink.removeAddress(address, link: link) }
            added = []
            if !wasUp { try netlink.setUp(false, link: link) }
        } catch  where error.code == ENODEV {
            // It was removed, and all of this with it.
        } catch { warn("cannot leave the interface as it was: \(error)") }
    }

    // MARK: What others change

    /// Interfaces, addresses or routes changed; ours may be among them.
    func noteChange(_ now: Timestamp) {
        guard link != nil else { return }
        hasChanged = true
        let soonest = checkedAt.map { max(now, $0 + Self.checkPause) } ?? now
        checkAt = min(checkAt ?? soonest, soonest)
    }

    /// Once it is due: tells what became of the interface, and puts back addresses and routes that are gone.
    func check(_ now: Timestamp) {
        guard let link, let due = checkAt, due <= now else { return }
        checkedAt = now
        checkAt = now + Self.checkInterval
        // Nobody tells when a route of ours is removed; what others changed was followed at once.
        if !hasChanged { refreshPeers() }
        hasChanged = false
        guard let links = try? netlink.links() else { return }
        let found = links.first { $0.index == link }
        let isBack = tell(found.map { $0.isUp ? .up : .down } ?? .gone)
        guard state == .up else { return }
        // With an interface that goes down the kernel removes its IPv6 addresses.
        for address in addresses { try? netlink.addAddress(address, link: link) }
        restoreRoutes(link, isBack: isBack)
    }

    /// Says once what others did to the interface; whether it is up again.
    private func tell(_ now: State) -> Bool {
        guard now != state else { return false }
        state = now
        switch now {
        case .up: warn("interface \(name) is up again")
        case .down:
            warn(
                "interface \(name) was taken down: nothing goes through the tunnels, and without their routes packets "
                    + "may leave in the clear; bring it up (ip link set \(name) up), or stop adit")
        case .gone:
            warn("interface \(name) was deleted: nothing goes through the tunnels until adit is restarted")
        }
        return now == .up
    }

    private func restoreRoutes(_ link: UInt32, isBack: Bool) {
        let wanted = installed.routes
        guard !wanted.isEmpty, let present = try? netlink.routes() else { return }
        let there = Set(present.lazy.filter { $0.link == link }.map(\.destination))
        let missing = wanted.filter { !there.contains($0.destination) }
        var failure: SystemError?
        for route in missing {
            do { try netlink.addRoute(route) } catch { failure = error }
        }
        if let failure {
            if !hasToldMissing { warn("a route through \(name) was removed and cannot come back: \(failure)") }
        } else if !missing.isEmpty, !isBack {
            warn("routes through \(name) (\(missing.count)) were removed by another program, and are back")
        }
        hasToldMissing = failure != nil
    }

    // MARK: Routes

    private func destinations(_ remote: [TrafficSelector]) -> [IPPrefix] {
        var result: [IPPrefix] = []
        for prefix in remote.flatMap(\.prefixes).prefix(Self.routeLimit).flatMap(Self.withoutDefault)
        where !result.contains(prefix) { result.append(prefix) }
        return result
    }

    /// A default route would replace the host's own: two halves are more specific and leave it in place.
    private static func withoutDefault(_ prefix: IPPrefix) -> [IPPrefix] {
        guard prefix.length == 0 else { return [prefix] }
        let (first, _) = IPAddress.bounds(of: prefix.address.family)
        let middle =
            prefix.address.family == .v4 ? IPAddress(v4: 1 << 31) : IPAddress(v6High: 1 << 63, low: 0)
        return [IPPrefix(first, length: 1), IPPrefix(middle, length: 1)].compactMap { $0 }
    }

    private func hostAddress(in local: [TrafficSelector], family: IPAddress.Family) -> IPAddress? {
        let own = (try? netlink.addresses()) ?? []
        return own.lazy.map(\.prefix.address).first { address in
            address.family == family
                && local.contains { $0.family == family && $0.first <= address && address <= $0.last }
        }
    }

    private func remove(_ route: Route) {
        do {
            try netlink.removeRoute(route)
        } catch { warn("cannot remove the route to \(route.destination): \(error)") }
    }

    /// Between two comparisons with the kernel at the least, so that nobody is fought with,
    private static let checkPause: Duration = .seconds(1)
    /// and at the most.
    private static let checkInterval: Duration = .seconds(60)
    /// Prefixes of one child that become routes, at the most.
    static let routeLimit = 256
    /// Packets that wait in the TUN device. With the kernel's 500 a busy machine of two processors lost 1 % at half the
    /// rate that 1,000 carry (measured); the latency beside a TCP stream, which its window bounds, stayed the same.
    static let transmitQueueLength = 1000
}
