// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinuxTests

import AditWire
import Glibc
import Testing

@testable import AditLinux

@Suite struct NetlinkTests {
    @Test(.enabled(if: Privilege.canUseNamespaces, "needs root, namespaces and /dev/net/tun"))
    func linksAddressesAndRoutesComeAndGo() throws {
        let leftovers = try inNamespace {
            let device = try TUNDevice(.init(name: "nl0"))
            let netlink = try Netlink()
            let link = try #require(try netlink.link(named: "nl0"))
            #expect(link.index == device.index)
            #expect(!link.isUp)

            try netlink.setMTU(1438, link: link.index)
            try netlink.setTransmitQueueLength(77, link: link.index)
            try netlink.setSegmentationLimit(bytes: nil, segments: 44, link: link.index)
            try netlink.setLinkLocalAddress(generated: false, link: link.index)
            try netlink.setUp(true, link: link.index)
            #expect(try netlink.addresses(link: link.index) == [])
            let changed = try #require(try netlink.link(named: "nl0"))
            #expect(changed.isUp)
            #expect(changed.mtu == 1438)
            #expect(changed.transmitQueueLength == 77)
            #expect(changed.segmentationSegments == 44)

            let v4 = try #require(IPPrefix("10.77.0.1/24"))
            let v6 = try #require(IPPrefix("fd77::1/64"))
            for address in [v4, v6, v4] { try netlink.addAddress(address, link: link.index) }
            let addresses = try netlink.addresses(link: link.index).map(\.prefix)
            #expect(addresses.contains(v4))
            #expect(addresses.contains(v6))

            var first = Route(try #require(IPPrefix("10.88.0.0/16")), link: link.index, source: v4.address)
            let second = Route(try #require(IPPrefix("fd88::/48")), link: link.index, source: v6.address)
            var third = Route(try #require(IPPrefix("0.0.0.0/0")), link: link.index)
            third.table = 7777
            third.metric = 5
            for route in [first, second, third] { try netlink.addRoute(route) }
            let listed = try netlink.routes()
            #expect(listed.contains(first))
            #expect(listed.contains { $0.destination == second.destination && $0.source == second.source })
            #expect(listed.contains(third))
            #expect(listed.allSatisfy { $0.origin == 0xad })

            let error = #expect(throws: SystemError.self) { try netlink.addRoute(first) }
            #expect(error?.code == EEXIST)
            #expect(error?.description.contains("there is another route") == true)
            first.source = nil
            try netlink.replaceRoute(first)
            #expect(try netlink.routes().contains(first))
            #expect(PathQuery.localAddress(to: IPAddress(v4: 0x0a58_0001)) == v4.address)
            #expect(PathQuery.mtu(to: IPAddress(v4: 0x0a58_0001)) == 1438)

            for route in [first, second, third, first] { try netlink.removeRoute(route) }
            for address in [v4, v6, v4] { try netlink.removeAddress(address, link: link.index) }
            let left = try netlink.addresses(link: link.index).map(\.prefix)
            #expect(!left.contains(v4) && !left.contains(v6))
            return try netlink.routes()
        }
        #expect(leftovers.isEmpty)
    }

    @Test(.enabled(if: Privilege.canUseNamespaces, "needs root, namespaces and /dev/net/tun"))
    func manyRoutesAreListedWhole() throws {
        let count = try inNamespace {
            let netlink = try Netlink()
            for index in 0..<3000 {
                let destination = try #require(IPPrefix(IPAddress(v4: 0x0b00_0000 + UInt32(index) << 8), length: 24))
                try netlink.addRoute(Route(destination, link: 1))
            }
            return try netlink.routes().count
        }
        #expect(count == 3000)
    }

    @Test func anUnknownInterfaceIsNilAndAnUnreachablePathToo() throws {
        let netlink = try Netlink()
        #expect(try netlink.link(named: "no-such-link") == nil)
        #expect(try netlink.link(named: "lo")?.index == 1)
        let error = #expect(throws: SystemError.self) { try netlink.setMTU(-1, link: 1) }
        #expect(error?.code == ERANGE)
        #expect(PathQuery.localAddress(to: IPAddress(v4: 0x7f00_0001)) == IPAddress(v4: 0x7f00_0001))
    }

    @Test func lyingLengthsAreRefused() {
        let message: [UInt8] = [20, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9]
        #expect(NetlinkAnswer.parse(message[...])?.first?.payload == [9, 9, 9, 9])
        for length: UInt8 in [0, 15, 21, 255] {
            var lying = message
            lying[0] = length
            #expect(NetlinkAnswer.parse(lying[...]) == nil, "length \(length)")
        }
        #expect(NetlinkAnswer.parse(message[..<10]) == nil)
        // Attributes: a length of 3 is too small, one of 9 reaches past the end; without a family header nothing is
        // read.
        for length: UInt8 in [0, 3, 9] {
            let answer = NetlinkAnswer(type: 0, flags: 0, sequence: 0, payload: [length, 0, 1, 0, 5, 5, 5, 5][...])
            #expect(answer.attributes(after: 0) == nil, "attribute length \(length)")
        }
        let answer = NetlinkAnswer(type: 0, flags: 0, sequence: 0, payload: [8, 0, 1, 0, 5, 5, 5, 5][...])
        #expect(answer.attributes(after: 0)?[1] == [5, 5, 5, 5])
        #expect(answer.attributes(after: 12) == nil)
    }
}
