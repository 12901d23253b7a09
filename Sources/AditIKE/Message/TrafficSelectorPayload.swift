// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditWire

/// TSi or TSr: the traffic of one side (RFC 7296 §3.13).
public struct TrafficSelectorPayload: Hashable, Sendable {
    /// The entries in their order, 255 at the most.
    public var entries: [Entry]

    /// One selector, or one that we cannot use.
    public enum Entry: Hashable, Sendable {
        /// An IPv4 or IPv6 range.
        case selector(TrafficSelector)
        /// A selector of a type that we do not know, or an empty address range; `bytes` follow the length field.
        case unknown(type: UInt8, ipProtocol: UInt8, bytes: [UInt8])
    }

    /// Selectors of one payload at the most: the count field has 8 bits.
    public static let selectorLimit = 255

    /// A payload of the first 255 of `selectors`.
    public init(_ selectors: [TrafficSelector]) {
        entries = selectors.prefix(Self.selectorLimit).map(Entry.selector)
    }

    /// The selectors that we can use, in their order.
    public var selectors: [TrafficSelector] {
        entries.compactMap { if case .selector(let selector) = $0 { selector } else { nil } }
    }

    init(parsing reader: inout ByteReader) throws(WireError) {
        let count = try reader.readUInt8()
        _ = try reader.readBytes(3)
        entries = []
        for _ in 0..<count { entries.append(try Entry(parsing: &reader)) }
    }

    func serialize(into writer: inout ByteWriter) {
        precondition(entries.count <= Self.selectorLimit, "a TS payload that we build fits its count field")
        writer.write(UInt8(entries.count))
        writer.write(contentsOf: [0, 0, 0])
        for entry in entries { entry.serialize(into: &writer) }
    }
}

extension TrafficSelectorPayload.Entry {
    fileprivate init(parsing reader: inout ByteReader) throws(WireError) {
        let type = try reader.readUInt8()
        let ipProtocol = try reader.readUInt8()
        let length = Int(try reader.readUInt16())
        var body = try reader.readSlice(length - Self.headerLength)
        guard let family = Self.family(of: type) else {
            self = .unknown(type: type, ipProtocol: ipProtocol, bytes: Array(body.readRemaining()))
            return
        }
        let addressLength = Int(family.rawValue)
        guard body.remaining == 4 + 2 * addressLength else { throw .invalid("selector length") }
        var whole = body
        let firstPort = try body.readUInt16()
        let lastPort = try body.readUInt16()
        let first = IPAddress(bytes: try body.readBytes(addressLength))
        let last = IPAddress(bytes: try body.readBytes(addressLength))
        guard let first, let last,
            let selector = TrafficSelector(
                first: first, last: last, ipProtocol: ipProtocol, firstPort: firstPort, lastPort: lastPort)
        else {
            // A range from high to low holds no address: it is kept for the report and matches nothing.
            self = .unknown(type: type, ipProtocol: ipProtocol, bytes: Array(whole.readRemaining()))
            return
        }
        self = .selector(selector)
    }

    fileprivate func serialize(into writer: inout ByteWriter) {
        switch self {
        case .selector(let selector):
            writer.write(selector.family == .v4 ? Self.ipv4Range : Self.ipv6Range)
            writer.write(selector.ipProtocol)
            writer.write(UInt16(Self.headerLength + 4 + 2 * Int(selector.family.rawValue)))
            writer.write(selector.firstPort)
            writer.write(selector.lastPort)
            writer.write(contentsOf: selector.first.bytes)
            writer.write(contentsOf: selector.last.bytes)
        case .unknown(let type, let ipProtocol, let bytes):
            writer.write(type)
            writer.write(ipProtocol)
            writer.write(UInt16(Self.headerLength + bytes.count))
            writer.write(contentsOf: bytes)
        }
    }

    private static func family(of type: UInt8) -> IPAddress.Family? {
        switch type {
        case ipv4Range: .v4
        case ipv6Range: .v6
        default: nil
        }
    }

    private static let headerLength = 4
    // RFC 7296 §3.13.1: TS_IPV4_ADDR_RANGE, TS_IPV6_ADDR_RANGE.
    private static let ipv4Range: UInt8 = 7
    private static let ipv6Range: UInt8 = 8
}
