// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinuxTests

import AditWire
import Glibc
import Testing

@testable import AditLinux

@Suite struct TUNDeviceTests {
    @Test(.enabled(if: Privilege.canUseNamespaces, "needs root, namespaces and /dev/net/tun"))
    func aDeviceIsCreatedAndGoesAway() throws {
        try inNamespace {
            let netlink = try Netlink()
            do {
                let device = try TUNDevice(.init(name: "adit7"))
                #expect(device.name == "adit7")
                #expect(!device.isAdopted)
                #expect(device.queues.count == 1)
                #expect(try netlink.link(named: "adit7")?.index == device.index)
                // A second opener is refused in words, with one queue and with several.
                for queues in [1, 2] {
                    let error = #expect(throws: SystemError.self) {
                        try TUNDevice(.init(name: "adit7", queues: queues))
                    }
                    #expect(error?.code == EBUSY || error?.code == EINVAL)
                    #expect(error?.description.contains("choose another name") == true)
                }
            }
            #expect(try netlink.link(named: "adit7") == nil)
            #expect(TUNDevice.probe() == nil)
            #expect(try netlink.links().map(\.name) == ["lo"])
        }
    }

    @Test(.enabled(if: Privilege.canUseNamespaces, "needs root, namespaces and /dev/net/tun"))
    func severalQueuesBelongToOneDevice() throws {
        try inNamespace {
            do {
                let device = try TUNDevice(.init(name: "multi%d", queues: 3))
                #expect(device.name == "multi0")
                #expect(Set(device.queues.map(\.descriptor)).count == 3)
                #expect(device.queues.allSatisfy { $0.capabilities == device.offloads.capabilities })
                let other = try TUNDevice(.init(name: "multi%d", queues: 2))
                #expect(other.name == "multi1")
                // A multi-queue device of another program would let us in: refused too, as it is not persistent.
                let error = #expect(throws: SystemError.self) { try TUNDevice(.init(name: "multi0", queues: 2)) }
                #expect(error?.code == EBUSY)
            }
            #expect(try Netlink().links().count == 1)
        }
    }

    @Test(.enabled(if: Privilege.canUseNamespaces, "needs root, namespaces and /dev/net/tun"))
    func aPersistentDeviceInUseIsRefused() throws {
        try inNamespace {
            let first = try TUNDevice(.init(name: "used0", queues: 2))
            #expect(ioctlPersist(first.queues[0].descriptor) == 0)
            try Netlink().setUp(true, link: first.index)
            let error = #expect(throws: SystemError.self) { try TUNDevice(.init(name: "used0", queues: 2)) }
            #expect(error?.description.contains("another program has this interface") == true)
            withExtendedLifetime(first) {}
        }
    }

    @Test(.enabled(if: Privilege.canUseNamespaces, "needs root, namespaces and /dev/net/tun"))
    func anInterfaceOfAnotherKindIsCalledSo() throws {
        try inNamespace {
            // With a carrier, as an interface in use has one.
            let netlink = try Netlink()
            let loopback = try netlink.link(named: "lo")
            try netlink.setUp(true, link: #require(loopback).index)
            let error = #expect(throws: SystemError.self) { try TUNDevice(.init(name: "lo")) }
            #expect(error?.description.contains("is no TUN device") == true)
        }
    }

    @Test(
        .enabled(if: Privilege.canUseNamespaces, "needs root, namespaces and /dev/net/tun"), arguments: [true, false])
    func aPersistentDeviceIsAdoptedAndStays(_ hasQueues: Bool) throws {
        try inNamespace {
            let queues = hasQueues ? 2 : 1
            do {
                let maker = try TUNDevice(.init(name: "kept0", queues: queues))
                #expect(ioctlPersist(maker.queues[0].descriptor) == 0)
            }
            for asked in [1, queues] {
                let device = try TUNDevice(.init(name: "kept0", queues: asked))
                #expect(device.isAdopted)
                #expect(device.queues.count == asked)
            }
            #expect(try Netlink().link(named: "kept0") != nil)
            guard !hasQueues else { return }
            let error = #expect(throws: SystemError.self) { try TUNDevice(.init(name: "kept0", queues: 2)) }
            #expect(error?.code == EINVAL)
        }
    }

    @Test(
        .enabled(if: Privilege.canUseNamespaces, "needs root, namespaces and /dev/net/tun"),
        arguments: [
            TUNOffloads.all, [.checksum], [.checksum, .tcpV4], [.checksum, .tcpV4, .tcpV6, .tcpECN],
            [.checksum, .udpV4, .udpV6], [],
        ])
    func offloadsAreTakenAsAsked(_ offloads: TUNOffloads) throws {
        let granted = try inNamespace { try TUNDevice(.init(name: "off0", offloads: offloads)).offloads }
        // Linux 6.2 and later have all of them.
        #expect(granted == offloads || granted == offloads.subtracting([.udpV4, .udpV6]))
    }

    /// Linux wants UDP segmentation for both families or none, and nothing without checksums: what it refuses is left
    /// out.
    @Test(.enabled(if: Privilege.canUseNamespaces, "needs root, namespaces and /dev/net/tun"))
    func whatTheKernelRefusesIsLeftOut() throws {
        try inNamespace {
            let half: TUNOffloads = [.checksum, .tcpV4, .udpV4]
            let first = try TUNDevice(.init(name: "a", offloads: half))
            #expect(first.offloads == [.checksum, .tcpV4])
            let second = try TUNDevice(.init(name: "b", offloads: [.tcpV4, .tcpV6]))
            #expect(second.offloads == [])
        }
    }

    @Test func namesAreChecked() {
        for name in ["a", "adit0", "x.y-z_1", "adit%d", "123456789012345"] {
            #expect(TUNDevice.isValidName(name), "\(name)")
        }
        for name in ["", ".", "..", "a/b", "a b", "a:b", "1234567890123456", "%s", "%d%d", "a%", "é"] {
            #expect(!TUNDevice.isValidName(name), "\(name)")
            #expect(throws: SystemError.self) { try TUNDevice(.init(name: name)) }
        }
        for queues in [0, -1, 257] {
            let error = #expect(throws: SystemError.self) { try TUNDevice(.init(name: "a", queues: queues)) }
            #expect(error?.description.contains("1 to 256") == true)
        }
    }

    @Test func capabilitiesNeedBothFamilies() {
        #expect(TUNOffloads.all.capabilities == [.checksum, .tcpSegmentation, .udpSegmentation])
        #expect(TUNOffloads([.checksum, .tcpV4]).capabilities == [.checksum])
        #expect(TUNOffloads([.tcpV4, .tcpV6]).capabilities == [])
    }
}

/// TUNSETPERSIST, through a C function that Swift can import: ioctl itself is variadic.
private func ioctlPersist(_ descriptor: CInt) -> CInt {
    typealias Ioctl = @convention(c) (CInt, CUnsignedLong, CLong) -> CInt
    let ioctl = unsafeBitCast(dlsym(nil, "ioctl"), to: Ioctl.self)
    return ioctl(descriptor, 0x4004_54cb, 1)
}
