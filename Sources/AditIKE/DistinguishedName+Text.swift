// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

extension DistinguishedName: LosslessStringConvertible {
    /// Parses `C=CH, O=Example, CN=paris`, in the order of the DER; nil when it is none.
    ///
    /// A backslash takes the next character as it is; `+` joins attributes of one relative name. Types are the usual
    /// keywords in any case, or dotted numbers.
    public init?(_ description: String) {
        var relativeNames: [[Attribute]] = []
        for relative in Self.split(description[...], at: ",") {
            var attributes: [Attribute] = []
            for part in Self.split(relative, at: "+") {
                let sides = Self.split(part, at: "=", limit: 2)
                guard sides.count == 2, let type = Self.type(of: Self.trimmed(sides[0])) else { return nil }
                let value = Self.unescaped(Self.trimmed(sides[1]))
                guard !value.isEmpty, value.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
                else { return nil }
                attributes.append(
                    Attribute(type: type, tag: Self.stringType(of: value, for: type), value: Array(value.utf8)))
            }
            relativeNames.append(attributes)
        }
        guard !relativeNames.isEmpty, relativeNames.joined().count <= Self.attributeLimit else { return nil }
        self.relativeNames = relativeNames
    }

    /// The same form; values that are no text are shown as `#` and their bytes in hexadecimal.
    public var description: String {
        relativeNames.map { attributes in
            attributes.map { attribute in
                let name = Self.keyword(of: attribute.type)
                guard let text = attribute.text,
                    text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
                else { return "\(name)=#" + attribute.value.map { hexadecimal(UInt64($0), digits: 2) }.joined() }
                return "\(name)=\(Self.escaped(text))"
            }.joined(separator: " + ")
        }.joined(separator: ", ")
    }

    // Scalar by scalar: as characters, a separator and a combining mark after it would be one.
    private static func split(_ text: Substring, at separator: Unicode.Scalar, limit: Int = .max) -> [Substring] {
        let scalars = text.unicodeScalars
        var parts: [Substring] = []
        var start = scalars.startIndex
        var isEscaped = false
        for index in scalars.indices {
            if isEscaped {
                isEscaped = false
            } else if scalars[index] == "\\" {
                isEscaped = true
            } else if scalars[index] == separator, parts.count + 1 < limit {
                parts.append(Substring(scalars[start..<index]))
                start = scalars.index(after: index)
            }
        }
        return parts + [Substring(scalars[start...])]
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var scalars = text.unicodeScalars.drop { $0 == " " }
        // A backslash before it takes the last space, unless it is taken itself.
        while scalars.last == " ", scalars.dropLast().reversed().prefix(while: { $0 == "\\" }).count % 2 == 0 {
            scalars.removeLast()
        }
        return Substring(scalars)
    }

    private static func unescaped(_ text: Substring) -> String {
        var result = String.UnicodeScalarView()
        var isEscaped = false
        for scalar in text.unicodeScalars {
            if !isEscaped, scalar == "\\" {
                isEscaped = true
            } else {
                result.append(scalar)
                isEscaped = false
            }
        }
        return String(result)
    }

    private static func escaped(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        let last = text.unicodeScalars.count - 1
        for (offset, scalar) in text.unicodeScalars.enumerated() {
            if ",+=\\".unicodeScalars.contains(scalar) || (offset == 0 || offset == last) && scalar == " " {
                result.append("\\")
            }
            result.append(scalar)
        }
        return String(result)
    }

    /// RFC 5280 appendix A.1: which string type certificates use for a type.
    private static func stringType(of value: String, for type: [UInt8]) -> UInt8 {
        if type == emailAddress || type == domainComponent { return DERReader.ia5String }
        let isPrintable = value.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                || " '()+,-./:=?".utf8.contains(byte)
        }
        let mustBePrintable = type == country || type == serialNumber
        return mustBePrintable && isPrintable ? DERReader.printableString : DERReader.utf8String
    }

    private static func type(of keyword: Substring) -> [UInt8]? {
        let upper = keyword.uppercased()
        if let known = keywords.first(where: { $0.names.contains(upper) }) { return known.type }
        let numbers = keyword.split(separator: ".", omittingEmptySubsequences: false).map { UInt32($0) }
        guard (2...16).contains(numbers.count), let first = numbers[0], let second = numbers[1], first <= 2,
            second < 40, !numbers.contains(nil)
        else { return nil }
        return ([first * 40 + second] + numbers.dropFirst(2).compactMap(\.self)).flatMap(base128)
    }

    /// X.690 §8.19.2: seven bits an octet, the top bit on all but the last.
    private static func base128(_ number: UInt32) -> [UInt8] {
        var digits = [UInt8(number & 0x7f)]
        var left = number >> 7
        while left > 0 {
            digits.insert(UInt8(left & 0x7f) | 0x80, at: 0)
            left >>= 7
        }
        return digits
    }

    private static func keyword(of type: [UInt8]) -> String {
        if let known = keywords.first(where: { $0.type == type }) { return known.names[0] }
        var numbers: [UInt64] = []
        var number: UInt64 = 0
        for byte in type {
            guard number <= UInt64.max >> 8 else { return "OID" }
            number = number << 7 | UInt64(byte & 0x7f)
            guard byte & 0x80 == 0 else { continue }
            numbers += numbers.isEmpty ? [min(number / 40, 2), number - 40 * min(number / 40, 2)] : [number]
            number = 0
        }
        return numbers.map(String.init).joined(separator: ".")
    }

    private static let country: [UInt8] = [0x55, 4, 6]
    private static let serialNumber: [UInt8] = [0x55, 4, 5]
    private static let emailAddress: [UInt8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1]
    private static let domainComponent: [UInt8] = [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25]

    /// X.520 and RFC 4519; the first name of each is printed.
    private static let keywords: [(names: [String], type: [UInt8])] = [
        (["CN"], [0x55, 4, 3]), (["O"], [0x55, 4, 10]), (["OU"], [0x55, 4, 11]), (["C"], country),
        (["L"], [0x55, 4, 7]), (["ST", "S"], [0x55, 4, 8]), (["STREET"], [0x55, 4, 9]),
        (["T", "TITLE"], [0x55, 4, 12]),
        (["SERIALNUMBER"], serialNumber), (["SN", "SURNAME"], [0x55, 4, 4]),
        (["G", "GN", "GIVENNAME"], [0x55, 4, 42]),
        (["DNQ", "DNQUALIFIER"], [0x55, 4, 46]), (["E", "EMAIL", "EMAILADDRESS"], emailAddress),
        (["DC"], domainComponent), (["UID"], [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1]),
    ]
}
