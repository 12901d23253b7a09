// SPDX-License-Identifier: Apache-2.0
// Adit: AditControl

internal import AditESP
internal import AditIKE
internal import AditWire

/// Numbers the configured children, so that a packet without an SA can name the one it needs.
final class ChildDirectory {
    private let table: SATable
    private var names: [UInt32: (connection: String, child: String)] = [:]
    private var orders: [String: UInt32] = [:]
    private var published: [String: ChildPolicy] = [:]
    private var next: UInt32 = 1
    private let warn: @Sendable (String) -> Void

    init(table: SATable, warn: @escaping @Sendable (String) -> Void) {
        self.table = table
        self.warn = warn
    }

    /// Publishes the policies of `connections` and forgets the ones before. A child keeps its number as long as it has
    /// the same name and selectors; no number is used again for another one.
    func publish(_ connections: [ConnectionConfiguration]) {
        let before = published
        names = [:]
        orders = [:]
        published = [:]
        var policies: [ChildPolicy] = []
        for connection in connections {
            for child in connection.children {
                let name = "\(connection.name)/\(child.name)"
                let order = UInt32(clamping: policies.count)
                let policy = ChildPolicy(
                    id: before[name].flatMap { $0.hasSelectors(of: child) ? $0.id : nil } ?? number(),
                    localSelectors: child.localSelectors, remoteSelectors: child.remoteSelectors, order: order,
                    action: Self.isTrapped(child, connection) ? .acquire : .drop)
                policies.append(policy)
                published[name] = policy
                names[policy.id.rawValue] = (connection.name, child.name)
                orders[name] = order
            }
        }
        do { try table.setPolicies(policies) } catch { warn("the policies cannot be published: \(error)") }
    }

    private func number() -> PolicyID {
        defer { next &+= 1 }
        return PolicyID(rawValue: next)
    }

    /// Whether packets may ever bring a child up: then they are told of.
    static func isTrapped(_ child: ChildConfiguration, _ connection: ConnectionConfiguration) -> Bool {
        child.startAction != .none || connection.dpdAction == .trap
    }

    /// A child with the remote selectors that are routed into the tunnel also without an SA; nil when there are none.
    ///
    /// Its packets are dropped while there is no SA, and never leave in the clear by another route (RFC 4301 §5.1). Not
    /// so where it is not known from which address a peer will call: the answer would go into the tunnel itself. A peer
    /// that has only names may be anywhere beside what is protected, with `%any` anywhere at all.
    static func routed(_ child: ChildConfiguration, _ connection: ConnectionConfiguration) -> ChildConfiguration? {
        guard connection.remoteAddresses.isEmpty else { return child }
        guard !connection.remoteNames.isEmpty else { return nil }
        guard child.startAction == .none else { return child }
        var child = child
        child.remoteSelectors.removeAll { $0.prefixes.contains { $0.length == 0 } }
        return child
    }

    /// A child's place in the configuration: between equally specific selectors the earlier one wins.
    func order(connection: String, child: String) -> UInt32 { orders["\(connection)/\(child)"] ?? .max }

    /// Whose policy it is; nil when the configuration changed since.
    subscript(id: UInt32) -> (connection: String, child: String)? { names[id] }
}

extension ChildPolicy {
    fileprivate func hasSelectors(of child: ChildConfiguration) -> Bool {
        localSelectors == child.localSelectors && remoteSelectors == child.remoteSelectors
    }
}
