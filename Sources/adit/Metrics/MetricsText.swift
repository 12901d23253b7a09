// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Adit
internal import AditIKE
internal import AditWire

/// A gateway's counters in Prometheus' text format (version 0.0.4): names are a promise, metrics are only ever added.
struct MetricsText {
    let status: GatewayStatus
    let counts: MetricsCounters.Counts

    /// The whole document.
    var text: String { families.map(\.text).joined() }

    /// The metrics in their order; CONFIGURATION.md lists the same.
    var families: [Family] { gatewayFamilies + connectionFamilies + childFamilies + eventFamilies }

    /// One metric with all its series.
    struct Family {
        enum Kind: String { case counter, gauge }

        var name: String
        var kind: Kind
        var help: String
        var samples: [(labels: [(String, String)], value: String)] = []

        var text: String {
            "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
                + samples.map { labels, value in
                    let list = labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
                    return "\(name)\(list.isEmpty ? "" : "{\(list)}") \(value)\n"
                }.joined()
        }

        mutating func add(_ labels: [(String, String)], _ value: some CustomStringConvertible) {
            samples.append((labels, value.description))
        }

        /// Within quotes, backslash, quote and line feed are escaped.
        private static func escaped(_ text: String) -> String {
            text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
        }
    }

    private var gatewayFamilies: [Family] {
        var info = Family(name: "adit_info", kind: .gauge, help: "Always 1; the labels say what runs.")
        info.add([("version", Gateway.version), ("interface", status.interface)], 1)
        var uptime = Family(name: "adit_uptime_seconds", kind: .gauge, help: "Time since the start.")
        uptime.add([], seconds(status.uptime))
        var mtu = Family(name: "adit_interface_mtu_bytes", kind: .gauge, help: "The MTU of the TUN device.")
        mtu.add([], status.mtu)
        var drops = Family(
            name: "adit_dropped_packets_total", kind: .counter, help: "Packets that were dropped, by reason.")
        for drop in status.drops { drops.add([("reason", drop.reason)], drop.count) }
        var ignored = Family(
            name: "adit_ike_ignored_messages_total", kind: .counter,
            help: "IKE messages that were received and not acted upon, by reason.")
        for reason in IKECounters.Reason.allCases {
            ignored.add([("reason", reason.rawValue)], status.totals.ignored[reason])
        }
        var sas = Family(name: "adit_ike_sas", kind: .gauge, help: "IKE SAs, half-open ones apart.")
        sas.add([("state", "half_open")], status.totals.halfOpen)
        sas.add([("state", "other")], max(0, status.totals.ikeSAs - status.totals.halfOpen))
        return [info, uptime, mtu, drops, ignored, sas]
    }

    private var connectionFamilies: [Family] {
        var state = Family(
            name: "adit_connection_state", kind: .gauge, help: "1 for the state that a connection is in, else 0.")
        var age = Family(
            name: "adit_connection_established_seconds", kind: .gauge, help: "The age of the IKE SA in use.")
        for connection in status.connections {
            for word in ConnectionStatus.State.all {
                let labels = [("connection", connection.name), ("state", word.rawValue)]
                state.add(labels, connection.state == word ? 1 : 0)
            }
            guard let sa = connection.ikeSA else { continue }
            age.add([("connection", connection.name)], seconds(status.now - sa.establishedAt))
        }
        return [state, age]
    }

    private var childFamilies: [Family] {
        var packets = Family(
            name: "adit_child_packets_total", kind: .counter,
            help: "Packets through a Child SA; a rekey begins another series.")
        var bytes = Family(
            name: "adit_child_bytes_total", kind: .counter,
            help: "Inner bytes through a Child SA; a rekey begins another series.")
        for connection in status.connections {
            for child in connection.children {
                let traffic = status.traffic[child.inboundSPI] ?? GatewayStatus.SATraffic()
                let labels = [
                    ("connection", connection.name), ("child", child.name), ("spi_in", child.inboundSPI.description),
                ]
                packets.add(labels + [("direction", "in")], traffic.packetsIn)
                packets.add(labels + [("direction", "out")], traffic.packetsOut)
                bytes.add(labels + [("direction", "in")], traffic.bytesIn)
                bytes.add(labels + [("direction", "out")], traffic.bytesOut)
            }
        }
        return [packets, bytes]
    }

    private var eventFamilies: [Family] {
        var established = Family(
            name: "adit_connection_established_total", kind: .counter, help: "Handshakes that came to their end.")
        var rekeys = Family(name: "adit_rekeys_total", kind: .counter, help: "Rekeyed IKE SAs and Child SAs.")
        var failures = Family(
            name: "adit_failures_total", kind: .counter,
            help: "Failed attempts and SAs, by code; an empty connection stands for peers that fit none.")
        for name in status.connections.map(\.name) {
            established.add([("connection", name)], counts.established[name] ?? 0)
            rekeys.add([("connection", name), ("sa", "ike")], counts.ikeRekeys[name] ?? 0)
            rekeys.add([("connection", name), ("sa", "child")], counts.childRekeys[name] ?? 0)
        }
        for (name, codes) in counts.failures.sorted(by: { $0.key < $1.key }) {
            for (code, count) in codes.sorted(by: { $0.key < $1.key }) {
                failures.add([("connection", name), ("code", code)], count)
            }
        }
        return [established, rekeys, failures]
    }

    private func seconds(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = String(attoseconds / 1_000_000_000_000_000)
        return "\(seconds).\(String(repeating: "0", count: max(0, 3 - milliseconds.count)))\(milliseconds)"
    }
}

extension ConnectionStatus.State {
    /// Every state, in the order of a connection's life.
    fileprivate static let all: [Self] = [.down, .trap, .waiting, .connecting, .established, .failed]
}
