// SPDX-License-Identifier: Apache-2.0
// Adit: adit

/// Where keys and list items stand in a TOML text, as TOMLKit keeps no positions.
struct KeyLocations: Sendable {
    /// A key, or an item of the list that it holds.
    struct Place: Hashable, Sendable {
        var path: [String]
        var item: Int?
    }

    /// Why the scan ended before the end of the text.
    enum Stop: Error, Equatable {
        /// The text is no TOML; TOMLKit says it better.
        case syntax
        /// A limit that keeps the parser's stack small.
        case nesting
    }

    private(set) var lines: [Place: Int] = [:]
    /// The line at which the scan ended and why; nil when it reached the end.
    private(set) var stop: (line: Int, reason: Stop)?

    /// Scans `text`; anything that is not TOML ends the scan, never the program.
    init(_ text: [UInt8]) {
        var scanner = KeyScanner(text)
        do {
            try scanner.scan()
        } catch {
            stop = (scanner.line, error)
        }
        lines = scanner.lines
    }

    /// The line of `path`, or of the nearest key above it; 1 when there is none.
    func line(of path: [String]) -> Int {
        var path = path
        while !path.isEmpty {
            if let line = lines[Place(path: path, item: nil)] { return line }
            path.removeLast()
        }
        return 1
    }

    /// The line of an item of the list at `path`.
    func line(of path: [String], item: Int) -> Int? { lines[Place(path: path, item: item)] }
}

/// Reads the structure of a TOML text: tables, keys, lists; values are skipped.
private struct KeyScanner {
    typealias Place = KeyLocations.Place
    typealias Stop = KeyLocations.Stop

    private let text: [UInt8]
    private var position = 0
    private(set) var line = 1
    private(set) var lines: [Place: Int] = [:]

    init(_ text: [UInt8]) { self.text = text }

    mutating func scan() throws(Stop) {
        var table: [String] = []
        while true {
            skipBlank(newlines: true)
            guard let byte = current else { return }
            if byte == UInt8(ascii: "[") {
                table = try tableHeader()
            } else {
                try keyValue(in: table, depth: 0)
            }
            skipBlank(newlines: false)
            guard current == nil || current == newline else { throw .syntax }
        }
    }

    private mutating func tableHeader() throws(Stop) -> [String] {
        var brackets = 0
        while current == UInt8(ascii: "["), brackets < 2 {
            advance()
            brackets += 1
        }
        let path = try key(in: [])
        for _ in 0..<brackets { try expect(UInt8(ascii: "]")) }
        return path
    }

    private mutating func keyValue(in table: [String], depth: Int) throws(Stop) {
        let path = try key(in: table)
        try expect(UInt8(ascii: "="))
        skipBlank(newlines: false)
        try value(at: path, depth: depth)
    }

    /// A dotted key; each part's first line is kept.
    private mutating func key(in table: [String]) throws(Stop) -> [String] {
        var path = table
        repeat {
            skipBlank(newlines: false)
            path.append(try keyPart())
            guard path.count <= nestingLimit else { throw .nesting }
            record(Place(path: path, item: nil))
            skipBlank(newlines: false)
        } while take(UInt8(ascii: "."))
        return path
    }

    private mutating func keyPart() throws(Stop) -> String {
        if current == UInt8(ascii: "\"") || current == UInt8(ascii: "'") { return try string() }
        let start = position
        while let byte = current, isBareKey(byte) { advance() }
        guard position > start else { throw .syntax }
        return String(decoding: text[start..<position], as: UTF8.self)
    }

    private mutating func value(at path: [String], depth: Int) throws(Stop) {
        guard depth < nestingLimit else { throw .nesting }
        switch current {
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            _ = try string()
        case UInt8(ascii: "["):
            try list(at: path, depth: depth)
        case UInt8(ascii: "{"):
            try inlineTable(at: path, depth: depth)
        default:
            let start = position
            while let byte = current, !endsScalar(byte) { advance() }
            guard position > start else { throw .syntax }
        }
    }

    private mutating func list(at path: [String], depth: Int) throws(Stop) {
        advance()
        var item = 0
        while true {
            skipBlank(newlines: true)
            if take(UInt8(ascii: "]")) { return }
            record(Place(path: path, item: item))
            item += 1
            try value(at: path, depth: depth + 1)
            skipBlank(newlines: true)
            if take(UInt8(ascii: ",")) { continue }
            try expect(UInt8(ascii: "]"))
            return
        }
    }

    private mutating func inlineTable(at path: [String], depth: Int) throws(Stop) {
        advance()
        while true {
            skipBlank(newlines: true)
            if take(UInt8(ascii: "}")) { return }
            try keyValue(in: path, depth: depth + 1)
            skipBlank(newlines: true)
            if take(UInt8(ascii: ",")) { continue }
            try expect(UInt8(ascii: "}"))
            return
        }
    }

    /// A string of any of TOML's four kinds, decoded as far as a key needs it.
    private mutating func string() throws(Stop) -> String {
        guard let quote = current else { throw .syntax }
        let isMultiline = peek(1) == quote && peek(2) == quote
        let width = isMultiline ? 3 : 1
        for _ in 0..<width { advance() }
        let escapes = quote == UInt8(ascii: "\"")
        var bytes: [UInt8] = []
        while let byte = current {
            if byte == quote, !isMultiline || (peek(1) == quote && peek(2) == quote) {
                for _ in 0..<width { advance() }
                // Up to two more quotes belong to the content of a multi-line string.
                while isMultiline, current == quote { advance() }
                return String(decoding: bytes, as: UTF8.self)
            }
            guard isMultiline || byte != newline else { throw .syntax }
            advance()
            guard escapes, byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                continue
            }
            try escape(into: &bytes)
        }
        throw .syntax
    }

    private mutating func escape(into bytes: inout [UInt8]) throws(Stop) {
        guard let byte = current else { throw .syntax }
        advance()
        switch byte {
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "n"): bytes.append(newline)
        case UInt8(ascii: "u"), UInt8(ascii: "U"):
            let end = min(position + (byte == UInt8(ascii: "u") ? 4 : 8), text.count)
            let digits = String(decoding: text[position..<end], as: UTF8.self)
            guard let scalar = UInt32(digits, radix: 16).flatMap(Unicode.Scalar.init) else { throw .syntax }
            position = end
            bytes += Array(String(scalar).utf8)
        default: bytes.append(byte)
        }
    }

    private mutating func record(_ place: Place) {
        if lines[place] == nil { lines[place] = line }
    }

    private var current: UInt8? { peek(0) }

    private func peek(_ offset: Int) -> UInt8? {
        position + offset < text.count ? text[position + offset] : nil
    }

    private mutating func advance() {
        guard position < text.count else { return }
        if text[position] == newline { line += 1 }
        position += 1
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard current == byte else { return false }
        advance()
        return true
    }

    private mutating func expect(_ byte: UInt8) throws(Stop) {
        skipBlank(newlines: false)
        guard take(byte) else { throw .syntax }
    }

    /// Skips spaces, tabs, carriage returns and comments; also line ends where they mean nothing.
    private mutating func skipBlank(newlines: Bool) {
        while let byte = current {
            switch byte {
            case 0x20, 0x09, 0x0d: advance()
            case UInt8(ascii: "#"):
                while current != nil, current != newline { advance() }
            case newline where newlines: advance()
            default: return
            }
        }
    }

    private func isBareKey(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
            || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-") || byte >= 0x80
    }

    private func endsScalar(_ byte: UInt8) -> Bool {
        byte == newline || byte == 0x0d || byte == UInt8(ascii: ",") || byte == UInt8(ascii: "]")
            || byte == UInt8(ascii: "}") || byte == UInt8(ascii: "#")
    }
}

private let newline: UInt8 = 0x0a
private let nestingLimit = 16
