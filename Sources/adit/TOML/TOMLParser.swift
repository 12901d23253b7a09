// SPDX-License-Identifier: Apache-2.0
// Adit: adit

/// What is wrong in a TOML text.
struct TOMLFault: Error, Equatable {
    /// Counted from 1.
    var line: Int
    /// What was expected, or what is wrong.
    var message: String
}

/// Reads TOML 1.0 (toml.io) and goes on after a fault, so that all of them are found at once.
///
/// Every byte sequence is an allowed input: nothing traps, and depth, faults and time are bounded by named limits and
/// the length of the text.
struct TOMLParser {
    /// Levels of tables and lists at the most; it bounds the recursion.
    static let nestingLimit = 16
    /// Faults that are noted at the most.
    static let faultLimit = 100

    /// The document.
    let root = TOMLTable(.header)
    /// What is wrong, in the order of the lines.
    private(set) var faults: [TOMLFault] = []
    var cursor: TOMLCursor

    /// The document in `text`, UTF-8, with its faults.
    static func parse(_ text: [UInt8]) -> (root: TOMLTable, faults: [TOMLFault]) {
        var parser = TOMLParser(cursor: TOMLCursor(text))
        parser.document()
        return (parser.root, parser.faults)
    }

    private init(cursor: TOMLCursor) { self.cursor = cursor }

    private mutating func document() {
        var table = root
        cursor.skipByteOrderMark()
        while !cursor.isAtEnd, faults.count < Self.faultLimit {
            do throws(TOMLFault) {
                try cursor.skipBlank(lines: true)
                guard let byte = cursor.current else { return }
                if byte == UInt8(ascii: "[") {
                    // After a faulty header its keys are read, but belong nowhere.
                    table = TOMLTable(.header)
                    table = try header()
                } else {
                    try keyValue(in: table, depth: 0)
                }
                try cursor.endOfLine()
            } catch {
                faults.append(error)
                cursor.recover(after: error.line)
            }
        }
    }

    /// `[a.b]` or `[[a.b]]`: the table to which the following keys belong.
    private mutating func header() throws(TOMLFault) -> TOMLTable {
        let line = cursor.line
        _ = cursor.take(UInt8(ascii: "["))
        let isElement = cursor.take(UInt8(ascii: "["))
        let path = try key()
        for _ in 0..<(isElement ? 2 : 1) {
            guard cursor.take(UInt8(ascii: "]")) else { throw cursor.fault("expected ] after the table's name") }
        }
        var table = root
        for name in path.dropLast() {
            table = try descend(table, name, line)
        }
        guard let name = path.last else { throw cursor.fault("expected a table's name") }
        return isElement ? try element(of: table, name, line) : try own(table, name, line)
    }

    /// The table `name` on the way to a longer header.
    private func descend(_ table: TOMLTable, _ name: String, _ line: Int) throws(TOMLFault) -> TOMLTable {
        switch table[name]?.value {
        case nil:
            let inner = TOMLTable(.implied)
            table[name] = TOMLNode(value: .table(inner), line: line)
            return inner
        case .table(let inner) where inner.origin != .inline:
            return inner
        case .array(let items):
            guard case .table(let last) = items.last?.value, last.origin == .header else { break }
            return last
        default:
            break
        }
        throw taken(name, by: table[name], line)
    }

    private func own(_ table: TOMLTable, _ name: String, _ line: Int) throws(TOMLFault) -> TOMLTable {
        switch table[name]?.value {
        case nil:
            let own = TOMLTable(.header)
            table[name] = TOMLNode(value: .table(own), line: line)
            return own
        case .table(let own) where own.origin == .implied:
            own.origin = .header
            table[name]?.line = line
            return own
        default:
            throw taken(name, by: table[name], line)
        }
    }

    private func element(of table: TOMLTable, _ name: String, _ line: Int) throws(TOMLFault) -> TOMLTable {
        let own = TOMLTable(.header)
        let node = TOMLNode(value: .table(own), line: line)
        switch table[name]?.value {
        case nil:
            table[name] = TOMLNode(value: .array([node]), line: line)
        case .array(let items):
            guard case .table(let last) = items.last?.value, last.origin == .header else { fallthrough }
            table[name]?.value = .array(items + [node])
        default:
            throw taken(name, by: table[name], line)
        }
        return own
    }

    private mutating func keyValue(in table: TOMLTable, depth: Int) throws(TOMLFault) {
        let line = cursor.line
        let path = try key()
        var table = table
        for name in path.dropLast() {
            if table[name] == nil { table[name] = TOMLNode(value: .table(TOMLTable(.dottedKey)), line: line) }
            guard case .table(let inner) = table[name]?.value, inner.origin == .dottedKey else {
                throw taken(name, by: table[name], line)
            }
            table = inner
        }
        guard let name = path.last else { throw cursor.fault("expected a key") }
        guard table[name] == nil else { throw taken(name, by: table[name], line) }
        guard cursor.take(UInt8(ascii: "=")) else { throw cursor.fault("expected = after the key") }
        table[name] = TOMLNode(value: .faulty, line: line)
        try cursor.skipBlank(lines: false)
        table[name] = TOMLNode(value: try value(depth: depth + path.count), line: line)
    }

    /// A dotted key and the blanks after it.
    private mutating func key() throws(TOMLFault) -> [String] {
        var path: [String] = []
        repeat {
            try cursor.skipBlank(lines: false)
            guard let name = try cursor.keyPart() else { throw cursor.fault("expected a key") }
            path.append(name)
            guard path.count <= Self.nestingLimit else { throw tooDeep }
            try cursor.skipBlank(lines: false)
        } while cursor.take(UInt8(ascii: "."))
        return path
    }

    private mutating func value(depth: Int) throws(TOMLFault) -> TOMLValue {
        guard depth <= Self.nestingLimit else { throw tooDeep }
        switch cursor.current {
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return .string(try cursor.string())
        case UInt8(ascii: "["): return .array(try list(depth: depth))
        case UInt8(ascii: "{"): return .table(try inlineTable(depth: depth))
        default: return try cursor.scalar()
        }
    }

    private mutating func list(depth: Int) throws(TOMLFault) -> [TOMLNode] {
        _ = cursor.take(UInt8(ascii: "["))
        var items: [TOMLNode] = []
        while true {
            try cursor.skipBlank(lines: true)
            if cursor.take(UInt8(ascii: "]")) { return items }
            let line = cursor.line
            items.append(TOMLNode(value: try value(depth: depth + 1), line: line))
            try cursor.skipBlank(lines: true)
            if cursor.take(UInt8(ascii: ",")) { continue }
            guard cursor.take(UInt8(ascii: "]")) else { throw cursor.fault("expected , or ] in the list") }
            return items
        }
    }

    private mutating func inlineTable(depth: Int) throws(TOMLFault) -> TOMLTable {
        _ = cursor.take(UInt8(ascii: "{"))
        let table = TOMLTable(.inline)
        try cursor.skipBlank(lines: false)
        if cursor.take(UInt8(ascii: "}")) { return table }
        while true {
            try keyValue(in: table, depth: depth + 1)
            try cursor.skipBlank(lines: false)
            if cursor.take(UInt8(ascii: ",")) { continue }
            guard cursor.take(UInt8(ascii: "}")) else { throw cursor.fault("expected , or } in the table") }
            return table
        }
    }

    private func taken(_ name: String, by node: TOMLNode?, _ line: Int) -> TOMLFault {
        let first = node.map { " in line \($0.line)" } ?? ""
        return TOMLFault(line: line, message: "\(quoted(name)) is defined twice, first\(first)")
    }

    private var tooDeep: TOMLFault { cursor.fault("nested too deeply; allowed are \(Self.nestingLimit) levels") }
}
