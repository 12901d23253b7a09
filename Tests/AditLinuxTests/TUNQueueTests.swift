// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinuxTests

import AditWire
import Glibc
import Synchronization
import Testing

@testable import AditLinux

@Suite(.serialized) struct TUNQueueTests {
    struct Shape: Sendable {
        var isV6: Bool
        var clientOffloads: TUNOffloads
        var serverOffloads: TUNOffloads
        var queues = 1
    }

    private static let payload = pattern(2 << 20)

    /// A kernel TCP stream through two TUN devices: super-packets in, the same super-packets out, every byte right.
    @Test(
        .enabled(if: Privilege.canUseNamespaces, "needs root, namespaces and /dev/net/tun"),
        arguments: [
            Shape(isV6: false, clientOffloads: .all, serverOffloads: .all),
            Shape(isV6: true, clientOffloads: .all, serverOffloads: .all),
            Shape(isV6: false, clientOffloads: .all, serverOffloads: .all, queues: 2),
            Shape(isV6: false, clientOffloads: [], serverOffloads: []),
            Shape(isV6: true, clientOffloads: [.checksum], serverOffloads: .all),
        ])
    func aTCPStreamPasses(_ shape: Shape) throws {
        let payload = Self.payload
        let prefix: @Sendable (Int) -> IPPrefix = { host in
            IPPrefix(shape.isV6 ? "fd99::\(host)/64" : "10.99.0.\(host)/24")!
        }
        let (server, listener) = try inNamespace {
            let device = try TUNRelay.device("s0", address: prefix(2), offloads: shape.serverOffloads)
            return (device, try TCP.listen(prefix(2).address, port: 5201))
        }
        let (client, stream) = try inNamespace {
            let device = try TUNRelay.device(
                "c0", address: prefix(1), offloads: shape.clientOffloads, queues: shape.queues)
            return (device, try TCP.open(prefix(1).address.family))
        }
        let relay = TUNRelay(client: client, server: server)
        let thread = try PinnedThread(name: "relay") { try? relay.run() }
        let received = Mutex([UInt8]())
        let reader = try PinnedThread(name: "reader") {
            let bytes = TCP.acceptAndRead(listener)
            received.withLock { $0 = bytes }
        }
        try TCP.connect(stream, to: Endpoint(prefix(2).address, port: 5201))
        TCP.write(stream, payload)
        close(stream)
        reader.join()
        relay.end()
        thread.join()
        close(listener)

        let isEqual = received.withLock { $0 == payload }
        #expect(isEqual)
        let counters = relay.counters.withLock { $0 }
        #expect(counters.failedWrites == 0)
        #expect(counters.implausible == 0)
        let kind = shape.isV6 ? PacketOffload.Segmentation.tcpV6 : .tcpV4
        if shape.clientOffloads == .all {
            #expect(counters.superPackets[kind, default: 0] > 10)
            #expect(counters.largest > 20_000)
        } else {
            #expect(counters.superPackets.isEmpty)
            #expect(counters.largest <= 1438)
        }
        #expect((counters.unfinishedChecksums > 0) == shape.clientOffloads.contains(.checksum))
    }

    @Test(.enabled(if: Privilege.canUseNamespaces, "needs root, namespaces and /dev/net/tun"))
    func anEmptyQueueWouldBlockAndOnesOwnLimitsAreKept() throws {
        let device = try inNamespace {
            try TUNRelay.device("q0", address: IPPrefix("10.9.0.1/24")!, offloads: .all)
        }
        let queue = device.queues[0]
        let batch = PacketBatch(capacity: 2)
        // IPv6 may have announced itself; afterwards there is nothing.
        var isEmpty = false
        for _ in 0..<100 where !isEmpty {
            if case .wouldBlock = queue.read(into: batch) { isEmpty = true }
        }
        #expect(isEmpty)
        #expect(batch.count == 0)
        let byte: [UInt8] = [0x45]
        byte.withUnsafeBytes { buffer in
            let piece = PacketPiece(start: buffer.baseAddress!, length: 0)
            for count in [0, TUNQueue.pieceLimit + 1] {
                let result = Array(repeating: piece, count: count).withUnsafeBufferPointer {
                    queue.write($0, offload: PacketOffload())
                }
                guard case .failed(EMSGSIZE) = result else {
                    Issue.record("\(count) pieces: \(result)")
                    return
                }
            }
        }
        // A lying header is the kernel's to refuse, and an errno for us.
        var offload = PacketOffload()
        offload.segmentation = .tcpV4
        offload.segmentSize = 0
        offload.needsChecksum = true
        offload.checksumStart = 60_000
        let packet = [UInt8](repeating: 0x45, count: 100)
        packet.withUnsafeBytes { buffer in
            let piece = PacketPiece(start: buffer.baseAddress!, length: 100)
            let result = [piece].withUnsafeBufferPointer { queue.write($0, offload: offload) }
            guard case .failed(EINVAL) = result else {
                Issue.record("\(result)")
                return
            }
        }
    }
}

/// Blocking kernel TCP for the tests.
enum TCP {
    static func open(_ family: IPAddress.Family) throws -> CInt {
        let stream = socket(family.socketFamily, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard stream >= 0 else { throw SystemError("socket", code: errno) }
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(stream, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        return stream
    }

    static func listen(_ address: IPAddress, port: UInt16) throws -> CInt {
        let stream = try open(address.family)
        try withName(Endpoint(address, port: port)) { bind(stream, $0, $1) }
        guard Glibc.listen(stream, 1) == 0 else { throw SystemError("listen", code: errno) }
        return stream
    }

    static func connect(_ stream: CInt, to remote: Endpoint) throws {
        try withName(remote) { Glibc.connect(stream, $0, $1) }
    }

    static func acceptAndRead(_ listener: CInt) -> [UInt8] {
        let stream = accept(listener, nil, nil)
        guard stream >= 0 else { return [] }
        defer { close(stream) }
        var result: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let length = read(stream, &buffer, buffer.count)
            guard length > 0 else { return result }
            result += buffer[..<length]
        }
    }

    static func write(_ stream: CInt, _ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let length = bytes.withUnsafeBytes {
                send(stream, $0.baseAddress! + sent, bytes.count - sent, CInt(MSG_NOSIGNAL))
            }
            guard length > 0 else { return }
            sent += length
        }
    }

    private static func withName(_ endpoint: Endpoint, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt) throws {
        var name = sockaddr_storage()
        let code = withUnsafeMutableBytes(of: &name) { bytes in
            let length = SocketAddress.encode(endpoint, to: bytes.baseAddress!)
            return body(UnsafePointer(bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)), length)
        }
        guard code == 0 else { throw SystemError("\(endpoint)", code: errno) }
    }
}
