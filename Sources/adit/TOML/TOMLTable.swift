// SPDX-License-Identifier: Apache-2.0
// Adit: adit

/// A value of a TOML 1.0 document with the line on which it, or its key, stands.
struct TOMLNode {
    var value: TOMLValue
    /// Counted from 1.
    var line: Int
}

/// What a TOML document can hold.
enum TOMLValue {
    case string(String)
    case integer(Int64)
    case float(Double)
    case boolean(Bool)
    /// A date, a time or both; nothing here needs to know which.
    case dateTime
    case array([TOMLNode])
    case table(TOMLTable)
    /// A value that could not be read; the fault has been noted, the key is there all the same.
    case faulty
}

/// A table: names and values in the order of the text.
///
/// A class, since headers add to tables anywhere in the tree. Used by one thread.
final class TOMLTable {
    /// How a table came to be, which says who may add to it.
    enum Origin {
        /// Named only within a longer header: its own header may still come.
        case implied
        /// By its own header, or as an element of `[[…]]`.
        case header
        /// By a dotted key: only further dotted keys add to it.
        case dottedKey
        /// `{ … }`: complete as it stands.
        case inline
    }

    var origin: Origin
    private(set) var names: [String] = []
    private var nodes: [String: TOMLNode] = [:]

    init(_ origin: Origin) { self.origin = origin }

    /// The value at `name`; setting it to a new name appends.
    subscript(name: String) -> TOMLNode? {
        get { nodes[name] }
        set {
            if nodes[name] == nil { names.append(name) }
            nodes[name] = newValue
        }
    }
}

extension TOMLTable {
    /// The line of the key at `path`, or of the nearest one above it; 1 when there is none.
    func line(of path: [String]) -> Int {
        var table = self
        var line = 1
        for name in path {
            guard let node = table[name] else { return line }
            line = node.line
            guard case .table(let inner) = node.value else { return line }
            table = inner
        }
        return line
    }

    /// The line of an item of the list at `path`; that of the list when there is no such item.
    func line(of path: [String], item: Int) -> Int {
        var table = self
        for name in path.dropLast() {
            guard case .table(let inner) = table[name]?.value else { return line(of: path) }
            table = inner
        }
        guard let name = path.last, case .array(let items) = table[name]?.value, items.indices.contains(item) else {
            return line(of: path)
        }
        return items[item].line
    }
}
