// SPDX-License-Identifier: Apache-2.0
// Adit: AditControl

internal import AditLinux
internal import AditWire
internal import Glibc

/// Host routes that keep peers reachable outside the tunnel where one of its destinations contains their own address.
///
/// They lie on the links by which the peers were reachable before, so they outlive a killed gateway; their metric, made
/// of the interface's name, tells the next start which are this gateway's and which a neighbour's.
final class PeerRoutes {
    private let netlink: Netlink
    private let link: UInt32
    private let metric: UInt32
    private let warn: @Sendable (String) -> Void
    /// The peers by how many connections and children use them.
    private var users: [IPAddress: Int] = [:]
    private var installed: [IPAddress: Route] = [:]

    init(_ netlink: Netlink, link: UInt32, name: String, warn: @escaping @Sendable (String) -> Void) {
        self.netlink = netlink
        self.link = link
        metric = Self.metric(of: name)
        self.warn = warn
    }

    /// Removes what a killed gateway of the same interface name left.
    func removeLeftovers() throws(SystemError) {
        for route in try netlink.routes() where route.metric == metric && route.isHostRoute {
            try netlink.removeRoute(route)
        }
    }

    /// One user more; the host route is there before this returns when `destinations` contain the peer.
    func add(_ peer: IPAddress, destinations: RoutedDestinations) {
        users[peer, default: 0] += 1
        if destinations.contain(peer) { install(peer) }
    }

    /// One user fewer; the last one takes the host route with it.
    func remove(_ peer: IPAddress) {
        guard let count = users[peer] else { return }
        users[peer] = count > 1 ? count - 1 : nil
        if count <= 1, let route = installed.removeValue(forKey: peer) { take(route) }
    }

    /// To be called before `destination` is routed through the tunnel.
    func prepare(for destination: IPPrefix) {
        guard destination.length < destination.address.family.bits else {
            if users[destination.address] != nil { install(destination.address) }
            return
        }
        for peer in users.keys where destination.contains(peer) { install(peer) }
    }

    /// Whether `destination` is nothing but a peer's own address: what is sealed would enter the tunnel again.
    func isPeer(_ destination: IPPrefix) -> Bool {
        destination.length == destination.address.family.bits && users[destination.address] != nil
    }

    /// Removes the host routes that none of `destinations` needs any more.
    func keep(for destinations: RoutedDestinations) {
        for (peer, route) in installed where !destinations.contain(peer) {
            installed[peer] = nil
            take(route)
        }
    }

    /// The host's own routes changed: peers that are inside of `destinations` stay reachable by what is there now.
    func refresh(destinations: RoutedDestinations) {
        let peers = users.keys.filter { destinations.contain($0) }
        guard !peers.isEmpty, let routes = try? netlink.routes(origin: nil) else { return }
        for peer in peers {
            let wanted = bypass(of: peer, routes)
            let old = installed[peer]
            // With an interface that went down the kernel has removed its routes.
            let isThere = old.map { old in
                routes.contains { $0.destination == old.destination && $0.metric == metric && $0.link == old.link }
            }
            guard let wanted, wanted != old || isThere != true else { continue }
            if let old, isThere == true { take(old) }
            installed[peer] = nil
            add(wanted, to: peer)
        }
    }

    /// Takes back every host route.
    func removeAll() {
        for route in installed.values { take(route) }
        installed = [:]
        users = [:]
    }

    /// Copies the way that the peer has without us: the longest prefix, then the smallest metric. Routes of any gateway
    /// of ours do not count.
    private func install(_ peer: IPAddress) {
        guard installed[peer] == nil, let route = bypass(of: peer, (try? netlink.routes(origin: nil)) ?? []) else {
            return
        }
        add(route, to: peer)
    }

    private func bypass(of peer: IPAddress, _ routes: [Route]) -> Route? {
        guard let host = IPPrefix(peer, length: peer.family.bits) else { return nil }
        let present = routes.filter {
            $0.link != link && $0.table == Self.mainTable && $0.origin != Route.adit && $0.destination.contains(peer)
        }
        let way = present.min {
            ($1.destination.length, $0.metric ?? 0) < ($0.destination.length, $1.metric ?? 0)
        }
        guard let way, !way.isHostRoute else { return nil }
        var route = Route(host, link: way.link)
        route.gateway = way.gateway
        route.metric = metric
        return route
    }

    private func add(_ route: Route, to peer: IPAddress) {
        do {
            try netlink.addRoute(route)
            installed[peer] = route
        } catch { warn("cannot keep \(peer) reachable outside the tunnel: \(error)") }
    }

    private func take(_ route: Route) {
        do {
            try netlink.removeRoute(route)
        } catch { warn("cannot remove the route to \(route.destination): \(error)") }
    }

    /// FNV-1a of the name, behind a first octet that other programs hardly use.
    static func metric(of name: String) -> UInt32 {
        let hash = name.utf8.reduce(0x811c_9dc5 as UInt32) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
        return 0xad00_0000 | (hash >> 24 ^ hash) & 0x00ff_ffff
    }

    private static let mainTable: UInt32 = 254
}

extension Route {
    fileprivate var isHostRoute: Bool { destination.length == destination.address.family.bits }
}
