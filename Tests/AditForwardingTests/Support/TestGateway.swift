// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

import AditCrypto
import AditESP
import AditLinux
import AditWire
import Glibc

@testable import AditForwarding

/// One gateway's data plane with static keys over memory.
final class TestGateway {
    let device: MemoryDevice
    let transport: MemoryTransport
    let table = SATable(workers: 1)
    let mailbox: Mailbox
    var forwarder: Forwarder<MemoryDevice, MemoryTransport>?

    init(device: MemoryDevice? = nil, transport: MemoryTransport) throws {
        self.device = try device ?? MemoryDevice()
        self.transport = transport
        mailbox = try Mailbox(producers: 1)
    }

    deinit { forwarder?.stop() }

    func start(mtu: Int = 1438) throws {
        forwarder = try Forwarder(
            devices: [device], transports: [transport], table: table, mailbox: mailbox, mtu: mtu)
    }

    var counters: ForwardingCounters { forwarder?.counters ?? ForwardingCounters() }

    /// Waits until `condition` holds, for at most half a minute.
    static func eventually(_ condition: () -> Bool) -> Bool {
        for _ in 0..<30_000 {
            if condition() { return true }
            usleep(1000)
        }
        return condition()
    }
}

/// SAs between gateway A (10.1.0.0/24, 2001:db8::1) and B (10.1.0.2, 2001:db8::2) with keys made of the SPI.
enum TestSA {
    static let spiA = SPI(rawValue: 0x1000)
    static let spiB = SPI(rawValue: 0x2000)
    static let endpointA = Endpoint(IPAddress(v4: 0xc000_0201), port: 4500)
    static let endpointB = Endpoint(IPAddress(v4: 0xc000_0202), port: 4500)

    static func key(_ suite: CipherSuite, _ spi: SPI) -> SecretBytes {
        let count = suite.encryptionKeyLength + suite.integrityKeyLength
        return SecretBytes((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ Int(spi.rawValue >> 12)) })
    }

    private static func selectors(_ last: UInt8) -> [TrafficSelector] {
        let v4 = IPAddress(v4: 0x0a01_0000 | UInt32(last))
        let v6 = IPAddress(v6High: 0x2001_0db8_0000_0000, low: UInt64(last))
        return [TrafficSelector(first: v4, last: v4), TrafficSelector(first: v6, last: v6)].compactMap { $0 }
    }

    static func parameters(isA: Bool, suite: CipherSuite = .aesGCM16(.bits128)) -> ChildSAParameters {
        let (inbound, outbound) = isA ? (spiA, spiB) : (spiB, spiA)
        return ChildSAParameters(
            connection: "test", child: "test", inboundSPI: inbound, outboundSPI: outbound, suite: suite,
            inboundKey: key(suite, inbound), outboundKey: key(suite, outbound), esn: true,
            localSelectors: selectors(isA ? 1 : 2), remoteSelectors: selectors(isA ? 2 : 1),
            local: isA ? endpointA : endpointB, remote: isA ? endpointB : endpointA)
    }

    static func policy(isA: Bool) -> ChildPolicy {
        ChildPolicy(
            id: PolicyID(rawValue: 7), localSelectors: selectors(isA ? 1 : 2), remoteSelectors: selectors(isA ? 2 : 1),
            order: 0, action: .acquire)
    }
}
