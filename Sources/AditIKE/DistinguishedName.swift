// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

/// An X.501 name (RFC 5280 §4.1.2.4) as its relative names in order, read from DER.
///
/// Two names are equal when RFC 5280 §7.1 says so: whatever string type, case and spaces the same words are written in.
public struct DistinguishedName: Hashable, Sendable {
    /// One attribute of a relative name.
    struct Attribute: Hashable, Sendable {
        /// The attribute's type: the contents of its object identifier.
        let type: [UInt8]
        /// The type of the value.
        let tag: UInt8
        let value: [UInt8]

        static func == (left: Attribute, right: Attribute) -> Bool {
            left.type == right.type && left.comparable == right.comparable
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(type)
            hasher.combine(comparable)
        }

        /// The text; nil for a value that is none of the string types that are read here.
        var text: String? {
            switch tag {
            case DERReader.utf8String: String(validating: value, as: UTF8.self)
            case DERReader.printableString, DERReader.ia5String:
                value.allSatisfy { $0 < 0x80 } ? String(decoding: value, as: UTF8.self) : nil
            case DistinguishedName.teletexString:
                // ISO 8859-1 is what is meant by it in practice.
                String(String.UnicodeScalarView(value.map { UnicodeScalar($0) }))
            case DistinguishedName.bmpString:
                value.count % 2 == 0
                    ? String(
                        decoding: stride(from: 0, to: value.count, by: 2).map {
                            UInt16(value[$0]) << 8 | UInt16(value[$0 + 1])
                        }, as: UTF16.self) : nil
            default: nil
            }
        }

        /// Strings in lower case with single spaces, anything else with its type.
        private var comparable: [UInt8] { text.map { Self.folded($0) } ?? [tag] + value }

        /// The same attribute in the one form that all equal ones share.
        fileprivate var canonical: Attribute {
            text.map { Attribute(type: type, tag: DERReader.utf8String, value: Self.folded($0)) } ?? self
        }

        private static func folded(_ text: String) -> [UInt8] {
            Array(text.lowercased().split(separator: " ").joined(separator: " ").utf8)
        }
    }

    /// The relative names, the most general first; each has one attribute, rarely several.
    let relativeNames: [[Attribute]]

    /// Reads a DER Name; nil for bytes that are none, or for more than ``attributeLimit`` attributes.
    public init?(der: [UInt8]) {
        guard let name = DERReader.only(DERReader.sequence, in: der) else { return nil }
        var names = DERReader(name.content)
        var relativeNames: [[Attribute]] = []
        var count = 0
        while !names.isAtEnd {
            guard let relative = names.next(DERReader.set) else { return nil }
            var members = DERReader(relative.content)
            var attributes: [Attribute] = []
            while !members.isAtEnd {
                guard let pair = members.next(DERReader.sequence) else { return nil }
                var parts = DERReader(pair.content)
                guard let type = parts.next(DERReader.objectIdentifier), let value = parts.next(), parts.isAtEnd,
                    !type.content.isEmpty
                else { return nil }
                attributes.append(
                    Attribute(type: Array(type.content), tag: value.tag, value: Array(value.content)))
                count += 1
                guard count <= Self.attributeLimit else { return nil }
            }
            guard !attributes.isEmpty else { return nil }
            relativeNames.append(attributes)
        }
        self.relativeNames = relativeNames
    }

    init(relativeNames: [[Attribute]]) { self.relativeNames = relativeNames }

    /// The DER encoding.
    public var der: [UInt8] {
        DERReader.encode(
            DERReader.sequence,
            relativeNames.flatMap { attributes in
                let members = attributes.map { attribute in
                    DERReader.encode(
                        DERReader.sequence,
                        DERReader.encode(DERReader.objectIdentifier, attribute.type)
                            + DERReader.encode(attribute.tag, attribute.value))
                }
                // X.690 §11.6: the members of a set in ascending order.
                return DERReader.encode(
                    DERReader.set, members.sorted { $0.lexicographicallyPrecedes($1) }.flatMap { $0 })
            })
    }

    /// The name in the one form that all names equal to it share, for tables.
    var canonical: DistinguishedName { DistinguishedName(relativeNames: relativeNames.map { $0.map(\.canonical) }) }

    /// Attributes of one name at the most.
    public static let attributeLimit = 64

    fileprivate static let teletexString: UInt8 = 0x14
    fileprivate static let bmpString: UInt8 = 0x1e
}
