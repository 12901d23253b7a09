// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

/// CP: configuration asked for or given (RFC 7296 §3.15).
public struct ConfigurationPayload: Hashable, Sendable {
    /// What the payload does.
    public var kind: Kind
    /// The attributes in their order, ``attributeLimit`` at the most.
    public var attributes: [Attribute]

    /// A CFG type (RFC 7296 §3.15).
    public struct Kind: RawRepresentable, Hashable, Sendable {
        /// IANA's number.
        public let rawValue: UInt8
        /// Wraps a number, also one that we do not know.
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// CFG_REQUEST.
        public static let request = Kind(rawValue: 1)
        /// CFG_REPLY.
        public static let reply = Kind(rawValue: 2)
        /// CFG_SET.
        public static let set = Kind(rawValue: 3)
        /// CFG_ACK.
        public static let ack = Kind(rawValue: 4)
    }

    /// A configuration attribute (RFC 7296 §3.15.1).
    public struct Attribute: Hashable, Sendable {
        /// IANA's number, 15 bits.
        public var type: AttributeType
        /// The value; empty in a request without a wish.
        public var value: [UInt8]

        /// An attribute.
        public init(type: AttributeType, value: [UInt8]) {
            self.type = type
            self.value = value
        }
    }

    /// A configuration attribute's type (RFC 7296 §3.15.1), 15 bits.
    public struct AttributeType: RawRepresentable, Hashable, Sendable {
        /// IANA's number.
        public let rawValue: UInt16
        /// Wraps a number, also one that we do not know.
        public init(rawValue: UInt16) { self.rawValue = rawValue }
        /// INTERNAL_IP4_ADDRESS.
        public static let internalIPv4Address = AttributeType(rawValue: 1)
        /// INTERNAL_IP4_NETMASK.
        public static let internalIPv4Netmask = AttributeType(rawValue: 2)
        /// INTERNAL_IP4_DNS.
        public static let internalIPv4DNS = AttributeType(rawValue: 3)
        /// INTERNAL_IP4_NBNS.
        public static let internalIPv4NBNS = AttributeType(rawValue: 4)
        /// INTERNAL_IP4_DHCP.
        public static let internalIPv4DHCP = AttributeType(rawValue: 6)
        /// APPLICATION_VERSION.
        public static let applicationVersion = AttributeType(rawValue: 7)
        /// INTERNAL_IP6_ADDRESS.
        public static let internalIPv6Address = AttributeType(rawValue: 8)
        /// INTERNAL_IP6_DNS.
        public static let internalIPv6DNS = AttributeType(rawValue: 10)
        /// INTERNAL_IP6_DHCP.
        public static let internalIPv6DHCP = AttributeType(rawValue: 12)
        /// INTERNAL_IP4_SUBNET.
        public static let internalIPv4Subnet = AttributeType(rawValue: 13)
        /// SUPPORTED_ATTRIBUTES.
        public static let supportedAttributes = AttributeType(rawValue: 14)
        /// INTERNAL_IP6_SUBNET.
        public static let internalIPv6Subnet = AttributeType(rawValue: 15)
    }

    /// Attributes of one payload at the most.
    public static let attributeLimit = 255

    /// A payload of `attributes`.
    public init(kind: Kind, attributes: [Attribute]) {
        self.kind = kind
        self.attributes = attributes
    }

    init(parsing reader: inout ByteReader) throws(WireError) {
        kind = Kind(rawValue: try reader.readUInt8())
        _ = try reader.readBytes(3)
        attributes = []
        while !reader.isAtEnd {
            guard attributes.count < Self.attributeLimit else { throw .tooMany("configuration attributes") }
            let type = AttributeType(rawValue: try reader.readUInt16() & 0x7fff)
            let length = Int(try reader.readUInt16())
            attributes.append(Attribute(type: type, value: Array(try reader.readBytes(length))))
        }
    }

    func serialize(into writer: inout ByteWriter) {
        writer.write(kind.rawValue)
        writer.write(contentsOf: [0, 0, 0])
        for attribute in attributes {
            writer.write(attribute.type.rawValue & 0x7fff)
            writer.write(UInt16(attribute.value.count))
            writer.write(contentsOf: attribute.value)
        }
    }
}
