// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Adit
internal import AditIKE

/// What a reload would do: computed from two checked configurations, shown, and then done as shown.
struct ReloadPlan: Equatable {
    /// What becomes of one connection.
    enum Action: String {
        case unchanged, changed, added, removed
    }

    /// One connection and, when it changed, its keys and what becomes of its SAs.
    struct Entry: Equatable {
        var name: String
        var action: Action
        var keys: [KeyChange] = []
        /// As the gateway itself decides it; nil unless the connection changed.
        var change: ConnectionChange?
    }

    /// One key of the configuration that has another value.
    struct KeyChange: Equatable {
        /// As in the file: `remote_ts`, or `children.NAME.remote_ts`.
        var key: String
        /// The values in words; nil for a secret or a certificate, which is not shown.
        var before: String?
        var after: String?
    }

    /// Every connection, those of the new configuration in its order, then the removed ones.
    var connections: [Entry]
    /// The keys of `[gateway]` that changed and are left as they are until a restart.
    var restart: [KeyChange]

    /// The way from `old` to `new`.
    init(
        from old: GatewayConfiguration, _ oldSettings: ConfigurationFile.ExecutableSettings,
        to new: GatewayConfiguration, _ newSettings: ConfigurationFile.ExecutableSettings
    ) {
        let before = Dictionary(old.connections.map { ($0.name, $0) }) { first, _ in first }
        let names = Set(new.connections.map(\.name))
        connections = new.connections.map { connection in
            guard let known = before[connection.name] else { return Entry(name: connection.name, action: .added) }
            guard known != connection else { return Entry(name: connection.name, action: .unchanged) }
            return Entry(
                name: connection.name, action: .changed, keys: ConfigurationDifference.keys(known, connection),
                change: ConnectionChange(from: known, to: connection))
        }
        connections += old.connections.filter { !names.contains($0.name) }.map {
            Entry(name: $0.name, action: .removed)
        }
        restart =
            ConfigurationDifference.keys(old, new)
            + ConfigurationDifference.keys(oldSettings, newSettings)
    }

    /// Whether there is nothing to do.
    var isEmpty: Bool { connections.allSatisfy { $0.action == .unchanged } }

    /// How many connections there are of one kind.
    func count(_ action: Action) -> Int { connections.count { $0.action == action } }
}

// MARK: In words

extension ReloadPlan {
    /// One line a connection that is touched, one for what needs a restart, and the sum.
    var lines: [String] { connections.compactMap(Self.line) + restartLine + [summary] }

    /// `3 connections: 1 unchanged, 1 changed, 1 added, 0 removed`.
    var summary: String {
        let total = connections.count { $0.action != .removed }
        return "\(adit.count(total, "connection")): \(count(.unchanged)) unchanged, \(count(.changed)) changed, "
            + "\(count(.added)) added, \(count(.removed)) removed"
    }

    private static func line(_ entry: Entry) -> String? {
        switch entry.action {
        case .unchanged: nil
        case .added: "+ \(entry.name): added"
        case .removed: "- \(entry.name): removed; its SAs are deleted"
        case .changed:
            "~ \(entry.name): \((entry.keys.map(words) + consequences(entry)).joined(separator: "; "))"
        }
    }

    /// What becomes of the SAs of a connection that changed.
    private static func consequences(_ entry: Entry) -> [String] {
        guard let change = entry.change, change.effect != .replaced else {
            return ["its SAs are deleted and made anew"]
        }
        let outcomes: [(ConnectionChange.ChildEffect, String)] = [
            (.replaced, "deleted and made anew"), (.rekeyed, "rekeyed"), (.added, "added"), (.removed, "deleted"),
        ]
        let clauses = outcomes.compactMap { effect, outcome -> String? in
            let names = change.children.filter { $0.effect == effect }.map(\.name)
            guard let first = names.first else { return nil }
            return names.count == 1
                ? "child \(first) is \(outcome)" : "children \(names.joined(separator: ", ")) are \(outcome)"
        }
        return clauses.isEmpty ? ["its SAs stay"] : ["the IKE SA stays"] + clauses
    }

    private var restartLine: [String] {
        restart.isEmpty
            ? [] : ["! [gateway]: \(restart.map(Self.words).joined(separator: "; ")); takes effect after a restart"]
    }

    private static func words(_ change: KeyChange) -> String {
        switch (change.before, change.after) {
        case (nil, nil): "\(change.key) changed"
        case (nil, .some(let after)): "\(change.key) = \(after)"
        case (.some, nil): "\(change.key) left out"
        case (.some(let before), .some(let after)): "\(change.key) \(before) -> \(after)"
        }
    }

    /// For programs; fields may be added, none is renamed.
    var json: JSONValue {
        let keys = { (changes: [KeyChange]) in
            JSONValue.array(
                changes.map {
                    .object([
                        ("key", .string($0.key)), ("before", .optional($0.before)), ("after", .optional($0.after)),
                    ])
                })
        }
        let children = { (entry: Entry) in
            JSONValue.array(
                (entry.change?.children ?? []).map {
                    .object([("name", .string($0.name)), ("action", .string($0.effect.rawValue))])
                })
        }
        return .object([
            (
                "connections",
                .array(
                    connections.map {
                        .object([
                            ("name", .string($0.name)), ("action", .string($0.action.rawValue)),
                            ("keys", keys($0.keys)), ("ike_sa", .string($0.ikeSA)), ("children", children($0)),
                        ])
                    })
            ),
            ("restart", keys(restart)),
        ])
    }
}

extension ReloadPlan.Entry {
    /// What becomes of the IKE SA, in a word for programs: kept, replaced, added or removed.
    fileprivate var ikeSA: String {
        switch action {
        case .unchanged: ConnectionChange.Effect.kept.rawValue
        case .changed: (change?.effect ?? .replaced).rawValue
        case .added, .removed: action.rawValue
        }
    }
}
