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
    /// When a failure happened.
    let failureTime: (FailureReport) -> WallTime?

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
            ("nat", translation(sa)), ("nat_faked", .boolean(sa?.remoteFakesNAT ?? false)),
            ("mobike", .boolean(sa?.mobike ?? false)),
            ("ike_spi", spis(sa?.initiatorSPI, sa?.responderSPI)),
            ("proposal", .optional(sa.flatMap { $0.proposal.isEmpty ? nil : $0.proposal })),
            ("established_seconds", connection.state == .established ? age(sa?.establishedAt) : .null),
            ("rekey_in_seconds", remaining(sa?.rekeyAt)),
            ("children", .array(connection.children.map(child))),
            (
                "last_failure",
                connection.lastFailure.map { FailureDocument.json($0, at: failureTime($0)) } ?? .null
            ),
            ("original_role", .optional(sa?.originalRole.rawValue)),
            ("ike_sas", .array(connection.ikeSAs.map(ikeSA))),
        ])
    }

    /// One of a connection's IKE SAs: a connection may have several peers.
    private func ikeSA(_ sa: IKESAStatus) -> JSONValue {
        .object([
            ("role", .string(sa.role.rawValue)),
            ("local", localPeer(sa, nil)),
            ("remote", remotePeer(sa, nil)),
            ("nat", translation(sa)), ("nat_faked", .boolean(sa.remoteFakesNAT)),
            ("mobike", .boolean(sa.mobike)),
            ("ike_spi", spis(sa.initiatorSPI, sa.responderSPI)),
            ("proposal", .string(sa.proposal)),
            ("established_seconds", age(sa.establishedAt)),
            ("rekey_in_seconds", remaining(sa.rekeyAt)),
            ("leaving", .boolean(sa.isLeaving)),
            ("original_role", .string(sa.originalRole.rawValue)),
        ])
    }

    private func translation(_ sa: IKESAStatus?) -> JSONValue {
        .object([
            ("local", .boolean(sa?.localBehindNAT ?? false)), ("remote", .boolean(sa?.remoteBehindNAT ?? false)),
        ])
    }

    private func spis(_ initiator: UInt64?, _ responder: UInt64?) -> JSONValue {
        .object([
            ("initiator", .optional(initiator.map { hexadecimal($0, digits: 16) })),
            ("responder", .optional(responder.map { hexadecimal($0, digits: 16) })),
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
            ("configured_local_ts", selectors(child.configuredLocalSelectors)),
            ("configured_remote_ts", selectors(child.configuredRemoteSelectors)),
            ("narrowed", .boolean(child.isNarrowed)),
            ("packets_in", .count(traffic.packetsIn)),
            ("bytes_in", .count(traffic.bytesIn)),
            ("packets_out", .count(traffic.packetsOut)),
            ("bytes_out", .count(traffic.bytesOut)),
            ("installed_seconds", age(child.installedAt)),
            ("rekey_in_seconds", remaining(child.rekeyAt)),
            ("ike_spi", spis(child.owner?.initiatorSPI, child.owner?.responderSPI)),
            (
                "remote",
                .object([
                    ("address", .optional(child.owner?.remote.description)),
                    ("id", .optional(child.owner?.remoteID?.description)),
                ])
            ),
        ])
    }

    private func selectors(_ list: [TrafficSelector]) -> JSONValue {
        .array(list.map { .string($0.description) })
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
