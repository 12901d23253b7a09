// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

/// Keys in the order in which they were added: adding, finding the first and removing any one cost O(1).
struct ArrivalOrder<Key: Hashable & Sendable>: Sendable {
    private struct Neighbours: Sendable {
        var before: Key?
        var after: Key?
    }

    private var neighbours: [Key: Neighbours] = [:]
    /// The one added before all others.
    private(set) var first: Key?
    private var last: Key?

    /// Whether there is none.
    var isEmpty: Bool { first == nil }

    /// Adds a key at the end, unless it is there.
    mutating func append(_ key: Key) {
        guard neighbours[key] == nil else { return }
        neighbours[key] = Neighbours(before: last)
        if let last { neighbours[last]?.after = key } else { first = key }
        last = key
    }

    /// Removes a key, if it is there.
    mutating func remove(_ key: Key) {
        guard let removed = neighbours.removeValue(forKey: key) else { return }
        if let before = removed.before { neighbours[before]?.after = removed.after } else { first = removed.after }
        if let after = removed.after { neighbours[after]?.before = removed.before } else { last = removed.before }
    }
}
