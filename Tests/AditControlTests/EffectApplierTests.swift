// SPDX-License-Identifier: Apache-2.0
// Adit: AditControlTests

import AditCrypto
import AditESP
import AditLinux
import AditWire
import Dispatch
import Glibc
import Synchronization
import Testing

@testable import AditControl
@testable import AditIKE

@Suite struct EffectApplierTests {
    private final class Log: Sendable {
        let reports = Mutex<[String]>([])
        let warnings = Mutex<[String]>([])
    }

    private func applier(
        _ log: Log, ports: [UInt16] = [5501, 5502],
        lookup: @escaping @Sendable (String) -> HostLookup = NameResolver.systemLookup
    ) throws -> EffectApplier {
        let own = IPAddress(v4: 127 << 24 | (UInt32(getpid()) & 0x3fff) << 8 | 77)
        let sockets = try ports.map { port in
            var options = UDPOptions(port: port)
            options.addresses = [own]
            return try IKESocket(options)
        }
        let table = SATable(workers: 1)
        let parts = ControlParts(
            endpoint: IKEEndpoint(
                connections: [], entropy: EntropySource { [UInt8](repeating: 1, count: $0) }, limits: IKELimits(),
                wallClock: WallClock { 0 }),
            connections: [], table: table, mailbox: try Mailbox(producers: 1), ikeSocket: sockets[0],
            natSocket: sockets[1], listened: [], link: nil, addresses: [], fixedMTU: 1400, installRoutes: false,
            innerMTU: { _, _, path in path }, mtuChanged: { _ in }, childInstalled: {},
            report: { report in
                if case .childInstalled(_, let child, _, _) = report { log.reports.withLock { $0.append(child) } }
            },
            warn: { text in log.warnings.withLock { $0.append(text) } }, lookup: lookup)
        return try EffectApplier(parts, policies: ChildDirectory(table: table, warn: { _ in }))
    }

    /// The effects of a child that comes up.
    private func installation(_ name: String, inbound: UInt32) -> [IKEEffect] {
        let selectors = [TrafficSelector("10.1.0.0/16")].compactMap { $0 }
        let child = ChildConfiguration(name: name, localSelectors: selectors, remoteSelectors: selectors)
        let key = SecretBytes([UInt8](repeating: 7, count: 20))
        let spi = SPI(rawValue: inbound)
        let peer = Endpoint(IPAddress(v4: 0xc000_0202), port: 4500)
        let status = ChildSAStatus(
            name: name, inboundSPI: spi, outboundSPI: SPI(rawValue: 0x1234_5678), proposal: "aes128gcm16", esn: true,
            replayWindow: 64, localSelectors: selectors, remoteSelectors: selectors,
            installedAt: Timestamp(nanoseconds: 0), rekeyAt: nil)
        return [
            .installChild(
                ChildSAInstallation(
                    connection: "hq", child: name, inboundSPI: spi, outboundSPI: SPI(rawValue: 0x1234_5678),
                    suite: .aesGCM16(.bits128), esn: true, inboundKey: key, outboundKey: key,
                    localSelectors: selectors, remoteSelectors: selectors, local: peer, remote: peer, replaces: nil,
                    outboundActive: true, configuration: child)),
            .report(.childInstalled(connection: "hq", child: name, status, replaces: nil)),
        ]
    }

    @Test func aChildThatCannotBeInstalledIsAFailureAndNoSuccess() throws {
        let log = Log()
        let applier = try applier(log)
        // SPIs up to 255 are reserved (RFC 4303 §2.1): the table refuses them.
        applier.apply(installation("bad", inbound: 5) + installation("good", inbound: 0x1000_0001))
        let failures = applier.takeFailures()
        #expect(failures.map(\.spi) == [SPI(rawValue: 5)] && failures.first?.reason.isEmpty == false)
        #expect(log.reports.withLock { $0 } == ["good"])
        #expect(log.warnings.withLock { $0.count } == 1)
        #expect(applier.takeFailures().isEmpty, "each is told once")
        #expect(applier.hasChildren)
        applier.finish()
    }

    @Test("a name that is asked for again before the first answer came: both answers are taken, then nothing is left")
    func answersThatNobodyWaitsFor() throws {
        let gate = DispatchSemaphore(value: 0)
        let applier = try applier(Log(), ports: [5503, 5504]) { name in
            if name == "slow.example" { gate.wait() }
            return HostLookup(name: name, addresses: [], failure: "none")
        }
        for name in ["quick.example", "slow.example"] {
            applier.apply([.resolve(connection: "hq", names: [name], token: 7)])
        }
        #expect(isReadable(applier, within: 5000))
        var answers = applier.takeAnswers().count
        #expect(answers == 1)
        gate.signal()
        for _ in 0..<100 where answers < 2 {
            _ = isReadable(applier, within: 50)
            answers += applier.takeAnswers().count
        }
        #expect(answers == 2)
        // The answer may have been taken just before it was announced.
        usleep(50_000)
        _ = applier.takeAnswers()
        #expect(!isReadable(applier, within: 0), "the control thread would never sleep again")
        applier.finish()
    }

    private func isReadable(_ applier: EffectApplier, within milliseconds: CInt) -> Bool {
        var entry = pollfd(fd: applier.resolverDescriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, milliseconds) == 1
    }
}
