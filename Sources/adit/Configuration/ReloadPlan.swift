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

    /// One connection and, when it changed, its keys.
    struct Entry: Equatable {
        var name: String
        var action: Action
        var keys: [KeyChange] = []
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
                name: connection.name, action: .changed, keys: ConfigurationDifference.keys(known, connection))
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
            "~ \(entry.name): \(entry.keys.map(words).joined(separator: "; ")); its SAs are deleted and made anew"
        }
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
        return .object([
            (
                "connections",
                .array(
                    connections.map {
                        .object([
                            ("name", .string($0.name)), ("action", .string($0.action.rawValue)),
                            ("keys", keys($0.keys)),
                        ])
                    })
            ),
            ("restart", keys(restart)),
        ])
    }
}
