// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Adit
internal import AditIKE
internal import AditWire

/// `adit status --json`: names and shapes are a promise, fields are only ever added.
struct StatusDocument {
    let status: GatewayStatus
    /// The configuration in force, for what a connection without an SA would use.
    let configuration: GatewayConfiguration
    /// When a connection last failed.
    let failureTime: (String) -> WallTime?

    /// The document.
    var json: JSONValue {
        .object([
            ("version", .string(Gateway.version)),
            ("uptime_seconds", seconds(status.uptime)),
            ("interface", .string(status.interface)),
            ("mtu", .integer(Int64(status.mtu))),
            ("workers", .integer(Int64(status.workers))),
            ("connections", .array(connections)),
            ("ike", totals),
            ("drops", .object(status.drops.map { ($0.reason, .count($0.count)) })),
        ])
    }

    private var connections: [JSONValue] {
        let configured = Dictionary(
            configuration.connections.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        return status.connections.map { connection($0, configured[$0.name]) }
    }

    private var totals: JSONValue {
        .object([
            ("sas", .integer(Int64(status.totals.ikeSAs))),
            ("half_open", .integer(Int64(status.totals.halfOpen))),
            ("child_sas", .integer(Int64(status.totals.childSAs))),
            ("ignored", .object(IKECounters.Reason.allCases.map { ($0.rawValue, .count(status.totals.ignored[$0])) })),
        ])
    }

    private func connection(_ connection: ConnectionStatus, _ configured: ConnectionConfiguration?) -> JSONValue {
        let sa = connection.ikeSA
        return .object([
            ("name", .string(connection.name)),
            ("state", .string(connection.state.rawValue)),
            ("ike_version", .integer(2)),
            ("role", .optional(sa?.role.rawValue)),
            ("local", localPeer(sa, configured)),
            ("remote", remotePeer(sa, configured)),
            (
                "nat",
                .object([
                    ("local", .boolean(sa?.localBehindNAT ?? false)),
                    ("remote", .boolean(sa?.remoteBehindNAT ?? false)),
                ])
            ),
            ("mobike", .boolean(sa?.mobike ?? false)),
            (
                "ike_spi",
                .object([
                    ("initiator", .optional(sa.map { hexadecimal($0.initiatorSPI, digits: 16) })),
                    ("responder", .optional(sa.map { hexadecimal($0.responderSPI, digits: 16) })),
                ])
            ),
            ("proposal", .optional(sa.flatMap { $0.proposal.isEmpty ? nil : $0.proposal })),
            ("established_seconds", connection.state == .established ? age(sa?.establishedAt) : .null),
            ("rekey_in_seconds", remaining(sa?.rekeyAt)),
            ("children", .array(connection.children.map(child))),
            ("last_failure", connection.lastFailure.map { failure($0, of: connection.name) } ?? .null),
        ])
    }

    private func localPeer(_ sa: IKESAStatus?, _ configured: ConnectionConfiguration?) -> JSONValue {
        let address = sa?.local.description ?? configured?.localAddresses.first.map(\.description)
        let identity = sa?.localID ?? configured?.localID
        return .object([("address", .optional(address)), ("id", .optional(identity?.description))])
    }

    private func remotePeer(_ sa: IKESAStatus?, _ configured: ConnectionConfiguration?) -> JSONValue {
        let planned = configured.flatMap { connection in
            if let name = connection.remoteNames.first, name.position == 0 {
                return "\(name.name):\(connection.remotePort)"
            }
            return connection.remoteAddresses.first.map { Endpoint($0, port: connection.remotePort).description }
        }
        let identity = sa?.remoteID ?? configured?.remoteID
        return .object([
            ("address", .optional(sa?.remote.description ?? planned)), ("id", .optional(identity?.description)),
        ])
    }

    private func child(_ child: ChildSAStatus) -> JSONValue {
        let traffic = status.traffic[child.inboundSPI] ?? GatewayStatus.SATraffic()
        return .object([
            ("name", .string(child.name)),
            ("state", .string(child.phase.rawValue)),
            ("mode", .string("tunnel")),
            ("encap", .string("udp")),
            ("spi_in", .string(child.inboundSPI.description)),
            ("spi_out", .string(child.outboundSPI.description)),
            ("proposal", .string(child.proposal)),
            ("esn", .boolean(child.esn)),
            ("replay_window", .integer(Int64(child.replayWindow))),
            ("local_ts", selectors(child.localSelectors)),
            ("remote_ts", selectors(child.remoteSelectors)),
            ("asked_local_ts", selectors(child.askedLocalSelectors)),
            ("asked_remote_ts", selectors(child.askedRemoteSelectors)),
            ("passed_local_ts", selectors(child.passedLocalSelectors)),
            ("passed_remote_ts", selectors(child.passedRemoteSelectors)),
            ("narrowed", .boolean(child.isNarrowed)),
            ("packets_in", .count(traffic.packetsIn)),
            ("bytes_in", .count(traffic.bytesIn)),
            ("packets_out", .count(traffic.packetsOut)),
            ("bytes_out", .count(traffic.bytesOut)),
            ("installed_seconds", age(child.installedAt)),
            ("rekey_in_seconds", remaining(child.rekeyAt)),
        ])
    }

    private func selectors(_ list: [TrafficSelector]) -> JSONValue {
        .array(list.map { .string($0.description) })
    }

    private func failure(_ failure: FailureReport, of connection: String) -> JSONValue {
        .object([
            ("code", .string(failure.code.rawValue)),
            ("stage", .string(failure.stage.rawValue)),
            ("message", .string(failure.message)),
            ("suggestion", .string(failure.suggestion)),
            ("at", .optional(failureTime(connection)?.description)),
        ])
    }

    private func age(_ time: Timestamp?) -> JSONValue { time.map { seconds(status.now - $0) } ?? .null }

    private func remaining(_ time: Timestamp?) -> JSONValue {
        time.map { .integer(($0 - status.now).components.seconds) } ?? .null
    }

    /// With one decimal.
    private func seconds(_ duration: Duration) -> JSONValue {
        .number((duration / Duration.milliseconds(100)).rounded(.down) / 10)
    }
}
