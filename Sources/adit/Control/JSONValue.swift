// SPDX-License-Identifier: Apache-2.0
// Adit: adit

/// A JSON value (RFC 8259) whose objects keep their members' order, as `adit status --json` is stable to the byte.
enum JSONValue: Sendable, CustomStringConvertible {
    case null
    case boolean(Bool)
    case integer(Int64)
    /// Written with at most three decimals.
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([(String, JSONValue)])

    /// The value in one line.
    var text: String {
        var output = ""
        write(to: &output)
        return output
    }

    /// The same.
    var description: String { text }

    /// The member of an object; nil for other values and absent members.
    subscript(_ name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.0 == name }?.1
    }

    /// The text of a string value.
    var stringValue: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// The value of a number, a fraction included.
    var numberValue: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// The elements of an array; empty for other values.
    var elements: [JSONValue] {
        guard case .array(let elements) = self else { return [] }
        return elements
    }

    /// The members of an object; empty for other values.
    var members: [(String, JSONValue)] {
        guard case .object(let members) = self else { return [] }
        return members
    }

    /// The value of a boolean; false for other values.
    var isTrue: Bool {
        guard case .boolean(let flag) = self else { return false }
        return flag
    }

    /// A string, or null.
    static func optional(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }

    /// A count; what does not fit is the largest number.
    static func count(_ value: UInt64) -> JSONValue { .integer(Int64(clamping: value)) }

    private func write(to output: inout String) {
        switch self {
        case .null: output += "null"
        case .boolean(let flag): output += flag ? "true" : "false"
        case .integer(let value): output += String(value)
        case .number(let value): output += Self.decimal(value)
        case .string(let text): Self.write(text, to: &output)
        case .array(let elements):
            output += "["
            for (index, element) in elements.enumerated() {
                if index > 0 { output += "," }
                element.write(to: &output)
            }
            output += "]"
        case .object(let members):
            output += "{"
            for (index, member) in members.enumerated() {
                if index > 0 { output += "," }
                Self.write(member.0, to: &output)
                output += ":"
                member.1.write(to: &output)
            }
            output += "}"
        }
    }

    private static func decimal(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "null" }
        return String((value * 1000).rounded() / 1000)
    }

    private static func write(_ text: String, to output: inout String) {
        output += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\n": output += "\\n"
            case "\t": output += "\\t"
            case "\r": output += "\\r"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                let digits = String(scalar.value, radix: 16)
                output += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: output.unicodeScalars.append(scalar)
            }
        }
        output += "\""
    }
}
