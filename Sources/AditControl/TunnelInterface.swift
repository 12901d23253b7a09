// SPDX-License-Identifier: Apache-2.0
// Adit: AditControl

internal import AditLinux
internal import AditWire
internal import Glibc

/// The TUN device as the host sees it: its addresses, its MTU and the routes through it. Used by the control thread.
///
/// Everything it adds carries our origin number and goes away with ``removeAll()``, or with the interface. Without a
/// device (`link` nil: an embedder's own packets) it only remembers the MTU.
final class TunnelInterface {
    private let netlink: Netlink
    private let link: UInt32?
    private let installRoutes: Bool
    private let warn: @Sendable (String) -> Void
    private var peers: PeerRoutes?
    private var installed = RoutedDestinations()
    private(set) var mtu: Int

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
        if installRoutes, let name = try netlink.links().first(where: { $0.index == link })?.name {
            let peers = PeerRoutes(netlink, link: link, name: name, warn: warn)
            try peers.removeLeftovers()
            self.peers = peers
        }
        try netlink.setMTU(mtu, link: link)
        try netlink.setTransmitQueueLength(Self.transmitQueueLength, link: link)
        // Else the kernel's own router solicitations would ask for an SA.
        try? netlink.setLinkLocalAddress(generated: false, link: link)
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

    /// Takes back every route, also the ones that keep peers reachable.
    func removeAll() {
        for route in installed.routes { remove(route) }
        installed = RoutedDestinations()
        peers?.removeAll()
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

    /// Prefixes of one child that become routes, at the most.
    static let routeLimit = 256
    /// Packets that wait in the TUN device. With the kernel's 500 a busy machine of two processors lost 1 % at half the
    /// rate that 1,000 carry (measured); the latency beside a TCP stream, which its window bounds, stayed the same.
    static let transmitQueueLength = 1000
}
