// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinuxTests

import AditWire
import CLinux
import Glibc
import Testing

@testable import AditLinux

@Suite struct UDPTransportTests {
    @Test(
        arguments: [Loopback.v4, Loopback.v6],
        [(44, 1000, 300), (64, 1000, 1000), (2, 1, 1), (130, 480, 7), (1, 1472, 1472)])
    func runsArriveWholeAndInOrder(_ address: IPAddress, _ shape: (count: Int, size: Int, last: Int)) throws {
        let sender = try Loopback.group(address)
        let receiver = try Loopback.group(address)
        let bytes = pattern((shape.count - 1) * shape.size + shape.last)
        let remote = Endpoint(address, port: receiver.port)
        #expect(sender.transports[0].send(bytes, segmentSize: shape.size, to: remote) == 0)
        let received = receiver.transports[0].collect(shape.count)
        #expect(received.count == shape.count)
        #expect(received.flatMap(\.bytes) == bytes)
        #expect(received.dropLast().allSatisfy { $0.bytes.count == shape.size })
        #expect(received.last?.bytes.count == shape.last)
        #expect(received.allSatisfy { $0.remote == Endpoint(address, port: sender.port) && $0.local == remote })
        // Super-packets really travelled: runs of up to 64 datagrams came in one piece.
        #expect(received.first?.runCount == min(shape.count, UDPTransport.segmentLimit))
        #expect(sender.transports[0].isSegmenting)
    }

    @Test(arguments: [(false, true), (true, false), (false, false)])
    func offloadsCanBeSwitchedOff(_ offloads: (segmentation: Bool, receive: Bool)) throws {
        let sender = try Loopback.group { $0.segmentation = offloads.segmentation }
        let receiver = try Loopback.group { $0.receiveOffload = offloads.receive }
        let bytes = pattern(100 * 700 + 5)
        let remote = Endpoint(Loopback.v4, port: receiver.port)
        #expect(sender.transports[0].isSegmenting == offloads.segmentation)
        #expect(sender.transports[0].send(bytes, segmentSize: 700, to: remote) == 0)
        let received = receiver.transports[0].collect(101)
        #expect(received.flatMap(\.bytes) == bytes)
        #expect(received.allSatisfy { $0.runCount == 1 })
    }

    /// A socket without UDP checksums may not segment: the kernel answers EINVAL, as it does for devices without
    /// checksum offload.
    @Test func aRefusalIsMadeGoodAndRemembered() throws {
        let sender = try Loopback.group()
        let receiver = try Loopback.group()
        let transport = sender.transports[0]
        var on: CInt = 1
        #expect(setsockopt(transport.descriptors[0], SOL_SOCKET, SO_NO_CHECK, &on, 4) == 0)
        let remote = Endpoint(Loopback.v4, port: receiver.port)
        for round in 0..<UDPTransport.refusalLimit + 2 {
            #expect(transport.isSegmenting == (round < UDPTransport.refusalLimit))
            let bytes = pattern(10 * 500 + 1, seed: round)
            #expect(transport.send(bytes, segmentSize: 500, to: remote) == 0)
            #expect(receiver.transports[0].collect(11).flatMap(\.bytes) == bytes)
        }
        // It is asked again after a while, and one more refusal is enough for the next.
        let rounds = UDPTransport.restLimit - 3
        for round in 0..<2 {
            for _ in 0..<rounds + 2 * round { _ = transport.send(pattern(2), segmentSize: 1, to: remote) }
            #expect(!transport.isSegmenting)
            if round == 1 {
                var off: CInt = 0
                #expect(setsockopt(transport.descriptors[0], SOL_SOCKET, SO_NO_CHECK, &off, 4) == 0)
            }
            #expect(transport.send(pattern(2), segmentSize: 1, to: remote) == 0)
            #expect(transport.isSegmenting == (round == 1))
        }
    }

    /// Before Linux 6.14 a run whose datagrams are larger than the path is refused with EINVAL, as by a kernel that
    /// cannot segment.
    @Test(.enabled(if: Privilege.canUseNamespaces, "needs root, namespaces and /dev/net/tun"))
    func anOlderKernelsRefusalBecauseOfThePathSwitchesNothingOff() throws {
        try inNamespace {
            let receiver = try Loopback.group()
            let remote = Endpoint(Loopback.v4, port: receiver.port)
            let transport = try Loopback.group().transports[0]
            transport.refusal = { $0 == EMSGSIZE ? EINVAL : $0 }
            try Netlink().setMTU(1280, link: 1)
            for _ in 0..<UDPTransport.refusalLimit + 2 {
                #expect(transport.send(pattern(4200), segmentSize: 1400, to: remote) == 0)
                #expect(receiver.transports[0].collect(3).flatMap(\.bytes) == pattern(4200))
                #expect(transport.takeOversizedPeer() == remote)
                #expect(transport.send(pattern(4500), segmentSize: 1500, to: remote) == 3)
                #expect(transport.isSegmenting)
            }
            try Netlink().setMTU(1500, link: 1)
            #expect(transport.send(pattern(4200), segmentSize: 1400, to: remote) == 0)
            #expect(receiver.transports[0].collect(3).first?.runCount == 3)
        }
    }

    @Test func whatTheKernelRefusesIsCountedAsLost() throws {
        let transport = try Loopback.group().transports[0]
        // A source address that is not ours: refused with and without segmentation, which therefore stays on.
        let remote = Endpoint(Loopback.v4, port: 9)
        let any = try Loopback.group(Loopback.anyV4).transports[0]
        for _ in 0..<10 {
            #expect(any.send(pattern(3000), segmentSize: 1000, to: remote, from: IPAddress(v4: 0x0808_0808)) == 3)
        }
        #expect(any.isSegmenting)
        // No socket of that family.
        #expect(transport.send(pattern(3000), segmentSize: 1000, to: Endpoint(Loopback.v6, port: 9)) == 3)
        // No datagrams at all.
        #expect(transport.send(pattern(10), segmentSize: 0, to: remote) == 1)
    }

    @Test(.enabled(if: Privilege.canUseNamespaces, "needs root, namespaces and /dev/net/tun"))
    func tooLargeForThePathIsReportedOrFragmented() throws {
        try inNamespace {
            try Netlink().setMTU(1500, link: 1)
            let receiver = try Loopback.group()
            let remote = Endpoint(Loopback.v4, port: receiver.port)
            let discovering = try Loopback.group()
            #expect(discovering.transports[0].send(pattern(6000), segmentSize: 2000, to: remote) == 3)
            #expect(discovering.transports[0].takeOversizedPeer() == remote)
            #expect(discovering.transports[0].takeOversizedPeer() == nil)
            #expect(discovering.transports[0].isSegmenting)
            #expect(PathQuery.mtu(to: Loopback.v4) == 1500)
            // What no tunnel MTU makes smaller arrives whatever the path says, alone or in a run, and DF comes back.
            try Netlink().setMTU(1280, link: 1)
            #expect(discovering.transports[0].send(pattern(1400), segmentSize: 1400, to: remote) == 0)
            #expect(discovering.transports[0].takeOversizedPeer() == remote)
            #expect(discovering.transports[0].send(pattern(4200), segmentSize: 1400, to: remote) == 0)
            #expect(receiver.transports[0].collect(4).map(\.bytes.count) == [1400, 1400, 1400, 1400])
            #expect(discovering.transports[0].isSegmenting)
            #expect(discovering.transports[0].send(pattern(1409), segmentSize: 1409, to: remote) == 1)
            try Netlink().setMTU(1500, link: 1)
            let fragmenting = try Loopback.group { $0.pathMTU = .fragment }
            #expect(fragmenting.transports[0].send(pattern(6000), segmentSize: 2000, to: remote) == 0)
            #expect(receiver.transports[0].collect(3).flatMap(\.bytes) == pattern(6000))
            // The control thread's sender fragments though the workers' sockets do not.
            let sent = discovering.sender.send(
                pattern(4000), nonESPMarker: true, local: Loopback.anyV4, remote: remote)
            guard case .done = sent else {
                Issue.record("\(sent)")
                return
            }
            #expect(receiver.transports[0].collect(1).first?.bytes == [0, 0, 0, 0] + pattern(4000))
        }
    }

    @Test func localAddressAndTrafficClassAreKept() throws {
        let server = try Loopback.group(Loopback.anyV4).transports[0]
        let client = try Loopback.group(Loopback.anyV4).transports[0]
        let second = IPAddress(v4: 0x7f00_0002)
        let third = IPAddress(v4: 0x7f00_0003)
        let port = try #require(client.localPort)
        let serverPort = try #require(server.localPort)
        let remote = Endpoint(second, port: serverPort)
        #expect(client.send(pattern(900), segmentSize: 300, to: remote, from: third, trafficClass: 0xb9) == 0)
        let received = server.collect(3)
        #expect(received.count == 3)
        #expect(received.allSatisfy { $0.local == remote && $0.remote == Endpoint(third, port: port) })
        #expect(received.allSatisfy { $0.trafficClass == 0xb9 })
        // The answer leaves from the address that was asked, though the route would choose another.
        #expect(server.send([7], segmentSize: 1, to: Endpoint(third, port: port), from: second) == 0)
        let answer = try #require(client.collect(1).first)
        #expect(answer.remote == remote)
        #expect(answer.trafficClass == 0)
    }

    @Test func iPv6KeepsThemToo() throws {
        let any = IPAddress(v6High: 0, low: 0)
        let server = try Loopback.group(any).transports[0]
        let client = try Loopback.group(any).transports[0]
        let remote = Endpoint(Loopback.v6, port: try #require(server.localPort))
        #expect(
            client.send(pattern(900), segmentSize: 300, to: remote, from: Loopback.v6, trafficClass: 0xb9) == 0)
        let received = server.collect(3)
        #expect(received.flatMap(\.bytes) == pattern(900))
        #expect(received.allSatisfy { $0.local == remote && $0.trafficClass == 0xb9 })
    }

    @Test func allAddressesOfBothFamiliesAreServed() throws {
        let server = try UDPSocketGroup(UDPOptions(port: 0)).transports[0]
        #expect(server.descriptors.count == 2)
        let port = try #require(server.localPort)
        for address in [Loopback.v4, Loopback.v6, Loopback.v4] {
            let client = try Loopback.group(address).transports[0]
            #expect(client.send([1, 2, 3], segmentSize: 3, to: Endpoint(address, port: port)) == 0)
            #expect(server.collect(1).first?.local == Endpoint(address, port: port))
        }
        // Runs of both families in one call.
        let v4 = try Loopback.group(), v6 = try Loopback.group(Loopback.v6)
        let bytes = pattern(2000)
        let lost = bytes.withUnsafeBytes { buffer in
            let runs = [Endpoint(Loopback.v4, port: v4.port), Endpoint(Loopback.v6, port: v6.port)].map {
                OutgoingRun(
                    start: buffer.baseAddress!, length: 2000, segmentSize: 1000, remote: $0, local: Loopback.anyV4,
                    trafficClass: 0)
            }
            return (runs + runs).withUnsafeBufferPointer { server.send($0) }
        }
        #expect(lost == 0)
        #expect(v4.transports[0].collect(4).flatMap(\.bytes) == bytes + bytes)
        #expect(v6.transports[0].collect(4).flatMap(\.bytes) == bytes + bytes)
    }

    @Test func emptyDatagramsAreCountedAndSkipped() throws {
        let receiver = try Loopback.group()
        let sender = try Loopback.group()
        let remote = Endpoint(Loopback.v4, port: receiver.port)
        sender.sender.send([], nonESPMarker: false, local: Loopback.anyV4, remote: remote)
        #expect(sender.transports[0].send([5], segmentSize: 1, to: remote) == 0)
        #expect(receiver.transports[0].collect(1).map(\.bytes) == [[5]])
        #expect(receiver.transports[0].unreadable == 1)
    }
}

extension UDPTransport {
    /// The port of the first socket.
    var localPort: UInt16? {
        var name = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        return withUnsafeMutableBytes(of: &name) { bytes in
            let start = bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            length = socklen_t(bytes.count)
            guard getsockname(descriptors[0], start, &length) == 0 else { return nil }
            return UInt16(bigEndian: bytes.load(fromByteOffset: 2, as: UInt16.self))
        }
    }
}
