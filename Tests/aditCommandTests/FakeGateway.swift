// SPDX-License-Identifier: Apache-2.0
// Adit: aditCommandTests

import AditWire
import Foundation
import Logging
import Synchronization
import Testing

@testable import Adit
@testable import AditIKE
@testable import adit

/// A gateway whose status is set and whose answers to commands are scripted.
final class FakeGateway: ControlledGateway {
    struct State {
        var connections: [ConnectionStatus] = []
        var totals = IKETotals()
        var traffic: [SPI: GatewayStatus.SATraffic] = [:]
        var drops: [(reason: String, count: UInt64)] = [("replayed", 0), ("bad_icv", 0), ("unknown_spi", 0)]
        var failures: [String: FailureReport] = [:]
        var commands: [IKECommand] = []
    }

    let state = Mutex(State())
    let hub = EventHub()
    /// Called after a command was noted; what it returns is published.
    let react: @Sendable (IKECommand, FakeGateway) -> [IKEReport]

    init(react: @escaping @Sendable (IKECommand, FakeGateway) -> [IKEReport] = { _, _ in [] }) { self.react = react }

    func status() -> GatewayStatus {
        state.withLock { state in
            GatewayStatus(
                uptime: .milliseconds(12_345), interface: "adit0", mtu: 1438, workers: 2,
                now: Timestamp(nanoseconds: 20_000_000_000), connections: state.connections,
                totals: state.totals, traffic: state.traffic, drops: state.drops)
        }
    }

    func perform(_ command: IKECommand) -> Bool {
        state.withLock { $0.commands.append(command) }
        for report in react(command, self) { hub.publish(.ike(report)) }
        return true
    }

    func lastFailure(of connection: String?) -> FailureReport? { state.withLock { $0.failures[connection ?? ""] } }
}

extension Endpoint {
    /// `a.b.c.d:port` in a test.
    static func at(_ address: String, _ port: UInt16) -> Endpoint {
        Endpoint(IPAddress(address) ?? IPAddress(v4: 0), port: port)
    }
}

/// The status of design's sample.
func sampleStatus(_ name: String = "hq", state: ConnectionStatus.State = .established) -> ConnectionStatus {
    let second: UInt64 = 1_000_000_000
    let child = ChildSAStatus(
        name: name, inboundSPI: SPI(rawValue: 0xc1a2_b3c4), outboundSPI: SPI(rawValue: 0xd0d0_d0d0),
        proposal: "aes128gcm16",
        esn: true, replayWindow: 4096, localSelectors: ["10.1.0.0/16"].compactMap { TrafficSelector($0) },
        remoteSelectors: ["10.2.0.0/16"].compactMap { TrafficSelector($0) },
        installedAt: Timestamp(nanoseconds: 9 * second),
        rekeyAt: Timestamp(nanoseconds: 3320 * second))
    let sa = IKESAStatus(
        role: .initiator, local: .at("192.0.2.1", 4500), remote: .at("203.0.113.7", 4500),
        localID: .fqdn("paris.example.com"), remoteID: .fqdn("hq.example.com"), localBehindNAT: false,
        remoteBehindNAT: true,
        initiatorSPI: 0x0011_2233_4455_6677, responderSPI: 0xf, proposal: "aes256gcm16-prfsha384-x25519",
        establishedAt: Timestamp(nanoseconds: 9 * second), rekeyAt: Timestamp(nanoseconds: 14_020 * second))
    let isUp = state == .established
    return ConnectionStatus(
        name: name, state: state, ikeSA: isUp ? sa : nil, ikeSAs: isUp ? [sa] : [], children: isUp ? [child] : [],
        lastFailure: nil)
}

/// A failure with a difference.
func sampleFailure(_ connection: String? = "hq") -> FailureReport {
    FailureReport(
        connection: connection, code: .noProposalChosen, stage: .ikeSAInit,
        message: "the peer accepts none of our suites",
        suggestion: "add modp2048 to proposals", remote: "203.0.113.7:500",
        comparison: [
            .init(subject: "encryption", ours: ["aes128gcm16"], theirs: ["aes128gcm16", "aes256"], mismatch: false),
            .init(subject: "key exchange", ours: ["x25519"], theirs: ["modp2048"], mismatch: true),
        ])
}

/// A checked configuration with connections of the given names.
func sampleConfiguration(_ names: [String] = ["hq"]) -> GatewayConfiguration {
    let text = names.map { name in
        """
        [connections.\(name)]
        remote_addrs = "203.0.113.7"
        local_id = "paris.example.com"
        psk = "0123456789abcdefghijkl"
        local_ts = "10.1.0.0/16"
        remote_ts = "10.2.0.0/16"

        """
    }
    return ConfigurationFile.parse(Array(text.joined().utf8), file: "t.toml").gateway ?? GatewayConfiguration()
}

/// A logger that says nothing.
func silentLogger() -> Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

/// Notes a failure where a test cannot go on.
func failed(_ what: String, at location: SourceLocation = #_sourceLocation) {
    Issue.record(Comment(rawValue: what), sourceLocation: location)
}
