// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinuxTests

import AditWire
import CLinux
import Glibc
import Testing

@testable import AditLinux

@Suite struct NetworkMonitorTests {
    /// A netlink message with this type and payload.
    private func message(_ type: CInt, _ payload: [UInt8], length: Int? = nil) -> [UInt8] {
        let length = UInt8(length ?? 16 + payload.count)
        return [length, 0, 0, 0, UInt8(type), 0, 0, 0] + [UInt8](repeating: 0, count: 8) + payload
    }

    /// RTM_NEWROUTE in `table`, made by `origin`.
    private func route(table: UInt8, origin: UInt8, flags: UInt32 = 0) -> [UInt8] {
        let words = (0..<4).map { UInt8(truncatingIfNeeded: flags >> (8 * $0)) }
        return message(CInt(RTM_NEWROUTE), [2, 24, 0, 0, table, origin, 0, 1] + words)
    }

    @Test func whatCanMatterToAPathDoes() {
        for type in [RTM_NEWADDR, RTM_DELADDR, RTM_NEWLINK, RTM_DELLINK] {
            #expect(NetworkMonitor.matters(message(CInt(type), [])[...]), "type \(type)")
        }
        #expect(NetworkMonitor.matters(route(table: 254, origin: 4)[...]))
        // Our own routes, the kernel's table of its addresses, and what it caches.
        #expect(!NetworkMonitor.matters(route(table: 254, origin: Route.adit)[...]))
        #expect(!NetworkMonitor.matters(route(table: 255, origin: 2)[...]))
        #expect(!NetworkMonitor.matters(route(table: 254, origin: 4, flags: UInt32(RTM_F_CLONED))[...]))
        for type in [0, 1, 2, 3, CInt(RTM_NEWNEIGH), 255] {
            #expect(!NetworkMonitor.matters(message(type, [1, 2, 3, 4])[...]), "type \(type)")
        }
        #expect(!NetworkMonitor.matters([]))
        // One of several is enough.
        let quiet = route(table: 254, origin: Route.adit)
        #expect(!NetworkMonitor.matters((quiet + quiet)[...]))
        #expect(NetworkMonitor.matters((quiet + route(table: 254, origin: 4) + quiet)[...]))
    }

    @Test func whatCannotBeReadMatters() {
        let whole = route(table: 254, origin: Route.adit)
        for count in 1..<whole.count { #expect(NetworkMonitor.matters(whole[..<count]), "\(count) bytes") }
        for length in [0, 15, 29, 255] {
            let lying = message(CInt(RTM_NEWNEIGH), [UInt8](repeating: 0, count: 12), length: length)
            #expect(NetworkMonitor.matters(lying[...]), "length \(length)")
        }
        // A route too short for its own header, in a message whose length is right.
        #expect(NetworkMonitor.matters(message(CInt(RTM_DELROUTE), [2, 24, 0, 0, 254, 0xad, 0, 1])[...]))
    }

    @Test(.enabled(if: Privilege.canUseNamespaces, "needs root, namespaces and /dev/net/tun"))
    func changesOfTheHostAreHeard() throws {
        try inNamespace {
            let monitor = try NetworkMonitor()
            let netlink = try Netlink()
            #expect(!monitor.drain())
            let device = try TUNDevice(.init(name: "nm0"))
            #expect(monitor.drain())
            try netlink.setUp(true, link: device.index)
            #expect(monitor.drain())
            let address = try #require(IPPrefix("192.0.2.10/24"))
            try netlink.addAddress(address, link: device.index)
            #expect(monitor.drain())
            try netlink.removeAddress(address, link: device.index)
            #expect(monitor.drain())
        }
    }

    /// With the loopback interface alone: the kernel tells late of other ones' carriers and IPv6 addresses.
    @Test(.enabled(if: Privilege.canUseNamespaces, "needs root, namespaces and /dev/net/tun"))
    func routesOfOurOwnAreNoNews() throws {
        try inNamespace {
            let monitor = try NetworkMonitor()
            let netlink = try Netlink()
            try netlink.addAddress(try #require(IPPrefix("192.0.2.10/24")), link: 1)
            #expect(monitor.drain() && !monitor.drain(), "told once")
            var route = Route(try #require(IPPrefix("198.51.100.0/24")), link: 1)
            try netlink.addRoute(route)
            try netlink.removeRoute(route)
            #expect(!monitor.drain(), "our own")
            route.origin = 4
            try netlink.addRoute(route)
            #expect(monitor.drain() && !monitor.drain(), "another's")
        }
    }

    @Test(.enabled(if: Privilege.canUseNamespaces, "needs root, namespaces and /dev/net/tun"))
    func anOverrunMatters() throws {
        try inNamespace {
            let monitor = try NetworkMonitor()
            var size: CInt = 1
            #expect(
                setsockopt(monitor.descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<CInt>.size)) == 0)
            let netlink = try Netlink()
            // Each is none of the monitor's business, and together they are more than its socket holds.
            for index in 0..<200 as Range<UInt32> {
                let destination = try #require(IPPrefix(IPAddress(v4: 0x0b00_0000 + index << 8), length: 24))
                try netlink.addRoute(Route(destination, link: 1))
            }
            #expect(monitor.drain(), "what was lost may matter")
            #expect(!monitor.drain())
        }
    }
}
