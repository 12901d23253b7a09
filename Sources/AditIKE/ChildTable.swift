// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

/// A child's place in its connection; never used twice, so what a reload retired is never taken for its successor.
struct ChildID: Hashable, Comparable, Sendable {
    let rawValue: UInt32

    static func < (left: ChildID, right: ChildID) -> Bool { left.rawValue < right.rawValue }
}

/// The children of a connection: those that are configured, and those that a reload retired, for as long as Child SAs
/// or exchanges of them are there.
struct ChildTable: Sendable {
    private var entries: [ChildID: ChildConfiguration] = [:]
    // What is configured now in the place of what was retired; nothing where it was removed.
    private var successors: [ChildID: ChildID] = [:]
    private var next: UInt32 = 0
    /// The configured children, in the order of the configuration.
    private(set) var ids: [ChildID] = []

    init(_ children: [ChildConfiguration]) { ids = children.map { insert($0) } }

    /// A child, a retired one included.
    subscript(id: ChildID) -> ChildConfiguration? { entries[id] }

    /// The configured child called `name`.
    func id(named name: String) -> ChildID? { ids.first { entries[$0]?.name == name } }

    /// Whether a child is configured, and not retired.
    func isConfigured(_ id: ChildID) -> Bool { ids.contains(id) }

    /// What is configured in the place of a child: itself, or what a reload made of it; nil where it was removed.
    func current(_ id: ChildID) -> ChildID? {
        let found = successors[id] ?? id
        return isConfigured(found) ? found : nil
    }

    /// The same for several children, each once and in their order.
    func current(_ some: [ChildID]) -> [ChildID] {
        var seen: Set<ChildID> = []
        return some.compactMap { current($0) }.filter { seen.insert($0).inserted }
    }

    /// Follows a new configuration: children whose SAs are made anew get a new place, the others keep theirs.
    mutating func follow(_ children: [ChildConfiguration], _ change: ConnectionChange) {
        let before = Dictionary(ids.compactMap { id in entries[id].map { ($0.name, id) } }) { first, _ in first }
        ids = children.map { child in
            guard let known = before[child.name] else { return insert(child) }
            guard change.replaces(child.name) else {
                entries[known] = child
                return known
            }
            let new = insert(child)
            successors[known] = new
            for (old, successor) in successors where successor == known { successors[old] = new }
            return new
        }
    }

    /// Forgets the retired children that nothing refers to.
    mutating func prune(except used: Set<ChildID>) {
        let kept = used.union(ids)
        entries = entries.filter { kept.contains($0.key) }
        successors = successors.filter { kept.contains($0.key) }
    }

    /// How many retired children are still known.
    var retiredCount: Int { entries.count - ids.count }

    private mutating func insert(_ child: ChildConfiguration) -> ChildID {
        let id = ChildID(rawValue: next)
        next += 1
        entries[id] = child
        return id
    }

    /// Retired children of a connection at the most; one that has more is taken down as a whole by the next change.
    static let retiredLimit = 1024
}
