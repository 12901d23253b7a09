// SPDX-License-Identifier: Apache-2.0
// Adit: adit

extension TOMLCursor {
    /// A string of any of the four kinds, from its opening quote on.
    mutating func string() throws(TOMLFault) -> String {
        let unended = fault("the string does not end")
        guard let quote = current else { throw unended }
        let isLong = peek(1) == quote && peek(2) == quote
        for _ in 0..<(isLong ? 3 : 1) { advance() }
        if isLong { skipLineEnd() }
        var bytes: [UInt8] = []
        while let byte = current {
            switch byte {
            case quote where !isLong:
                advance()
                return String(decoding: bytes, as: UTF8.self)
            case quote where peek(1) == quote && peek(2) == quote:
                for _ in 0..<3 { advance() }
                // Up to two quotes may stand before the closing three.
                for _ in 0..<2 where take(quote) { bytes.append(quote) }
                return String(decoding: bytes, as: UTF8.self)
            case UInt8(ascii: "\\") where quote == UInt8(ascii: "\""):
                advance()
                if isLong, try joinsLines() { continue }
                bytes += try escape()
            case newline where isLong, carriageReturn where isLong && peek(1) == newline:
                advance()
                bytes.append(byte)
            case newline,
                carriageReturn where peek(1) == newline:
                throw unended
            case _ where isForbidden(byte):
                throw fault("a control character in a string")
            default:
                advance()
                bytes.append(byte)
            }
        }
        throw unended
    }

    /// A line end directly after the opening quotes is not part of the string.
    private mutating func skipLineEnd() {
        if current == carriageReturn, peek(1) == newline { advance() }
        if current == newline { advance() }
    }

    /// Whether the backslash just read stands at the end of a line; then all blanks up to the next character are gone.
    private mutating func joinsLines() throws(TOMLFault) -> Bool {
        var offset = 0
        while let byte = peek(offset), byte == 0x20 || byte == 0x09 { offset += 1 }
        guard peek(offset) == newline || (peek(offset) == carriageReturn && peek(offset + 1) == newline) else {
            return false
        }
        while let byte = current, byte == 0x20 || byte == 0x09 || byte == newline || byte == carriageReturn {
            advance()
        }
        return true
    }

    /// The UTF-8 bytes of the escape after a backslash.
    private mutating func escape() throws(TOMLFault) -> [UInt8] {
        let unknown = fault("unknown escape in a string; allowed are \\b \\t \\n \\f \\r \\\" \\\\ \\uXXXX \\UXXXXXXXX")
        guard let byte = current else { throw unknown }
        advance()
        switch byte {
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "n"): return [newline]
        case UInt8(ascii: "f"): return [0x0c]
        case UInt8(ascii: "r"): return [carriageReturn]
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): return [byte]
        case UInt8(ascii: "u"), UInt8(ascii: "U"):
            var digits: [UInt8] = []
            for _ in 0..<(byte == UInt8(ascii: "u") ? 4 : 8) {
                guard let digit = current else { throw unknown }
                digits.append(digit)
                advance()
            }
            guard let value = decodeHexadecimal(digits),
                let scalar = Unicode.Scalar(value.reduce(0) { $0 << 8 | UInt32($1) })
            else { throw unknown }
            return Array(String(scalar).utf8)
        default: throw unknown
        }
    }
}
