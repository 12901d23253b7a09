// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

import AditCrypto
import AditESP
import AditLinux
import AditWire
import Glibc
import Synchronization
import Testing

@testable import AditForwarding

/// Two gateways with static keys, real TUN devices in two namespaces, real UDP sockets on loopback.
@Suite(.serialized) struct TunnelTests {
    /// One side; made on a thread of the namespace that its device is to be in.
    private final class Side: Sendable {
        let device: TUNDevice
        let sockets: UDPSocketGroup
        let table: SATable
        let mailbox: Mailbox

        init(address: String, sockets: UDPSocketGroup, workers: Int, offloads: TUNOffloads) throws {
            self.sockets = sockets
            device = try TUNDevice(.init(name: "fwd%d", queues: workers, offloads: offloads))
            table = SATable(workers: workers)
            mailbox = try Mailbox(producers: workers)
            let netlink = try Netlink()
            for text in [address + "/24", address.replacing("10.9.0.", with: "2001:db8:9::") + "/64"] {
                guard let prefix = IPPrefix(text) else { continue }
                try netlink.addAddress(prefix, link: device.index)
            }
            try netlink.setMTU(1438, link: device.index)
            try netlink.setUp(true, link: device.index)
        }

        func start() throws -> Forwarder<TUNQueue, UDPTransport> {
            try Forwarder(
                devices: device.queues, transports: sockets.transports, table: table, mailbox: mailbox, mtu: 1438)
        }
    }

    private static func parameters(isA: Bool, portA: UInt16, portB: UInt16) -> ChildSAParameters {
        var parameters = TestSA.parameters(isA: isA)
        let loopback = IPAddress(v4: 0x7f00_0001)
        parameters.local = Endpoint(loopback, port: isA ? portA : portB)
        parameters.remote = Endpoint(loopback, port: isA ? portB : portA)
        parameters.localSelectors = IPPrefix("0.0.0.0/0").map { [TrafficSelector($0)] } ?? []
        parameters.localSelectors += IPPrefix("::/0").map { [TrafficSelector($0)] } ?? []
        parameters.remoteSelectors = parameters.localSelectors
        return parameters
    }

    private static func sockets(workers: Int) throws -> UDPSocketGroup {
        var options = UDPOptions(port: 0)
        options.addresses = [IPAddress(v4: 0x7f00_0001)]
        options.workers = workers
        return try UDPSocketGroup(options)
    }

    /// 40 MB of TCP from A to B and back as a sum, over IPv4 or IPv6.
    @Test(
        .enabled(if: Privilege.canUseNamespaces, Privilege.reason), .timeLimit(.minutes(1)),
        arguments: [(1, true, "10.9.0.2"), (1, false, "10.9.0.2"), (2, true, "10.9.0.2"), (1, true, "2001:db8:9::2")])
    func aTCPStreamArrivesUnchanged(_ workers: Int, _ hasOffloads: Bool, _ target: String) throws {
        let offloads: TUNOffloads = hasOffloads ? .all : []
        let socketsA = try Self.sockets(workers: workers)
        let socketsB = try Self.sockets(workers: workers)
        let done = Atomic(false)
        let isListening = Atomic(false)
        let length = 40_000_000
        let server = try running {
            let side = try Side(address: "10.9.0.2", sockets: socketsB, workers: workers, offloads: offloads)
            try side.table.install(Self.parameters(isA: false, portA: socketsA.port, portB: socketsB.port))
            let forwarder = try side.start()
            defer { forwarder.stop() }
            let sum = try TCPStream.receive(length, at: target, isListening: isListening)
            while !done.load(ordering: .acquiring) { usleep(1000) }
            return (sum, forwarder.countersByWorker)
        }
        let client = try running {
            let side = try Side(address: "10.9.0.1", sockets: socketsA, workers: workers, offloads: offloads)
            try side.table.install(Self.parameters(isA: true, portA: socketsA.port, portB: socketsB.port))
            let forwarder = try side.start()
            defer {
                done.store(true, ordering: .releasing)
                forwarder.stop()
            }
            while !isListening.load(ordering: .acquiring) { usleep(1000) }
            return (try TCPStream.send(length, to: target), forwarder.countersByWorker)
        }
        let (sent, workersA) = try client.value()
        let (received, workersB) = try server.value()
        let countersA = workersA.reduce(ForwardingCounters(), +)
        let countersB = workersB.reduce(ForwardingCounters(), +)
        #expect(sent == received)
        #expect(countersA.bytesOut >= UInt64(length))
        #expect(countersB.bytesIn >= UInt64(length))
        for counters in [countersA, countersB] {
            for reason in [DropReason.badICV, .replayed, .tooOld, .malformed, .badOffload, .wrongWorker] {
                #expect(counters.drops[reason] == nil)
            }
        }
        // One worker opens all of a tunnel's packets; with two, the other one seals what is sent the other way.
        for side in [workersA, workersB] where workers == 2 {
            #expect(side[0].packetsIn > 0 && side[1].packetsIn == 0)
            #expect(side[1].packetsOut > 10 * side[0].packetsOut)
        }
        if hasOffloads {
            #expect(countersA.runsSent * 5 < countersA.packetsOut, "runs of many packets")
            #expect(countersB.deviceWrites * 3 < countersB.packetsIn, "super-packets")
        }
    }
}

/// A stream of pseudo-random bytes with a checksum, on blocking kernel sockets of the calling thread's namespace.
private enum TCPStream {
    private static let port: UInt16 = 5999
    private static let chunk = 65_536

    static func receive(_ length: Int, at address: String, isListening: borrowing Atomic<Bool>) throws -> UInt64 {
        let listener = try socket(address)
        defer { close(listener) }
        var one: CInt = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        // An IPv6 address is tentative for a moment.
        var bound: CInt = -1
        for _ in 0..<3000 where bound != 0 {
            bound = withAddress(address) { Glibc.bind(listener, $0, $1) }
            if bound != 0 { usleep(1000) }
        }
        guard bound == 0, listen(listener, 1) == 0 else { throw SystemError("listen", code: errno) }
        isListening.store(true, ordering: .releasing)
        let stream = accept(listener, nil, nil)
        guard stream >= 0 else { throw SystemError("accept", code: errno) }
        defer { close(stream) }
        var sum: UInt64 = 0
        var total = 0
        var buffer = [UInt8](repeating: 0, count: chunk)
        while total < length {
            let count = recv(stream, &buffer, chunk, 0)
            guard count > 0 else { throw SystemError("recv", code: errno) }
            for index in 0..<count { sum = sum &* 31 &+ UInt64(buffer[index]) }
            total += count
        }
        return sum
    }

    static func send(_ length: Int, to address: String) throws -> UInt64 {
        let stream = try socket(address)
        defer { close(stream) }
        var connected: CInt = -1
        for _ in 0..<3000 where connected != 0 {
            connected = withAddress(address) { connect(stream, $0, $1) }
            if connected != 0 { usleep(1000) }
        }
        guard connected == 0 else { throw SystemError("connect", code: errno) }
        var generator = SeededGenerator(seed: 99)
        var sum: UInt64 = 0
        var sent = 0
        while sent < length {
            let count = min(chunk, length - sent)
            var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: generator.next()), count: count)
            for index in stride(from: 0, to: count, by: 97) {
                bytes[index] = UInt8(truncatingIfNeeded: generator.next())
            }
            for byte in bytes { sum = sum &* 31 &+ UInt64(byte) }
            var offset = 0
            while offset < count {
                let written = bytes.withUnsafeBytes { Glibc.send(stream, $0.baseAddress! + offset, count - offset, 0) }
                guard written > 0 else { throw SystemError("send", code: errno) }
                offset += written
            }
            sent += count
        }
        // Until the other side has taken everything.
        shutdown(stream, CInt(SHUT_WR))
        var byte: UInt8 = 0
        _ = recv(stream, &byte, 1, 0)
        return sum
    }

    private static func socket(_ address: String) throws -> CInt {
        let family = address.contains(":") ? AF_INET6 : AF_INET
        let descriptor = Glibc.socket(family, CInt(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw SystemError("socket", code: errno) }
        return descriptor
    }

    private static func withAddress(
        _ text: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
    ) -> CInt {
        if text.contains(":") {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            inet_pton(AF_INET6, text, &address.sin6_addr)
            return withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        inet_pton(AF_INET, text, &address.sin_addr)
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
