// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Adit
internal import AditIKE
internal import AditWire

/// Which keys of the configuration two checked values differ in.
///
/// The properties are found by reflection, so that one that is added to the library cannot be forgotten here: it then
/// shows under its own name with underscores.
enum ConfigurationDifference {
    /// The keys of `[connections.NAME]`, its children's included.
    static func keys(
        _ old: ConnectionConfiguration, _ new: ConnectionConfiguration
    ) -> [ReloadPlan.KeyChange] {
        var changes = differing(old, new).compactMap { label, before, after -> ReloadPlan.KeyChange? in
            switch label {
            case "children", "name", "remoteNames": nil
            default: change(label, before, after)
            }
        }
        if !changes.contains(where: { $0.key == "remote_addrs" }), remotes(old) != remotes(new) {
            changes.append(ReloadPlan.KeyChange(key: "remote_addrs", before: remotes(old), after: remotes(new)))
        } else if let index = changes.firstIndex(where: { $0.key == "remote_addrs" }) {
            changes[index] = ReloadPlan.KeyChange(key: "remote_addrs", before: remotes(old), after: remotes(new))
        }
        if let index = changes.firstIndex(where: { $0.key == "authentication" }) {
            changes.replaceSubrange(index...index, with: authentication(old.authentication, new.authentication))
        }
        return changes + children(old, new)
    }

    /// The keys of `[gateway]`, apart from what the file has no key for.
    static func keys(_ old: GatewayConfiguration, _ new: GatewayConfiguration) -> [ReloadPlan.KeyChange] {
        differing(old, new).filter { !["connections", "keyLogDirectory"].contains($0.label) }.map(change)
    }

    /// The keys of `[gateway]` that are about the process.
    static func keys(
        _ old: ConfigurationFile.ExecutableSettings, _ new: ConfigurationFile.ExecutableSettings
    ) -> [ReloadPlan.KeyChange] { differing(old, new).map(change) }

    // MARK: Parts of a connection

    private static func children(
        _ old: ConnectionConfiguration, _ new: ConnectionConfiguration
    ) -> [ReloadPlan.KeyChange] {
        // A connection without a table of children has one child of its own name, whose keys stand beside the others.
        let isPlain = [old, new].allSatisfy { $0.children.map(\.name) == [$0.name] }
        let before = Dictionary(old.children.map { ($0.name, $0) }) { first, _ in first }
        let names = Set(new.children.map(\.name))
        var changes = new.children.flatMap { child -> [ReloadPlan.KeyChange] in
            let prefix = isPlain ? "" : "children.\(child.name)."
            guard let known = before[child.name] else {
                return [ReloadPlan.KeyChange(key: "children.\(child.name)", before: nil, after: "added")]
            }
            return differing(known, child).map { label, before, after in
                var change = change(label, before, after)
                change.key = prefix + change.key
                return change
            }
        }
        changes += old.children.filter { !names.contains($0.name) }.map {
            ReloadPlan.KeyChange(key: "children.\($0.name)", before: "present", after: "removed")
        }
        if changes.isEmpty, old.children.map(\.name) != new.children.map(\.name) {
            changes = [ReloadPlan.KeyChange(key: "the order of children", before: nil, after: nil)]
        }
        return changes
    }

    private static func remotes(_ connection: ConnectionConfiguration) -> String {
        var texts = connection.remoteAddresses.map(\.description)
        for name in connection.remoteNames.reversed() { texts.insert(name.name, at: min(name.position, texts.count)) }
        return texts.isEmpty ? "%any" : texts.joined(separator: ", ")
    }

    /// Secrets and certificates are named, never shown.
    private static func authentication(
        _ old: ConnectionConfiguration.Authentication, _ new: ConnectionConfiguration.Authentication
    ) -> [ReloadPlan.KeyChange] {
        var keys: [String] = []
        for local in [old.local, new.local] where old.local != new.local {
            switch local {
            case .preSharedKey: keys.append("psk")
            case .signature: keys += ["cert_file", "key_file"]
            }
        }
        for remote in [old.remote, new.remote] where old.remote != new.remote {
            switch remote {
            case .preSharedKey: keys.append("psk")
            case .certificate: keys += ["ca_file", "crl_file"]
            }
        }
        var seen: Set<String> = []
        let distinct = keys.filter { seen.insert($0).inserted }
        return distinct.isEmpty ? [] : [ReloadPlan.KeyChange(key: distinct.joined(separator: " or "))]
    }

    // MARK: Reflection

    private static func differing<Value>(
        _ old: Value, _ new: Value
    ) -> [(label: String, before: Any, after: Any)] {
        zip(Mirror(reflecting: old).children, Mirror(reflecting: new).children).compactMap { left, right in
            guard let label = left.label, !same(left.value, right.value) else { return nil }
            return (label, left.value, right.value)
        }
    }

    private static func same(_ left: Any, _ right: Any) -> Bool {
        func equal<Value: Equatable>(_ left: Value) -> Bool { (right as? Value) == left }
        guard let left = left as? any Equatable else { return false }
        return equal(left)
    }

    private static func change(_ label: String, _ before: Any, _ after: Any) -> ReloadPlan.KeyChange {
        // Its values have other names in the file.
        if label == "anyToAny" || label == "asksForPacket" { return ReloadPlan.KeyChange(key: "ts_shape") }
        return ReloadPlan.KeyChange(key: keyNames[label] ?? snakeCase(label), before: text(before), after: text(after))
    }

    /// The value as the file would have it, more or less; nil for none.
    private static func text(_ value: Any) -> String? {
        let mirror = Mirror(reflecting: value)
        if mirror.displayStyle == .optional { return mirror.children.first.flatMap { text($0.value) } }
        if let list = value as? [Any] { return "[" + list.compactMap(text).joined(separator: ", ") + "]" }
        if let duration = value as? Duration { return seconds(duration) }
        if let word = value as? any RawRepresentable<String> { return word.rawValue }
        return printable("\(value)")
    }

    private static func seconds(_ duration: Duration) -> String { "\(duration.components.seconds)s" }

    private static func snakeCase(_ label: String) -> String {
        label.reduce(into: "") { $0 += $1.isUppercase ? "_" + $1.lowercased() : String($1) }
    }

    /// Properties whose key is not their name in lower case.
    private static let keyNames = [
        "remoteAddresses": "remote_addrs", "localAddresses": "local_addrs", "localID": "local_id",
        "remoteID": "remote_id", "localSelectors": "local_ts", "remoteSelectors": "remote_ts",
        "clampMSS": "mss_clamp", "copyDSCP": "copy_dscp", "copyECN": "copy_ecn", "addresses": "address",
        "ikePort": "ike_port", "natPort": "nat_port",
        "ikeRekeyTime": "ike_rekey_time", "niceness": "nice",
    ]
}

extension ReloadPlan.KeyChange {
    /// A key whose values are not shown.
    init(key: String) { self.init(key: key, before: nil, after: nil) }
}
