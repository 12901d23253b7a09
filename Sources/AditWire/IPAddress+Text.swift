// SPDX-License-Identifier: Apache-2.0
// Adit: AditWire

extension IPAddress: LosslessStringConvertible {
    /// Parses dotted-quad IPv4 or RFC 4291 §2.2 IPv6 text (also with an embedded IPv4 tail); no zone, no brackets.
    public init?(_ description: String) {
        guard description.utf8.count <= Self.textLengthLimit else { return nil }
        if description.contains(":") {
            self.init(v6Text: description)
        } else {
            guard let value = Self.parseV4(description) else { return nil }
            self.init(v4: value)
        }
    }

    /// Canonical text: dotted quad, or RFC 5952 (lowercase, longest run of zeros as `::`).
    public var description: String {
        switch family {
        case .v4: bytes.map(String.init).joined(separator: ".")
        case .v6: textV6
        }
    }

    private init?(v6Text text: String) {
        var head: [UInt16] = []
        var tail: [UInt16] = []
        let halves = text.split(separator: "::", omittingEmptySubsequences: false)
        guard halves.count <= 2 else { return nil }
        guard Self.parseGroups(halves[0], into: &head, mayEndInV4: halves.count == 1) else { return nil }
        if halves.count == 2 {
            guard Self.parseGroups(halves[1], into: &tail, mayEndInV4: true) else { return nil }
        }
        let missing = 8 - head.count - tail.count
        guard halves.count == 2 ? missing >= 1 : missing == 0 else { return nil }
        let groups = head + Array(repeating: 0, count: missing) + tail
        self.init(
            v6High: groups[0..<4].reduce(0) { $0 << 16 | UInt64($1) },
            low: groups[4..<8].reduce(0) { $0 << 16 | UInt64($1) })
    }

    private static func parseGroups(_ text: Substring, into groups: inout [UInt16], mayEndInV4: Bool) -> Bool {
        if text.isEmpty { return true }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 8 else { return false }
        for (index, part) in parts.enumerated() {
            if mayEndInV4, index == parts.count - 1, part.contains(".") {
                guard let value = parseV4(String(part)) else { return false }
                groups += [UInt16(value >> 16), UInt16(value & 0xffff)]
            } else {
                guard (1...4).contains(part.utf8.count), part.utf8.allSatisfy({ $0 != UInt8(ascii: "+") }),
                    let group = UInt16(part, radix: 16)
                else { return false }
                groups.append(group)
            }
        }
        return groups.count <= 8
    }

    private static func parseV4(_ text: String) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            // A leading zero would be octal to some parsers: refused rather than guessed.
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                part.utf8.count == 1 || part.first != "0", let octet = UInt8(part)
            else { return nil }
            value = value << 8 | UInt32(octet)
        }
        return value
    }

    private var textV6: String {
        let groups = (0..<8).map { UInt16(truncatingIfNeeded: ($0 < 4 ? high : low) >> (48 - 16 * UInt64($0 % 4))) }
        var best = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start > max(best.count, 1) { best = start..<end }
            start = max(end, start + 1)
        }
        let text = { (part: ArraySlice<UInt16>) in part.map { String($0, radix: 16) }.joined(separator: ":") }
        return best.isEmpty
            ? text(groups[...]) : "\(text(groups[..<best.lowerBound]))::\(text(groups[best.upperBound...]))"
    }

    private static let textLengthLimit = 45
}
