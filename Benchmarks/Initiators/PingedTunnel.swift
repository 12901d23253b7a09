// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks

import AditCrypto
import AditIKE
import AditWire

/// One simulated gateway's Child SA, with as much of ESP as an echo takes.
final class PingedTunnel {
    let number: Int
    let inbound: UInt32
    let local: Endpoint
    let remote: Endpoint
    private let outbound: UInt32
    private let source: UInt32
    private let sealer: PacketSealer
    private let opener: PacketOpener
    private var sequence: UInt32 = 0

    init?(_ number: Int, _ child: ChildSAInstallation, source: UInt32) {
        guard let sealer = try? PacketSealer(suite: child.suite, key: child.outboundKey, ivSpace: 0),
            let opener = try? PacketOpener(suite: child.suite, key: child.inboundKey)
        else { return nil }
        self.number = number
        self.source = source
        self.sealer = sealer
        self.opener = opener
        inbound = child.inboundSPI.rawValue
        outbound = child.outboundSPI.rawValue
        local = child.local
        remote = child.remote
    }

    /// An ESP packet with an ICMP echo request to 10.88.0.1.
    func echoRequest() -> [UInt8]? {
        sequence += 1
        var inner: [UInt8] = [0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 1, 0, 0]
        inner += Self.octets(source) + [10, 88, 0, 1]
        Self.putChecksum(of: &inner, from: 0, at: 10)
        inner += [8, 0, 0, 0, 0, 1, 0, 1]
        Self.putChecksum(of: &inner, from: 20, at: 22)
        let text = inner + [1, 2, 2, 4]  // padding, its length, next header IPv4
        var packet = Self.octets(outbound) + Self.octets(sequence) + [UInt8](repeating: 0, count: 8) + text
        packet += [UInt8](repeating: 0, count: 16)
        let sealed = packet.withUnsafeMutableBytes { memory in
            guard let base = memory.baseAddress else { return false }
            return sealer.seal(base, prefixLength: 8, textLength: text.count, extended: nil)
        }
        return sealed ? packet : nil
    }

    /// Whether an ESP packet of this tunnel is authentic and holds an echo reply.
    func isEchoReply(_ bytes: [UInt8]) -> Bool {
        var packet = bytes
        let length = packet.count - 8 - 8 - 16
        guard length >= 32 else { return false }
        let opened = packet.withUnsafeMutableBytes { memory in
            guard let base = memory.baseAddress else { return false }
            return opener.open(base, prefixLength: 8, textLength: length, extended: nil)
        }
        return opened && packet[16 + 9] == 1 && packet[16 + 20] == 0
    }

    private static func octets(_ value: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    private static func putChecksum(of bytes: inout [UInt8], from start: Int, at place: Int) {
        var sum = stride(from: start, to: bytes.count, by: 2).reduce(UInt32(0)) {
            $0 + UInt32(bytes[$1]) << 8 + UInt32(bytes[$1 + 1])
        }
        while sum > 0xffff { sum = sum >> 16 + sum & 0xffff }
        bytes[place] = UInt8(truncatingIfNeeded: ~sum >> 8)
        bytes[place + 1] = UInt8(truncatingIfNeeded: ~sum)
    }
}
