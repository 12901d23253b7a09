// SPDX-License-Identifier: Apache-2.0
// Adit: adit

extension TOMLCursor {
    /// A number, boolean, date or time.
    mutating func scalar() throws(TOMLFault) -> TOMLValue {
        let start = fault("expected a value")
        var word = take {
            Self.isBareKey($0) || $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: ":")
        }
        guard !word.isEmpty else { throw start }
        if Self.isDate(word), current == 0x20, let digit = peek(1), Self.isDigit(digit) {
            // The one value with a space in it: a date and a time.
            advance()
            word +=
                " "
                + take {
                    Self.isBareKey($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "+")
                }
        }
        switch word {
        case "true": return .boolean(true)
        case "false": return .boolean(false)
        case "inf", "+inf": return .float(.infinity)
        case "-inf": return .float(-.infinity)
        case "nan", "+nan", "-nan": return .float(.nan)
        default: break
        }
        if let value = Self.integer(word) ?? Self.float(word) { return value }
        if Self.isDateTime(word) { return .dateTime }
        // The word is not shown: it may be a secret whose quotes were forgotten.
        throw TOMLFault(line: start.line, message: "expected a value; a text needs quotes")
    }

    private static func integer(_ word: String) -> TOMLValue? {
        let bases: [(prefix: String, radix: Int)] = [("0x", 16), ("0o", 8), ("0b", 2)]
        if let base = bases.first(where: { word.hasPrefix($0.prefix) }) {
            let digits = word.dropFirst(2)
            guard let plain = withoutUnderscores(digits, { isHexadecimal($0) }), !plain.hasPrefix("+"),
                !plain.hasPrefix("-")
            else { return nil }
            return Int64(plain, radix: base.radix).map(TOMLValue.integer)
        }
        let unsigned = word.hasPrefix("+") || word.hasPrefix("-") ? word.dropFirst() : word[...]
        guard let plain = withoutUnderscores(unsigned, isDigit), plain.utf8.allSatisfy(isDigit),
            plain == "0" || !plain.hasPrefix("0")
        else { return nil }
        return Int64((word.hasPrefix("-") ? "-" : "") + plain).map(TOMLValue.integer)
    }

    private static func float(_ word: String) -> TOMLValue? {
        let unsigned = word.hasPrefix("+") || word.hasPrefix("-") ? word.dropFirst() : word[...]
        guard let plain = withoutUnderscores(unsigned, isDigit), let first = plain.utf8.first, isDigit(first) else {
            return nil
        }
        // Without a point or an exponent it is an integer, and one that is too large at that.
        guard plain.contains(where: { ".eE".contains($0) }) else { return nil }
        let allowed = plain.utf8.allSatisfy { isDigit($0) || ".eE+-".utf8.contains($0) }
        let whole = plain.prefix { $0 != "." && $0 != "e" && $0 != "E" }
        guard allowed, whole == "0" || !whole.hasPrefix("0"), !plain.contains(".e"), !plain.contains(".E"),
            !plain.hasSuffix("."),
            let value = Double(plain)
        else { return nil }
        return .float(word.hasPrefix("-") ? -value : value)
    }

    /// The text without its underscores, each of which must stand between two digits; nil otherwise.
    private static func withoutUnderscores(_ text: Substring, _ isDigit: (UInt8) -> Bool) -> String? {
        let bytes = Array(text.utf8)
        guard !bytes.isEmpty else { return nil }
        for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "_") {
            guard index > 0, index + 1 < bytes.count, isDigit(bytes[index - 1]), isDigit(bytes[index + 1]) else {
                return nil
            }
        }
        return String(decoding: bytes.filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
    }

    /// `dddd-dd-dd`, `dd:dd:dd`, or both joined by `T`, `t` or a space, with fraction and offset; the fields' ranges do
    /// not matter here.
    private static func isDateTime(_ word: String) -> Bool {
        let shape = String(decoding: word.utf8.map { isDigit($0) ? UInt8(ascii: "d") : $0 }, as: UTF8.self)
        let date = "dddd-dd-dd"
        guard shape.hasPrefix(date) else { return isTime(shape[...]) }
        let rest = shape.dropFirst(date.count)
        guard let separator = rest.first else { return true }
        guard separator == "T" || separator == "t" || separator == " " else { return false }
        var time = rest.dropFirst()
        if time.last == "Z" || time.last == "z" {
            time = time.dropLast()
        } else if time.hasSuffix("+dd:dd") || time.hasSuffix("-dd:dd") {
            time = time.dropLast(6)
        }
        return isTime(time)
    }

    private static func isTime(_ shape: Substring) -> Bool {
        let time = "dd:dd:dd"
        guard shape.hasPrefix(time) else { return false }
        let fraction = shape.dropFirst(time.count)
        return fraction.isEmpty
            || (fraction.first == "." && fraction.count > 1 && fraction.dropFirst().allSatisfy { $0 == "d" })
    }

    private static func isDate(_ word: String) -> Bool {
        word.utf8.count == 10
            && word.utf8.enumerated().allSatisfy { index, byte in
                index == 4 || index == 7 ? byte == UInt8(ascii: "-") : isDigit(byte)
            }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        isDigit(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
    }
}
