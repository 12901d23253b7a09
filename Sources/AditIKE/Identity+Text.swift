// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

extension Identity: LosslessStringConvertible {
    /// Parses the form that swanctl uses; nil when it is none.
    ///
    /// `192.0.2.1` or `2001:db8::1` is an address, `user@fqdn` an e-mail address, `keyid:HEX` or `@#HEX` a key id,
    /// `C=CH, O=Example, CN=paris` a distinguished name, `asn1dn:#HEX` one in DER, and everything else a name; `@NAME`
    /// and `fqdn:NAME` are names whatever they look like, as `email:TEXT` is an e-mail address.
    public init?(_ description: String) {
        let text = description[...]
        if let hex = Self.drop("keyid:", text) ?? Self.drop("@#", text) {
            guard let bytes = Self.bytes(hex: Self.drop("#", hex) ?? hex) else { return nil }
            self = .keyID(bytes)
        } else if let hex = Self.drop("asn1dn:#", text) {
            guard let bytes = Self.bytes(hex: hex) else { return nil }
            self = .distinguishedName(bytes)
        } else if let name = Self.drop("fqdn:", text) ?? Self.drop("@", text) {
            guard Self.isName(name.utf8) else { return nil }
            self = .fqdn(String(name))
        } else if let name = Self.drop("email:", text) {
            guard Self.isName(name.utf8) else { return nil }
            self = .email(String(name))
        } else if let address = IPAddress(description) {
            self = .address(address)
        } else if Self.has("=", text), let name = DistinguishedName(description)?.der,
            Self.dataLengths.contains(name.count)
        {
            self = .distinguishedName(name)
        } else if Self.isName(text.utf8), !Self.has("=", text), !Self.has(":", text), !Self.has("%", text) {
            self = Self.has("@", text) ? .email(description) : .fqdn(description)
        } else {
            return nil
        }
    }

    /// The same form, with a prefix where the bare text would be read as something else.
    public var description: String {
        switch self {
        case .address(let address): address.description
        case .fqdn(let name): Identity(name) == self ? name : "fqdn:\(name)"
        case .email(let name): Identity(name) == self ? name : "email:\(name)"
        case .distinguishedName(let bytes): Self.text(distinguishedName: bytes) ?? "asn1dn:#\(Self.hex(bytes))"
        case .keyID(let bytes): "keyid:\(Self.hex(bytes))"
        }
    }

    /// The name as text when the text, read again, is an equal name: certificates encode the same words in one of
    /// several string types, and people want to read the words (RFC 5280 §7.1).
    private static func text(distinguishedName bytes: [UInt8]) -> String? {
        guard let name = DistinguishedName(der: bytes) else { return nil }
        let text = name.description
        return DistinguishedName(text) == name ? text : nil
    }

    /// As a scalar: a combining mark after it would make another character of it.
    private static func has(_ scalar: Unicode.Scalar, _ text: Substring) -> Bool {
        text.unicodeScalars.contains(scalar)
    }

    private static func drop(_ prefix: String, _ text: Substring) -> Substring? {
        text.hasPrefix(prefix) ? text.dropFirst(prefix.count) : nil
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { hexadecimal(UInt64($0), digits: 2) }.joined()
    }

    private static func bytes(hex: Substring) -> [UInt8]? {
        let digits = hex.utf8.map { byte -> UInt8? in
            switch byte {
            case 0x30...0x39: byte - 0x30
            case 0x41...0x46: byte - 0x41 + 10
            case 0x61...0x66: byte - 0x61 + 10
            default: nil
            }
        }
        guard digits.count % 2 == 0, dataLengths.contains(digits.count / 2) else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digits[index], let low = digits[index + 1] else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }
}

extension IdentificationPayload: CustomStringConvertible {
    /// The identity's text, or the type and the length of what we do not understand.
    public var description: String {
        Identity(self)?.description ?? "identification type \(type.rawValue) of \(bytes.count) bytes"
    }
}
