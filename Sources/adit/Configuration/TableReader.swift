// SPDX-License-Identifier: Apache-2.0
// Adit: adit

/// One table of a configuration file: typed access to its keys, with every fault noted where it stands.
struct TableReader {
    let table: TOMLTable
    let path: [String]
    let keys: [ConfigurationKey]
    let problems: ConfigurationProblems

    /// A text of a list with its position, for messages about it.
    struct Item {
        var text: String
        var index: Int?
    }

    /// Notes every key that does not belong here, or that this version refuses.
    func checkKeys() {
        for name in table.names {
            guard let key = keys.first(where: { $0.name == name }) else {
                problems.error(path + [name], "unknown key; \(hint(for: name))")
                continue
            }
            if let reason = key.unsupported { problems.error(path + [name], "\(reason); \(key.allowed)") }
        }
    }

    /// Whether the key is there at all.
    func has(_ name: String) -> Bool { table[name] != nil }

    /// Notes an error about a key: `found …; allowed …`.
    func refuse(_ name: String, found: String, item: Int? = nil) {
        problems.error(path + [name], "found \(found); allowed is \(allowed(name))", item: item)
    }

    /// A string; the value of a `secret` key never gets into a message.
    func string(_ name: String, secret: Bool = false) -> String? {
        guard let value = value(name) else { return nil }
        guard case .string(let text) = value else {
            refuse(name, found: Self.describe(value, secret: secret))
            return nil
        }
        return text
    }

    /// A list of strings; a single string is a list of one. Nil when the key is absent or faulty.
    func strings(_ name: String, limit: Int = 255, mayBeEmpty: Bool = false) -> [Item]? {
        guard let value = value(name) else { return nil }
        if case .string(let text) = value { return [Item(text: text, index: nil)] }
        guard case .array(let list) = value else {
            refuse(name, found: Self.describe(value))
            return nil
        }
        guard !list.isEmpty || mayBeEmpty else {
            refuse(name, found: "an empty list")
            return nil
        }
        guard list.count <= limit else {
            refuse(name, found: "a list of \(list.count)")
            return nil
        }
        var items: [Item] = []
        for (index, node) in list.enumerated() {
            guard case .string(let text) = node.value else {
                refuse(name, found: Self.describe(node.value) + " in the list", item: index)
                continue
            }
            items.append(Item(text: text, index: index))
        }
        return items.count == list.count ? items : nil
    }

    func boolean(_ name: String) -> Bool? {
        guard let value = value(name) else { return nil }
        guard case .boolean(let flag) = value else {
            refuse(name, found: Self.describe(value))
            return nil
        }
        return flag
    }

    func integer(_ name: String, in range: ClosedRange<Int>) -> Int? {
        guard let value = value(name) else { return nil }
        guard case .integer(let long) = value, let number = Int(exactly: long), range.contains(number) else {
            refuse(name, found: Self.describe(value))
            return nil
        }
        return number
    }

    /// A number, or the word `"auto"`, which is nil like an absent key.
    func integerOrAuto(_ name: String, in range: ClosedRange<Int>) -> Int? {
        guard let value = value(name) else { return nil }
        if case .string("auto") = value { return nil }
        return integer(name, in: range)
    }

    /// One of the words of an enumeration.
    func word<Word: RawRepresentable & CaseIterable>(_ name: String, _ type: Word.Type) -> Word?
    where Word.RawValue == String {
        guard let text = string(name) else { return nil }
        guard let word = Word(rawValue: text) else {
            let near = nearestWord(to: text, among: Word.allCases.map(\.rawValue))
            let hint = near.map { " (did you mean \"\($0)\"?)" } ?? ""
            problems.error(path + [name], "found \(quoted(text)); allowed is \(allowed(name))\(hint)")
            return nil
        }
        return word
    }

    func duration(_ name: String) -> Duration? {
        guard let text = string(name) else { return nil }
        guard let duration = Self.parseDuration(text) else {
            refuse(name, found: quoted(text))
            return nil
        }
        return duration
    }

    /// A table inside this one.
    func tableValue(_ name: String) -> TOMLTable? {
        guard let value = value(name) else { return nil }
        guard case .table(let inner) = value else {
            refuse(name, found: Self.describe(value))
            return nil
        }
        return inner
    }

    /// Whether the key holds a table with nothing in it.
    func isEmptyTable(_ name: String) -> Bool {
        guard case .table(let inner) = value(name) else { return false }
        return inner.names.isEmpty
    }

    /// The names in a table of tables, in the order of the file, and the tables; what is no table is an error.
    func namedTables(_ name: String) -> [(name: String, table: TOMLTable)] {
        guard let outer = tableValue(name) else { return [] }
        let path = path + [name]
        return outer.names.compactMap { key in
            switch outer[key]?.value {
            case .table(let inner): return (key, inner)
            case .faulty, nil: return nil
            case .some(let value):
                problems.error(path + [key], "found \(Self.describe(value)); allowed is \(allowed(name))")
                return nil
            }
        }
    }

    /// What a value is, and which where that is short; `secret` values are only named by their type.
    static func describe(_ value: TOMLValue, secret: Bool = false) -> String {
        switch value {
        case .string(let text): secret ? "a string" : quoted(text)
        case .integer(let number): secret ? "a number" : "the number \(number)"
        case .boolean(let flag): secret ? "true or false" : "\(flag)"
        case .float: "a number with a fraction"
        case .dateTime: "a date or time"
        case .array: "a list"
        case .table: "a table"
        case .faulty: "a fault"
        }
    }

    /// `"30s" "5m" "8h" "1d"`, at most ten years; nil for anything else.
    static func parseDuration(_ text: String) -> Duration? {
        guard let unit = text.utf8.last, let scale = durationUnits[unit] else { return nil }
        let digits = text.utf8.dropLast()
        guard (1...9).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
            let count = Int64(String(text.dropLast())), count <= durationLimit / scale
        else { return nil }
        return .seconds(count * scale)
    }

    /// What an unknown key was meant to be: another table's key, the nearest one of this table, or any of them.
    private func hint(for name: String) -> String {
        if let home = ConfigurationKey.home(of: name) { return "it belongs in \(home)" }
        if let near = ConfigurationKey.nearest(to: name, among: keys) { return "did you mean \"\(near)\"?" }
        let allowed = keys.filter { $0.unsupported == nil }.map(\.name).joined(separator: ", ")
        return "allowed here: \(allowed)"
    }

    /// The value of a key that this version knows; nil also when its fault has been noted already.
    private func value(_ name: String) -> TOMLValue? {
        guard keys.first(where: { $0.name == name })?.unsupported == nil, let value = table[name]?.value else {
            return nil
        }
        if case .faulty = value { return nil }
        return value
    }

    private func allowed(_ name: String) -> String { keys.first { $0.name == name }?.allowed ?? "another value" }

    private static let durationUnits: [UInt8: Int64] = [
        UInt8(ascii: "s"): 1, UInt8(ascii: "m"): 60, UInt8(ascii: "h"): 3600, UInt8(ascii: "d"): 86_400,
    ]
    private static let durationLimit: Int64 = 3650 * 86_400
}
