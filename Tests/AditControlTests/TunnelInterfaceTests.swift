// SPDX-License-Identifier: Apache-2.0
// Adit: AditControlTests

import AditWire
import Synchronization
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

/// What was warned of.
private final class Log: Sendable {
    private let written = Mutex<[String]>([])
    var lines: [String] { written.withLock { $0 } }
    var add: @Sendable (String) -> Void { { [self] line in written.withLock { $0.append(line) } } }
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

    private static func time(_ seconds: UInt64) -> Timestamp { Timestamp(nanoseconds: seconds * 1_000_000_000) }

    /// What `ip link set down` and other programs take away comes back.
    @Test func whatOthersTakeAwayComesBack() throws {
        try inNamespace {
            let host = try Host()
            let log = Log()
            let device = try TUNDevice(.init(name: "one0"))
            let tunnel = try TunnelInterface(link: device.index, mtu: 1400, installRoutes: true, warn: log.add)
            let addresses = try ["10.9.0.1/24", "fd09::1/64"].map { try #require(IPPrefix($0)) }
            try tunnel.bringUp(addresses: addresses)
            tunnel.addPeer(first)
            tunnel.addRoutes(to: everything, from: [TrafficSelector("10.9.0.0/16")!])
            let all = (halves + ["203.0.113.7/32"]).sorted()
            let has = { try host.netlink.addresses(link: device.index).map(\.prefix).sorted { $0.length < $1.length } }
            tunnel.check(Self.time(1))
            #expect(tunnel.checkAt == nil && log.lines == [], "nothing has begun")
            tunnel.noteChange(Self.time(1))
            tunnel.check(Self.time(1))
            #expect(try log.lines == [] && host.routes() == all && has() == addresses)

            try host.netlink.setUp(false, link: device.index)
            tunnel.noteChange(Self.time(10))
            tunnel.check(Self.time(10))
            tunnel.noteChange(Self.time(20))
            tunnel.check(Self.time(20))
            #expect(log.lines.count == 1 && log.lines[0].contains("taken down"), "it is told once")
            #expect(try host.routes() == ["203.0.113.7/32"])
            // A child that comes up meanwhile has to wait.
            tunnel.addRoutes(to: [TrafficSelector("10.7.0.0/16")!], from: [])
            try host.netlink.setUp(true, link: device.index)
            tunnel.noteChange(Self.time(30))
            tunnel.check(Self.time(30))
            #expect(log.lines.count == 2 && log.lines[1].contains("up again"))
            #expect(try host.routes() == (all + ["10.7.0.0/16"]).sorted())
            tunnel.removeRoutes(to: [TrafficSelector("10.7.0.0/16")!])
            #expect(try host.routes() == all && has() == addresses)
            #expect(try host.netlink.routes().filter { $0.link == device.index }.allSatisfy { $0.source != nil })

            // Routes of ours that somebody removes are no news: they are looked for now and then.
            for route in try host.netlink.routes() { try host.netlink.removeRoute(route) }
            tunnel.check(Self.time(31))
            #expect(try host.routes() == [])
            tunnel.check(Self.time(90))
            #expect(try host.routes() == all)
            #expect(log.lines.count == 3 && log.lines[2].contains("one0 (2)"))
            // With other news they are looked for at once, and not ever so often.
            for _ in 0..<3 {
                for route in try host.netlink.routes() { try host.netlink.removeRoute(route) }
                tunnel.noteChange(Self.time(91))
                tunnel.check(Self.time(91))
            }
            #expect(try host.routes() == [] && tunnel.checkAt == Self.time(92))
            tunnel.removeAll()
            withExtendedLifetime(device) {}
        }
    }

    @Test func aDeletedInterfaceIsTold() throws {
        try inNamespace {
            let host = try Host()
            let log = Log()
            let tunnel = try {
                let device = try TUNDevice(.init(name: "one0"))
                let tunnel = try TunnelInterface(link: device.index, mtu: 1400, installRoutes: true, warn: log.add)
                try tunnel.bringUp(addresses: [])
                tunnel.addRoutes(to: everything, from: [])
                return tunnel
            }()
            for second in 1...3 as ClosedRange<UInt64> {
                tunnel.noteChange(Self.time(second))
                tunnel.check(Self.time(second))
            }
            #expect(log.lines.count == 1 && log.lines[0].contains("deleted"))
            tunnel.removeAll()
            #expect(try host.routes() == [] && log.lines.count == 1)
        }
    }

    /// An interface that was there before keeps what it had, and nothing of ours.
    @Test func anInterfaceIsLeftAsItWas() throws {
        try inNamespace {
            let host = try Host()
            let theirs = try #require(IPPrefix("10.8.0.1/24"))
            let ours = try #require(IPPrefix("10.9.0.1/24"))
            for wasUp in [false, true] {
                let device = try TUNDevice(.init(name: "one0"))
                try host.netlink.addAddress(theirs, link: device.index)
                try host.netlink.setUp(wasUp, link: device.index)
                let tunnel = try TunnelInterface(link: device.index, mtu: 1400, installRoutes: true) { message in
                    Issue.record(Comment(rawValue: message))
                }
                try tunnel.bringUp(addresses: [theirs, ours])
                // An interface that was up has an IPv6 address of its own.
                let global = { try host.netlink.addresses(link: device.index).filter(\.isGlobal).map(\.prefix) }
                #expect(try Set(global()) == [theirs, ours])
                tunnel.removeAll()
                #expect(try global() == [theirs])
                #expect(try host.netlink.links().first { $0.index == device.index }?.isUp == wasUp)
                withExtendedLifetime(device) {}
            }
        }
    }

    @Test func aKilledGatewaysHostRoutesAreGoneAlsoWithoutRoutesOfItsOwn() throws {
        try inNamespace {
            let host = try Host()
            do {
                let (device, tunnel) = try host.gateway("one0")
                tunnel.addPeer(first)
                tunnel.addRoutes(to: everything, from: [])
                withExtendedLifetime(device) {}
            }
            #expect(try host.routes() == ["203.0.113.7/32"])
            let device = try TUNDevice(.init(name: "one0"))
            let tunnel = try TunnelInterface(link: device.index, mtu: 1400, installRoutes: false, warn: { _ in })
            try tunnel.bringUp(addresses: [])
            #expect(try host.routes() == [])
            tunnel.addPeer(first)
            tunnel.addRoutes(to: everything, from: [])
            #expect(try host.routes() == [])
            withExtendedLifetime(device) {}
        }
    }

    @Test func metricsTellGatewaysApart() {
        let metrics = (0..<64).map { PeerRoutes.metric(of: "adit\($0)") }
        #expect(Set(metrics).count == metrics.count)
        #expect(metrics.allSatisfy { $0 >> 24 == 0xad })
    }
}
