// SPDX-License-Identifier: Apache-2.0
// Adit: AditControlTests

import AditLinux
import AditWire
import Glibc
import Testing

@testable import AditControl
@testable import AditIKE

@Suite struct AddressWatchTests {
    private static func time(_ milliseconds: UInt64) -> Timestamp { Timestamp(nanoseconds: milliseconds * 1_000_000) }

    @Test(.enabled(if: canUseNamespaces, "needs root, namespaces and /dev/net/tun"))
    func aBurstOfChangesIsToldOnce() throws {
        try inNamespace {
            // Else the device has an address of its own, some time after it is up.
            let file = try #require(fopen("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w"))
            fputs("1", file)
            fclose(file)
            let netlink = try Netlink()
            let device = try TUNDevice(.init(name: "aw0"))
            try netlink.setUp(true, link: device.index)
            let watch = try AddressWatch(tunnel: nil, listened: [], warn: { _ in })
            let address = try #require(IPPrefix("192.0.2.10/24"))
            watch.note(Self.time(0))
            #expect(watch.due == nil && !watch.take(Self.time(1000)), "nothing happened")
            try netlink.addAddress(address, link: device.index)
            watch.note(Self.time(1000))
            #expect(watch.due == Self.time(1050) && !watch.take(Self.time(1049)))
            // What follows puts it off, and not for ever.
            for moment in stride(from: 1040, through: 1280, by: 40) as StrideThrough<UInt64> {
                try netlink.removeAddress(address, link: device.index)
                try netlink.addAddress(address, link: device.index)
                watch.note(Self.time(moment))
                #expect(watch.due == Self.time(min(moment + 50, 1300)))
            }
            #expect(watch.take(Self.time(1300)) && !watch.take(Self.time(2000)))
            #expect(watch.due == nil)
            try netlink.removeAddress(address, link: device.index)
            watch.note(Self.time(3000))
            #expect(watch.due == Self.time(3050), "the next burst has patience of its own")
        }
    }

    @Test(.enabled(if: canUseNamespaces, "needs root, namespaces and /dev/net/tun"))
    func addressesOfTheOutsideAreTold() throws {
        try inNamespace {
            let netlink = try Netlink()
            let names = ["aw0", "aw1", "aw2"]
            let devices = try names.map { try TUNDevice(.init(name: $0)) }
            let addresses = try ["192.0.2.10/24", "10.1.0.1/24", "198.51.100.10/24"].map { try #require(IPPrefix($0)) }
            // The last one stays down; the second is the tunnel.
            for device in devices.dropLast() { try netlink.setUp(true, link: device.index) }
            for (device, address) in zip(devices, addresses) { try netlink.addAddress(address, link: device.index) }
            let outer = { (listened: [IPAddress]) throws -> [IPAddress] in
                let watch = try AddressWatch(tunnel: devices[1].index, listened: listened, warn: { _ in })
                let found = try #require(watch.addresses())
                #expect(Set(found.map(\.address)).isSuperset(of: addresses.map(\.address)), "the host has them all")
                return found.filter(\.isOuter).map(\.address)
            }
            #expect(try outer([]) == [addresses[0].address])
            #expect(try outer([addresses[0].address]) == [addresses[0].address])
            #expect(try outer([addresses[2].address]) == [])
            try netlink.setUp(true, link: devices[2].index)
            #expect(try outer([]) == [addresses[0].address, addresses[2].address])
        }
    }
}
