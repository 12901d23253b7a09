// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

/// A cursor over the elements of a DER encoding (X.690 §8, §10), for the few structures that IKE reads itself: names,
/// algorithms, revocation lists.
///
/// Certificates are read by swift-certificates.
package struct DERReader {
    private var rest: ArraySlice<UInt8>

    /// One element.
    package struct Element {
        package let tag: UInt8
        package let content: ArraySlice<UInt8>
        /// Tag and length included.
        package let whole: ArraySlice<UInt8>
    }

    package init(_ bytes: some Collection<UInt8>) { rest = ArraySlice(bytes) }

    package var isAtEnd: Bool { rest.isEmpty }

    /// The tag of the next element; nil at the end.
    package var nextTag: UInt8? { rest.first }

    /// The next element, of this tag when one is given; nil where there is none, and nothing is skipped then.
    package mutating func next(_ tag: UInt8? = nil) -> Element? {
        guard let first = rest.first, tag == nil || tag == first, first & 0x1f != 0x1f,
            let lengthByte = rest.dropFirst().first
        else { return nil }
        var header = 2
        var length = Int(lengthByte)
        if lengthByte >= 0x80 {
            let digits = rest.dropFirst(2).prefix(Int(lengthByte & 0x7f))
            // X.690 §10.1: the fewest octets, and never an indefinite length.
            guard (1...3).contains(digits.count), digits.count == Int(lengthByte & 0x7f), digits.first != 0 else {
                return nil
            }
            length = digits.reduce(0) { $0 << 8 | Int($1) }
            guard length >= 0x80 else { return nil }
            header += digits.count
        }
        guard rest.count - header >= length else { return nil }
        let whole = rest.prefix(header + length)
        rest = rest.dropFirst(header + length)
        return Element(tag: first, content: whole.dropFirst(header), whole: whole)
    }

    /// The element that `bytes` consists of; nil where it is another or where something follows.
    package static func only(_ tag: UInt8, in bytes: some Collection<UInt8>) -> Element? {
        var reader = DERReader(bytes)
        guard let element = reader.next(tag), reader.isAtEnd else { return nil }
        return element
    }

    /// A tag, the length in its shortest form, and the content.
    package static func encode(_ tag: UInt8, _ content: some Collection<UInt8>) -> [UInt8] {
        let count = content.count
        guard count >= 0x80 else { return [tag, UInt8(count)] + content }
        var digits: [UInt8] = []
        var left = count
        while left > 0 {
            digits.insert(UInt8(left & 0xff), at: 0)
            left >>= 8
        }
        return [tag, 0x80 | UInt8(digits.count)] + digits + content
    }

    package static let integer: UInt8 = 0x02
    package static let null: UInt8 = 0x05
    package static let objectIdentifier: UInt8 = 0x06
    package static let utf8String: UInt8 = 0x0c
    package static let printableString: UInt8 = 0x13
    package static let ia5String: UInt8 = 0x16
    package static let sequence: UInt8 = 0x30
    package static let set: UInt8 = 0x31

    /// The tag of constructed context-specific element `number`.
    package static func context(_ number: UInt8) -> UInt8 { 0xa0 | number }
}
