// SPDX-License-Identifier: Apache-2.0
// Adit: AditControlTests

import AditLinux
import AditWire
import Synchronization
import Testing

@testable import AditControl

@Suite struct PeerRoutesTests {
    /// A host with two ways out and a tunnel that a peer's own address is routed into.
    private struct Host {
        let netlink: Netlink
        let outside: [TUNDevice]
        let tunnel: TUNDevice
        let peer = IPAddress(v4: 0xc633_6407)
        let gateways = [IPAddress(v4: 0xc000_0201), IPAddress(v4: 0xcb00_7101)]
        var destinations = RoutedDestinations()

        init() throws {
            netlink = try Netlink()
            outside = try ["pr0", "pr1"].map { try TUNDevice(.init(name: $0)) }
            tunnel = try TUNDevice(.init(name: "prt"))
            for (device, text) in zip(outside, ["192.0.2.10/24", "203.0.113.10/24"]) {
                try netlink.setUp(true, link: device.index)
                try netlink.addAddress(try #require(IPPrefix(text)), link: device.index)
            }
            try netlink.setUp(true, link: tunnel.index)
            destinations.insert(Route(try #require(IPPrefix("198.51.100.0/24")), link: tunnel.index))
        }

        /// Where everything goes from now on.
        func goOut(_ way: Int, by gateway: IPAddress? = nil) throws {
            var route = Route(try #require(IPPrefix("0.0.0.0/0")), link: outside[way].index)
            route.gateway = gateway ?? gateways[way]
            route.origin = 4
            try netlink.replaceRoute(route)
        }

        /// The host routes of ours, as the next hop of each.
        func hostRoutes() throws -> [IPAddress?] {
            try netlink.routes().filter { $0.destination.length == 32 && $0.destination.address == peer }.map(\.gateway)
        }
    }

    @Test(.enabled(if: canUseNamespaces, "needs root, namespaces and /dev/net/tun"))
    func thePeerStaysReachableWhenTheWayOutChanges() throws {
        let warnings = try inNamespace {
            let host = try Host()
            let warnings = Mutex<[String]>([])
            let routes = PeerRoutes(host.netlink, link: host.tunnel.index, name: "prt") { text in
                warnings.withLock { $0.append(text) }
            }
            try host.goOut(0)
            routes.add(host.peer, destinations: host.destinations)
            #expect(try host.hostRoutes() == [host.gateways[0]])
            // Nothing has changed.
            routes.refresh(destinations: host.destinations)
            #expect(try host.hostRoutes() == [host.gateways[0]])
            // Another next hop, then another interface.
            let other = IPAddress(v4: 0xc000_0202)
            try host.goOut(0, by: other)
            routes.refresh(destinations: host.destinations)
            #expect(try host.hostRoutes() == [other])
            try host.goOut(1)
            routes.refresh(destinations: host.destinations)
            #expect(try host.hostRoutes() == [host.gateways[1]])
            // With the interface go its routes; as long as there is no way out, none is made up.
            try host.netlink.setUp(false, link: host.outside[1].index)
            routes.refresh(destinations: host.destinations)
            #expect(try host.hostRoutes() == [])
            try host.goOut(0)
            routes.refresh(destinations: host.destinations)
            #expect(try host.hostRoutes() == [host.gateways[0]])
            // Somebody has taken it away.
            for route in try host.netlink.routes() { try host.netlink.removeRoute(route) }
            routes.refresh(destinations: host.destinations)
            #expect(try host.hostRoutes() == [host.gateways[0]])
            routes.removeAll()
            #expect(try host.hostRoutes() == [])
            return warnings.withLock { $0 }
        }
        #expect(warnings == [])
    }

    @Test(.enabled(if: canUseNamespaces, "needs root, namespaces and /dev/net/tun"))
    func onlyPeersInsideOfADestinationAreLookedAfter() throws {
        try inNamespace {
            let host = try Host()
            let routes = PeerRoutes(host.netlink, link: host.tunnel.index, name: "prt", warn: { _ in })
            try host.goOut(0)
            let outsider = IPAddress(v4: 0xc612_0001)
            for peer in [host.peer, outsider] { routes.add(peer, destinations: RoutedDestinations()) }
            #expect(try host.hostRoutes() == [])
            routes.refresh(destinations: RoutedDestinations())
            #expect(try host.netlink.routes() == [])
            routes.refresh(destinations: host.destinations)
            #expect(try host.netlink.routes().map(\.destination.address) == [host.peer])
            routes.keep(for: RoutedDestinations())
            #expect(try host.netlink.routes() == [])
            routes.removeAll()
        }
    }
}
