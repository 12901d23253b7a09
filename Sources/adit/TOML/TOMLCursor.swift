// SPDX-License-Identifier: Apache-2.0
// Adit: adit

/// A place in a TOML text, and the smallest things that can stand there.
struct TOMLCursor {
    private let text: [UInt8]
    private var position = 0
    /// The line of ``current``, counted from 1.
    private(set) var line = 1

    init(_ text: [UInt8]) { self.text = text }

    /// The next byte; nil at the end.
    var current: UInt8? { peek(0) }

    var isAtEnd: Bool { position >= text.count }

    func fault(_ message: String) -> TOMLFault { TOMLFault(line: line, message: message) }

    mutating func advance() {
        guard position < text.count else { return }
        if text[position] == newline { line += 1 }
        position += 1
    }

    /// Steps over `byte` if it stands here.
    mutating func take(_ byte: UInt8) -> Bool {
        guard current == byte else { return false }
        advance()
        return true
    }

    mutating func skipByteOrderMark() {
        if text.starts(with: [0xef, 0xbb, 0xbf]) { position = 3 }
    }

    /// Skips spaces and tabs, and with `lines` also comments and the ends of lines.
    mutating func skipBlank(lines: Bool) throws(TOMLFault) {
        while let byte = current {
            switch byte {
            case 0x20, 0x09: advance()
            case newline where lines: advance()
            case carriageReturn where lines && peek(1) == newline: advance()
            case UInt8(ascii: "#") where lines: try skipComment()
            default: return
            }
        }
    }

    /// Blanks and a comment, then the end of the line or of the text.
    mutating func endOfLine() throws(TOMLFault) {
        try skipBlank(lines: false)
        if current == UInt8(ascii: "#") { try skipComment() }
        if current == carriageReturn, peek(1) == newline { advance() }
        guard current == nil || current == newline else { throw fault("expected the end of the line") }
        advance()
    }

    /// Goes on at the next line after `line` that looks like a header or a key with its value, so that one fault in a
    /// long list is not many.
    mutating func recover(after line: Int) {
        // A string that does not end was read to the end of the text: begin again below its first line.
        while self.line > line, position > 0 {
            position -= 1
            if text[position] == newline { self.line -= 1 }
        }
        while current != nil {
            while current != nil, current != newline { advance() }
            advance()
            if startsStatement { return }
        }
    }

    /// A bare or quoted part of a key; nil when there is none.
    mutating func keyPart() throws(TOMLFault) -> String? {
        if current == UInt8(ascii: "\"") || current == UInt8(ascii: "'") {
            guard peek(1) != current || peek(2) != current else { throw fault("a key is no multi-line string") }
            return try string()
        }
        let word = take { Self.isBareKey($0) }
        return word.isEmpty ? nil : word
    }

    /// The longest run of bytes that `accept` takes; they are ASCII.
    mutating func take(while accept: (UInt8) -> Bool) -> String {
        let start = position
        while let byte = current, accept(byte) { advance() }
        return String(decoding: text[start..<position], as: UTF8.self)
    }

    /// The byte `offset` further on.
    func peek(_ offset: Int) -> UInt8? { position + offset < text.count ? text[position + offset] : nil }

    static func isBareKey(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
            || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
    }

    private mutating func skipComment() throws(TOMLFault) {
        while let byte = current, byte != newline, byte != carriageReturn || peek(1) != newline {
            guard !isForbidden(byte) else { throw fault("a control character in a comment") }
            advance()
        }
    }

    private var startsStatement: Bool {
        var offset = 0
        let skip = { (accept: (UInt8) -> Bool) in
            while let byte = peek(offset), accept(byte) { offset += 1 }
        }
        skip { $0 == 0x20 || $0 == 0x09 }
        let isHeader = peek(offset) == UInt8(ascii: "[")
        skip { $0 == UInt8(ascii: "[") }
        let start = offset
        skip { Self.isBareKey($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "'") }
        guard offset > start else { return false }
        skip { $0 == 0x20 || $0 == 0x09 }
        return peek(offset) == UInt8(ascii: isHeader ? "]" : "=")
    }
}

/// Whether a byte may not stand in a TOML text outside of line ends: control characters other than the tab.
func isForbidden(_ byte: UInt8) -> Bool { (byte < 0x20 && byte != 0x09) || byte == 0x7f }

let newline: UInt8 = 0x0a
let carriageReturn: UInt8 = 0x0d
