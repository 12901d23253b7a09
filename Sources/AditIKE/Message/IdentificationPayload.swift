// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

/// IDi or IDr as it is on the wire (RFC 7296 §3.5); ``Identity`` is its meaning.
public struct IdentificationPayload: Hashable, Sendable {
    /// The type of identification.
    public var type: IdentificationType
    /// The reserved octets as received, at most 24 bits: AUTH covers them (RFC 7296 §2.15). Zero in what we make.
    public var reserved: UInt32
    /// The identification data.
    public var bytes: [UInt8]

    /// An identification of `bytes`.
    public init(type: IdentificationType, bytes: [UInt8]) {
        self.type = type
        self.reserved = 0
        self.bytes = bytes
    }

    init(parsing reader: inout ByteReader) throws(WireError) {
        let word = try reader.readUInt32()
        type = IdentificationType(rawValue: UInt8(word >> 24))
        reserved = word & 0xff_ffff
        bytes = Array(reader.readRemaining())
    }

    func serialize(into writer: inout ByteWriter) {
        writer.write(UInt32(type.rawValue) << 24 | reserved & 0xff_ffff)
        writer.write(contentsOf: bytes)
    }

    /// The payload without its generic header: RestOfInitIDPayload in RFC 7296 §2.15.
    public var body: [UInt8] {
        var writer = ByteWriter(reservingCapacity: bytes.count + 4)
        serialize(into: &writer)
        return writer.bytes
    }
}

/// A type of identification (RFC 7296 §3.5, IANA).
public struct IdentificationType: RawRepresentable, Hashable, Sendable {
    /// IANA's number.
    public let rawValue: UInt8
    /// Wraps a number, also one that we do not know.
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// ID_IPV4_ADDR.
    public static let ipv4Address = IdentificationType(rawValue: 1)
    /// ID_FQDN.
    public static let fqdn = IdentificationType(rawValue: 2)
    /// ID_RFC822_ADDR.
    public static let email = IdentificationType(rawValue: 3)
    /// ID_IPV6_ADDR.
    public static let ipv6Address = IdentificationType(rawValue: 5)
    /// ID_DER_ASN1_DN.
    public static let distinguishedName = IdentificationType(rawValue: 9)
    /// ID_DER_ASN1_GN.
    public static let generalName = IdentificationType(rawValue: 10)
    /// ID_KEY_ID.
    public static let keyID = IdentificationType(rawValue: 11)
    /// ID_NULL (RFC 7619).
    public static let null = IdentificationType(rawValue: 13)
}
