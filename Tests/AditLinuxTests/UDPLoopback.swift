// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinuxTests

import AditLinux
import AditWire
import Glibc

/// Helpers of the UDP tests: loopback addresses, sending and collecting.
enum Loopback {
    static let v4 = IPAddress(v4: 0x7f00_0001)
    static let v6 = IPAddress(v6High: 0, low: 1)
    static let anyV4 = IPAddress(v4: 0)

    /// A group on one loopback address at a port of the kernel's choice.
    static func group(
        _ address: IPAddress = v4, _ change: (inout UDPOptions) -> Void = { _ in }
    ) throws -> UDPSocketGroup {
        var options = UDPOptions(port: 0)
        options.addresses = [address]
        change(&options)
        return try UDPSocketGroup(options)
    }
}

/// One datagram as a test sees it.
struct Datagram: Equatable {
    var bytes: [UInt8]
    var local: Endpoint
    var remote: Endpoint
    var trafficClass: UInt8
    /// How many datagrams its run had.
    var runCount: Int
}

extension UDPTransport {
    /// Receives until `count` datagrams came or half a second passed without any.
    func collect(_ count: Int, capacity: Int = 8) -> [Datagram] {
        let batch = DatagramBatch(capacity: capacity)
        var result: [Datagram] = []
        while result.count < count {
            guard case .done = receive(into: batch) else {
                var requests = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
                if poll(&requests, nfds_t(requests.count), 500) <= 0 { break }
                continue
            }
            for index in 0..<batch.count {
                let run = batch.runs[index]
                let bytes = [UInt8](UnsafeRawBufferPointer(start: batch.base + run.offset, count: run.length))
                let starts = Array(stride(from: 0, to: run.length, by: run.segmentSize))
                for start in starts {
                    result.append(
                        Datagram(
                            bytes: Array(bytes[start..<min(start + run.segmentSize, run.length)]), local: run.local,
                            remote: run.remote, trafficClass: run.trafficClass, runCount: starts.count))
                }
            }
        }
        return result
    }

    /// Sends `bytes` as datagrams of `segmentSize`; returns how many were lost.
    func send(
        _ bytes: [UInt8], segmentSize: Int, to remote: Endpoint, from local: IPAddress = Loopback.anyV4,
        trafficClass: UInt8 = 0
    ) -> Int {
        bytes.withUnsafeBytes { buffer in
            let run = OutgoingRun(
                start: buffer.baseAddress!, length: bytes.count, segmentSize: segmentSize, remote: remote, local: local,
                trafficClass: trafficClass)
            return withUnsafePointer(to: run) { send(UnsafeBufferPointer(start: $0, count: 1)) }
        }
    }
}

/// Bytes that tell their position.
func pattern(_ count: Int, seed: Int = 0) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: ($0 &+ seed) &* 2_654_435_761 >> 13) }
}
