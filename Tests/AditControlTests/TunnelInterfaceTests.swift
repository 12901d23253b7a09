// SPDX-License-Identifier: Apache-2.0
// Adit: AditControlTests

import AditWire
import Testing

@testable import AditControl
@testable import AditLinux

/// A host with a default route, in a namespace of its own, and gateways on it.
private struct Host {
    let netlink: Netlink
    let outside: TUNDevice

    init() throws {
        netlink = try Netlink()
        outside = try TUNDevice(.init(name: "wan0"))
        try netlink.addAddress(#require(IPPrefix("192.0.2.1/24")), link: outside.index)
        try netlink.setUp(true, link: outside.index)
        var route = Route(try #require(IPPrefix("0.0.0.0/0")), link: outside.index)
        route.gateway = IPAddress("192.0.2.254")
        route.origin = 3
        try netlink.addRoute(route)
    }

    /// The destinations of all routes of ours, in order.
    func routes() throws -> [String] { try netlink.routes().map(\.destination.description).sorted() }

    /// A gateway's interface, up.
    func gateway(_ name: String) throws -> (device: TUNDevice, tunnel: TunnelInterface) {
        let device = try TUNDevice(.init(name: name))
        let tunnel = try TunnelInterface(link: device.index, mtu: 1400, installRoutes: true) { message in
            Issue.record(Comment(rawValue: message))
        }
        try tunnel.bringUp(addresses: [])
        return (device, tunnel)
    }
}

private let everything = [TrafficSelector("0.0.0.0/0")].compactMap { $0 }
private let halves = ["0.0.0.0/1", "128.0.0.0/1"]
private let first = IPAddress(v4: 0xcb00_7107)
private let second = IPAddress(v4: 0xc633_6407)

@Suite(.enabled(if: canUseNamespaces, "needs root, namespaces and /dev/net/tun")) struct TunnelInterfaceTests {
    @Test func aKilledGatewaysRoutesAreGoneAfterTheNextOne() throws {
        try inNamespace {
            let host = try Host()
            let neighbour = try host.gateway("two0")
            neighbour.tunnel.addPeer(second)
            neighbour.tunnel.addRoutes(to: [TrafficSelector("198.51.100.0/24")!], from: [])
            let neighbours = ["198.51.100.0/24", "198.51.100.7/32"]
            #expect(try host.routes() == neighbours)
            do {
                // The device goes with its descriptor, as after kill -9; the host route lies on another link.
                let (device, tunnel) = try host.gateway("one0")
                tunnel.addPeer(first)
                tunnel.addRoutes(to: everything, from: [])
                #expect(try host.routes() == ([halves[0], halves[1], "203.0.113.7/32"] + neighbours).sorted())
                withExtendedLifetime(device) {}
            }
            #expect(try host.routes() == neighbours + ["203.0.113.7/32"])

            let (device, tunnel) = try host.gateway("one0")
            #expect(try host.routes() == neighbours)
            tunnel.addPeer(first)
            tunnel.addRoutes(to: everything, from: [])
            let bypass = try #require(
                try host.netlink.routes().first { $0.destination.contains(first) && $0.destination.length == 32 })
            #expect(bypass.link == host.outside.index && bypass.gateway == IPAddress("192.0.2.254"))
            tunnel.removeAll()
            #expect(try host.routes() == neighbours)
            neighbour.tunnel.removeAll()
            #expect(try host.routes() == [])
            withExtendedLifetime((device, neighbour.device)) {}
        }
    }

    @Test func everyPeerStaysReachableUntilItsLastUserIsGone() throws {
        try inNamespace {
            let host = try Host()
            let (device, tunnel) = try host.gateway("one0")
            tunnel.addPeer(first)
            tunnel.addRoutes(to: everything, from: [])
            // The second child has the same destination, which is routed already.
            tunnel.addPeer(second)
            tunnel.addRoutes(to: everything, from: [])
            tunnel.addPeer(second)
            let both = (halves + ["198.51.100.7/32", "203.0.113.7/32"]).sorted()
            #expect(try host.routes() == both)
            tunnel.removePeer(second)
            #expect(try host.routes() == both)
            tunnel.removePeer(second)
            #expect(try host.routes() == (halves + ["203.0.113.7/32"]).sorted())
            tunnel.removeRoutes(to: everything)
            #expect(try host.routes() == (halves + ["203.0.113.7/32"]).sorted())
            tunnel.removeRoutes(to: everything)
            #expect(try host.routes() == [])
            withExtendedLifetime(device) {}
        }
    }

    @Test func theWayOfThePeerIsTheLongestThenTheCheapest() throws {
        try inNamespace {
            let host = try Host()
            let other = try TUNDevice(.init(name: "lan0"))
            try host.netlink.addAddress(#require(IPPrefix("10.9.0.1/24")), link: other.index)
            try host.netlink.setUp(true, link: other.index)
            var dearer = Route(try #require(IPPrefix("0.0.0.0/0")), link: other.index)
            (dearer.metric, dearer.origin) = (700, 3)
            try host.netlink.addRoute(dearer)
            var longer = Route(try #require(IPPrefix("198.51.100.0/24")), link: other.index)
            (longer.metric, longer.origin) = (800, 3)
            try host.netlink.addRoute(longer)
            let (device, tunnel) = try host.gateway("one0")
            for peer in [first, second] { tunnel.addPeer(peer) }
            tunnel.addRoutes(to: everything, from: [])
            let links = Dictionary(
                uniqueKeysWithValues: try host.netlink.routes().map { ($0.destination.description, $0.link) })
            #expect(links["203.0.113.7/32"] == host.outside.index)
            #expect(links["198.51.100.7/32"] == other.index)
            tunnel.removeAll()
            withExtendedLifetime((device, other)) {}
        }
    }

    @Test func metricsTellGatewaysApart() {
        let metrics = (0..<64).map { PeerRoutes.metric(of: "adit\($0)") }
        #expect(Set(metrics).count == metrics.count)
        #expect(metrics.allSatisfy { $0 >> 24 == 0xad })
    }
}
