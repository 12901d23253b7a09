// SPDX-License-Identifier: Apache-2.0
// Adit: Simulation

import AditIKE
import AditWire

/// The addresses of a gateway, and its routes: everything is reached from the first of them.
final class SimulatedHost: @unchecked Sendable {
    // Used by one thread at a time: that of the simulation.
    var addresses: [IPAddress]

    init(_ address: IPAddress) { addresses = [address] }

    @Sendable func route(_ remote: IPAddress) -> IPAddress? { addresses.first { $0.family == remote.family } }
}

/// One gateway of a simulation: the IKE machine and a data plane, as a control thread would drive them.
package final class SimulatedGateway {
    package let name: String
    package let index: Int
    package internal(set) var endpoint: IKEEndpoint
    package internal(set) var dataPlane: DataPlane
    package internal(set) var configurations: [ConnectionConfiguration]
    /// Where it is.
    let host: SimulatedHost
    package internal(set) var isAlive = true
    /// Every report since the start.
    package internal(set) var reports: [IKEReport] = []
    /// How often it was started.
    var incarnation: UInt64 = 0
    /// No unknown SPI is told before this, as a worker does it.
    var unknownSPIQuietUntil = Timestamp(nanoseconds: 0)
    /// The first packet on an SA is told at once.
    var heardOn: Set<SPI> = []
    /// No acquire of a child is told before this, as a worker does it.
    var acquireQuietUntil: [String: Timestamp] = [:]

    init(
        index: Int, host: SimulatedHost, endpoint: IKEEndpoint, configurations: [ConnectionConfiguration]
    ) {
        name = String(UnicodeScalar(UInt8(65 + index)))
        self.index = index
        self.host = host
        self.endpoint = endpoint
        self.configurations = configurations
        dataPlane = DataPlane(configurations)
    }

    /// Every failure that it reported.
    package var failures: [FailureReport] {
        reports.compactMap { if case .failed(let report) = $0 { report } else { nil } }
    }

    /// The status of a connection.
    package func status(_ connection: String = Sites.connection) -> ConnectionStatus? {
        endpoint.status().first { $0.name == connection }
    }

    /// Whether the connection has an IKE SA.
    package func isEstablished(_ connection: String = Sites.connection) -> Bool {
        status(connection)?.state == .established
    }

    /// The pairs of SAs of a child, the oldest first as the machine lists them.
    package func children(_ child: String = Sites.child(0)) -> [ChildSAStatus] {
        endpoint.status().flatMap(\.children).filter { $0.name == child }
    }
}

extension IKEReport {
    /// A few words for a trace.
    package var summary: String {
        if case .connecting(_, let remote, let role) = self { return "connecting to \(remote) as \(role)" }
        if case .childInstalled(_, let child, let status, let replaces) = self {
            return "\(child) is up, in \(status.inboundSPI) out \(status.outboundSPI)"
                + (replaces.map { ", replaces \($0)" } ?? "")
        }
        if case .childRemoved(_, let child, let spi) = self { return "\(child) is gone, in \(spi)" }
        if case .closed(_, let reason) = self { return "closed: \(reason)" }
        if case .failed(let report) = self {
            return "failed: \(report.code.rawValue) in \(report.stage.rawValue): \(report.message)"
        }
        return String("\(self)".prefix { $0 != "(" })
    }
}
