// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinuxTests

import AditWire
import Glibc
import Testing

@testable import AditLinux

@Suite struct UDPSocketGroupTests {
    @Test(arguments: [1, 2, 3, 7])
    func datagramsReachTheWorkerThatTheSPINames(_ workers: Int) throws {
        let group = try Loopback.group { $0.workers = workers }
        #expect(group.transports.count == workers)
        let remote = Endpoint(Loopback.v4, port: group.port)
        var expected = [Int](repeating: 0, count: workers)
        // Many source ports: without the program the kernel would spread them by a hash of the ports.
        for client in 0..<8 {
            let sender = try Loopback.group().transports[0]
            for index in 0..<20 {
                let spi = UInt32(0xc000_0000) &+ UInt32(client * 1000 + index * 13)
                let bytes = (0..<4).map { UInt8(truncatingIfNeeded: spi >> (24 - 8 * UInt32($0))) } + [9, 9, 9]
                #expect(sender.send(bytes, segmentSize: bytes.count, to: remote) == 0)
                expected[Int((spi & 0xff) % UInt32(workers))] += 1
            }
            // The non-ESP marker, a keepalive, and less than a word: worker 0.
            for bytes: [UInt8] in [[0, 0, 0, 0, 1, 2], [0xff], [1, 2, 3]] {
                #expect(sender.send(bytes, segmentSize: bytes.count, to: remote) == 0)
                expected[0] += 1
            }
        }
        for worker in 0..<workers {
            let received = group.transports[worker].collect(expected[worker] + 1)
            #expect(received.count == expected[worker], "worker \(worker)")
            let astray = received.filter { datagram in
                let isESP = datagram.bytes.count >= 4 && datagram.bytes[0] != 0
                let spi = datagram.bytes.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                return isESP ? (spi & 0xff) % UInt32(workers) != UInt32(worker) : worker != 0
            }
            #expect(astray.isEmpty)
        }
        #expect(group.sender.receive() == nil)
    }

    @Test func aPortInUseIsNamedWithTheRemedy() throws {
        let first = try Loopback.group()
        let error = #expect(throws: SystemError.self) { try Loopback.group { $0.port = first.port } }
        #expect(error?.code == EADDRINUSE)
        #expect(error?.description.contains("127.0.0.1:\(first.port)") == true)
        #expect(error?.description.contains("another program") == true)
        let single = #expect(throws: SystemError.self) {
            var options = UDPOptions(port: first.port)
            options.addresses = [Loopback.v4]
            return try IKESocket(options)
        }
        #expect(single?.code == EADDRINUSE)
    }

    @Test func anAddressThatIsNotOursIsNamed() {
        let error = #expect(throws: SystemError.self) { try Loopback.group(IPAddress(v4: 0x0808_0808)) }
        #expect(error?.code == EADDRNOTAVAIL)
        #expect(error?.description.contains("8.8.8.8") == true)
        #expect(throws: SystemError.self) { try Loopback.group { $0.workers = 0 } }
        #expect(throws: SystemError.self) { try Loopback.group { $0.workers = UDPOptions.workerLimit + 1 } }
        #expect(throws: SystemError.self) {
            try Loopback.group { $0.addresses = Array(repeating: Loopback.v4, count: UDPOptions.addressLimit + 1) }
        }
    }

    @Test(.enabled(if: geteuid() == 0, "SO_MARK and buffers beyond the maximum need root"))
    func markAndBuffersAreSetAndBounded() throws {
        let group = try Loopback.group {
            $0.mark = 0xfeed
            $0.bufferSize = 1 << 30
        }
        let value = { (option: CInt) -> CInt in
            var value: CInt = 0
            var size = socklen_t(MemoryLayout<CInt>.size)
            getsockopt(group.transports[0].descriptors[0], SOL_SOCKET, option, &value, &size)
            return value
        }
        #expect(value(SO_MARK) == 0xfeed)
        // The kernel doubles what it is asked for.
        #expect(value(SO_RCVBUF) == 8 << 20)
        #expect(value(SO_SNDBUF) == 2 << 20)
    }

    @Test func severalAddressesEachSendFromTheirOwn() throws {
        let second = IPAddress(v4: 0x7f00_0002)
        let group = try Loopback.group { $0.addresses = [Loopback.v4, second] }
        let peer = try Loopback.group()
        for address in [Loopback.v4, second] {
            let remote = Endpoint(Loopback.v4, port: peer.port)
            #expect(group.transports[0].send([1], segmentSize: 1, to: remote, from: address) == 0)
            #expect(peer.transports[0].collect(1).first?.remote == Endpoint(address, port: group.port))
            group.sender.send([2], nonESPMarker: false, local: address, remote: remote)
            #expect(peer.transports[0].collect(1).first?.remote == Endpoint(address, port: group.port))
        }
    }

    @Test(arguments: [1, 1000, 60_000])
    func ikeDatagramsGoBothWays(_ size: Int) throws {
        var options = UDPOptions(port: 0)
        options.addresses = [Loopback.v4]
        let first = try IKESocket(options), second = try IKESocket(options)
        #expect(second.receive() == nil)
        let remote = Endpoint(Loopback.v4, port: second.port)
        first.send(pattern(size), nonESPMarker: false, local: Loopback.v4, remote: remote)
        let received = try #require(second.receive())
        #expect(received.bytes == pattern(size))
        #expect(received.local == remote)
        #expect(received.remote == Endpoint(Loopback.v4, port: first.port))
        guard
            case .failed(EMSGSIZE) = first.send(
                pattern(65_535), nonESPMarker: true, local: Loopback.v4, remote: remote)
        else {
            Issue.record("a datagram larger than UDP allows was sent")
            return
        }
    }

    /// Sending from the control thread while a worker sends on the same port.
    @Test func theSenderIsThreadSafe() throws {
        let group = try Loopback.group()
        let peer = try Loopback.group()
        let remote = Endpoint(Loopback.v4, port: peer.port)
        let thread = try PinnedThread(name: "sender") {
            for _ in 0..<200 { group.sender.send([1, 2], nonESPMarker: true, local: Loopback.v4, remote: remote) }
        }
        let other = try PinnedThread(name: "sender2") {
            for _ in 0..<200 { group.sender.send([3], nonESPMarker: false, local: Loopback.v4, remote: remote) }
        }
        thread.join()
        other.join()
        let received = peer.transports[0].collect(400).map(\.bytes)
        #expect(received.filter { $0 == [0, 0, 0, 0, 1, 2] }.count == 200)
        #expect(received.filter { $0 == [3] }.count == 200)
    }
}
