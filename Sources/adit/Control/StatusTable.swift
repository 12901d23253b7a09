// SPDX-License-Identifier: Apache-2.0
// Adit: adit

/// `adit status` for a person, made from the JSON document.
struct StatusTable {
    let document: JSONValue

    /// The table with a headline and the lost packets.
    var text: String {
        var lines = [headline, ""]
        let connections = document["connections"]?.elements ?? []
        var rows = [["CONNECTION", "STATE", "PEER", "SUITE", "AGE", "IN", "OUT"]]
        for connection in connections { rows += self.rows(of: connection) }
        lines += TextTable(rows: rows).lines
        for connection in connections {
            lines += (connection["children"]?.elements ?? []).flatMap { shapeLines($0, of: connection) }
        }
        lines += connections.compactMap(failureLine)
        lines += ["", drops]
        return lines.map { printable($0) }.joined(separator: "\n") + "\n"
    }

    private var headline: String {
        let workers = Int(document["workers"]?.numberValue ?? 0)
        return "adit \(word(document, "version")), up \(age(document["uptime_seconds"])), interface "
            + "\(word(document, "interface")) (MTU \(number(document["mtu"]))), \(count(workers, "worker"))"
    }

    /// A connection and its children; with several IKE SAs, each of them with its own.
    private func rows(of connection: JSONValue) -> [[String]] {
        let children = connection["children"]?.elements ?? []
        let sas = connection["ike_sas"]?.elements ?? []
        let title = [word(connection, "name"), word(connection, "state")]
        guard sas.count > 1 else {
            return [title + peer(connection) + traffic(of: children)] + children.map { childRow($0, indent: 1) }
        }
        var rows = [title + [count(sas.count, "IKE SA"), "-", "-"] + traffic(of: children)]
        let owned = Dictionary(grouping: children) { $0["ike_spi"]?.text ?? "" }
        for sa in sas {
            let own = owned[sa["ike_spi"]?.text ?? ""] ?? []
            let state = sa["leaving"]?.isTrue == true ? "leaving" : word(connection, "state")
            rows.append(["  IKE SA", state] + peer(sa) + traffic(of: own))
            rows += own.map { childRow($0, indent: 2) }
        }
        return rows
    }

    /// Whom a connection or an IKE SA goes to, its suite and its age.
    private func peer(_ value: JSONValue) -> [String] {
        let remote = value["remote"] ?? .null
        let identity = remote["id"]?.stringValue.map { " (\($0))" } ?? ""
        return [
            word(remote, "address", absent: "any") + identity, word(value, "proposal", absent: "-"),
            age(value["established_seconds"]),
        ]
    }

    private func traffic(of children: [JSONValue]) -> [String] {
        ["bytes_in", "bytes_out"].map { name in
            children.isEmpty ? "-" : Self.bytes(children.reduce(0) { $0 + ($1[name]?.numberValue ?? 0) })
        }
    }

    /// What was asked for, where less was given; and what passes, where that is less than was agreed.
    private func shapeLines(_ child: JSONValue, of connection: JSONValue) -> [String] {
        let between = { (kind: String) in list(child, kind + "local_ts") + " to " + list(child, kind + "remote_ts") }
        let name = "\(word(connection, "name"))/\(word(child, "name"))"
        var lines: [String] = []
        let words = { (name: String) in (child[name]?.elements ?? []).compactMap(\.stringValue) }
        let differs = { (side: String) in
            !words("passed_\(side)_ts").isEmpty && words("passed_\(side)_ts") != words("\(side)_ts")
        }
        if child["narrowed"]?.isTrue == true {
            let isGiven = ["local_ts", "remote_ts"].allSatisfy { words("asked_" + $0) == words($0) }
            let passes = words("passed_local_ts").isEmpty ? "" : "passed_"
            // Where all that was asked for was given, it, or what passes of it, is less than is configured.
            lines.append(
                isGiven
                    ? "\(name) is narrowed: configured \(between("configured_")), given \(between(passes))"
                    : "\(name) is narrowed: asked \(between("asked_")), given \(between(""))")
        }
        if differs("local") || differs("remote") {
            lines.append("\(name) lets through \(between("passed_")) of \(between(""))")
        }
        return lines
    }

    private func list(_ child: JSONValue, _ name: String) -> String {
        let selectors = (child[name]?.elements ?? []).compactMap(\.stringValue)
        return selectors.count > 2 ? "\(selectors[0]),… (\(selectors.count))" : selectors.joined(separator: ",")
    }

    private func childRow(_ child: JSONValue, indent: Int) -> [String] {
        let traffic = { (way: String) in
            Self.bytes(child["bytes_\(way)"]?.numberValue ?? 0) + ", " + number(child["packets_\(way)"]) + " pkt"
        }
        return [
            String(repeating: "  ", count: indent) + word(child, "name"), word(child, "state"),
            list(child, "local_ts") + " to " + list(child, "remote_ts"),
            word(child, "proposal"), age(child["installed_seconds"]), traffic("in"), traffic("out"),
        ]
    }

    private func failureLine(_ connection: JSONValue) -> String? {
        guard let failure = connection["last_failure"], failure["code"] != nil else { return nil }
        let time = failure["at"]?.stringValue.map { " at \($0)" } ?? ""
        return "last failure of \(word(connection, "name"))\(time): \(word(failure, "code")) in "
            + "\(word(failure, "stage")): \(word(failure, "message")) (adit explain \(word(connection, "name")))"
    }

    private var drops: String {
        let lost = (document["drops"]?.members ?? []).filter { ($0.1.numberValue ?? 0) > 0 }
        return lost.isEmpty
            ? "dropped: nothing" : "dropped: " + lost.map { "\(number($0.1)) \($0.0)" }.joined(separator: ", ")
    }

    private func word(_ value: JSONValue, _ name: String, absent: String = "") -> String {
        value[name]?.stringValue ?? absent
    }

    private func number(_ value: JSONValue?) -> String { String(Int64(value?.numberValue ?? 0)) }

    /// `12 s`, `5 min 3 s`, `8 h 5 min`, `3 d 4 h`; `-` for null.
    private func age(_ value: JSONValue?) -> String {
        guard let seconds = value?.numberValue.map({ Int64($0) }) else { return "-" }
        switch seconds {
        case ..<60: return "\(seconds) s"
        case ..<3600: return "\(seconds / 60) min \(seconds % 60) s"
        case ..<86_400: return "\(seconds / 3600) h \(seconds / 60 % 60) min"
        default: return "\(seconds / 86_400) d \(seconds / 3600 % 24) h"
        }
    }

    /// `84 B`, `1.2 kB`, `3.4 MB`, … in powers of ten.
    static func bytes(_ count: Double) -> String {
        var value = count
        var unit = 0
        while value >= 1000, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        return unit == 0 ? "\(Int(value)) B" : "\((value * 10).rounded(.down) / 10) \(units[unit])"
    }

    private static let units = ["B", "kB", "MB", "GB", "TB", "PB"]
}
