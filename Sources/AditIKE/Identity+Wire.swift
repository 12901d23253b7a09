// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

extension Identity {
    /// The identity of an ID payload; nil for a type that we do not know or data that its type forbids (RFC 7296 §3.5).
    public init?(_ payload: IdentificationPayload) {
        switch payload.type {
        case .ipv4Address, .ipv6Address:
            guard let address = IPAddress(bytes: payload.bytes),
                address.family == (payload.type == .ipv4Address ? .v4 : .v6)
            else { return nil }
            self = .address(address)
        case .fqdn:
            guard let name = Self.name(payload.bytes) else { return nil }
            self = .fqdn(name)
        case .email:
            guard let name = Self.name(payload.bytes) else { return nil }
            self = .email(name)
        case .distinguishedName:
            guard Self.dataLengths.contains(payload.bytes.count) else { return nil }
            self = .distinguishedName(payload.bytes)
        case .keyID:
            guard Self.dataLengths.contains(payload.bytes.count) else { return nil }
            self = .keyID(payload.bytes)
        default:
            return nil
        }
    }

    /// The identity as an ID payload carries it.
    public var payload: IdentificationPayload {
        switch self {
        case .address(let address):
            IdentificationPayload(
                type: address.family == .v4 ? .ipv4Address : .ipv6Address, bytes: address.bytes)
        case .fqdn(let name): IdentificationPayload(type: .fqdn, bytes: Array(name.utf8))
        case .email(let name): IdentificationPayload(type: .email, bytes: Array(name.utf8))
        case .distinguishedName(let bytes): IdentificationPayload(type: .distinguishedName, bytes: bytes)
        case .keyID(let bytes): IdentificationPayload(type: .keyID, bytes: bytes)
        }
    }

    /// Whether `other`, which a peer claims, is this identity, which is configured.
    ///
    /// Names are compared without regard to ASCII case; `*.example.com` stands for every name below `example.com`, and
    /// `*@example.com` for every address in it. A star in `other` is only a star. Distinguished names are compared as
    /// RFC 5280 §7.1 says.
    public func matches(_ other: Identity) -> Bool {
        switch (self, other) {
        case (.fqdn(let wanted), .fqdn(let name)), (.email(let wanted), .email(let name)):
            let wanted = Array(wanted.lowercased().utf8)
            let name = Array(name.lowercased().utf8)
            guard wanted.starts(with: "*.".utf8) || wanted.starts(with: "*@".utf8) else { return wanted == name }
            let tail = wanted.dropFirst()
            return name.count > tail.count && name.suffix(tail.count).elementsEqual(tail)
        case (.distinguishedName(let wanted), .distinguishedName(let name)):
            guard wanted != name else { return true }
            guard let wanted = DistinguishedName(der: wanted), let name = DistinguishedName(der: name) else {
                return false
            }
            return wanted == name
        default:
            return self == other
        }
    }

    /// Printable ASCII without spaces: what names consist of, and what is safe to log.
    static func isName(_ bytes: some Collection<UInt8>) -> Bool {
        nameLengths.contains(bytes.count) && bytes.allSatisfy { (0x21...0x7e).contains($0) }
    }

    private static func name(_ bytes: [UInt8]) -> String? {
        isName(bytes) ? String(decoding: bytes, as: UTF8.self) : nil
    }

    private static let nameLengths = 1...255
    static let dataLengths = 1...4096
}
