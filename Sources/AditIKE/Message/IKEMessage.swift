// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditWire

/// An IKE message: the header and its payloads (RFC 7296 §3).
///
/// Parsing checks every length and keeps what it does not know; SK and SKF stay sealed, see ``SKOpener``.
public struct IKEMessage: Hashable, Sendable {
    /// The header.
    public var header: IKEHeader
    /// The payloads in their order.
    public var payloads: [Payload]

    /// A message to be serialized.
    public init(header: IKEHeader, payloads: [Payload]) {
        self.header = header
        self.payloads = payloads
    }

    /// The longest message in bytes, which is also the longest UDP datagram.
    public static let lengthLimit = 65_535
    /// Payloads of one message at the most.
    public static let payloadLimit = 64

    /// Reads a whole message, without the non-ESP marker; throws when anything in it is malformed.
    public init(parsing bytes: [UInt8]) throws(WireError) {
        guard bytes.count <= Self.lengthLimit else { throw .tooMany("IKE message length") }
        var reader = ByteReader(bytes)
        header = try IKEHeader(parsing: &reader)
        guard header.majorVersion == 2 else { throw .invalid("major version") }
        guard header.length == UInt32(bytes.count) else { throw .invalid("IKE header length") }
        payloads = try Self.parsePayloads(&reader, first: header.nextPayload)
    }

    /// Reads the chain of payloads that starts with type `first` and fills `bytes`: what SK or SKF carried.
    public static func parsePayloads(_ bytes: [UInt8], first: PayloadType) throws(WireError) -> [Payload] {
        var reader = ByteReader(bytes)
        return try parsePayloads(&reader, first: first)
    }

    /// The message as it goes on the wire, with Next Payload and Length fields set to what follows.
    public func serialize() -> [UInt8] {
        var header = header
        header.nextPayload = payloads.first?.type ?? .none
        var writer = ByteWriter(reservingCapacity: 512)
        header.serialize(into: &writer)
        let fits = Self.serialize(payloads, into: &writer) && writer.count <= Self.lengthLimit
        precondition(fits, "an unprotected IKE message that we build fits a datagram")
        writer.patch(UInt32(writer.count), at: IKEHeader.length - 4)
        return writer.bytes
    }

    /// Writes the chain of `payloads`, each with its generic header (RFC 7296 §3.2); false when one of them is longer
    /// than its length field can say.
    static func serialize(_ payloads: [Payload], into writer: inout ByteWriter) -> Bool {
        for (index, payload) in payloads.enumerated() {
            let next = index + 1 < payloads.count ? payloads[index + 1].type : payload.firstInside ?? .none
            let start = writer.count
            writer.write(next.rawValue)
            writer.write(payload.critical ? criticalBit : 0)
            writer.write(UInt16(0))
            payload.serializeBody(into: &writer)
            guard writer.count - start <= lengthLimit else { return false }
            writer.patch(UInt16(writer.count - start), at: start + 2)
        }
        return true
    }

    private static func parsePayloads(
        _ reader: inout ByteReader, first: PayloadType
    ) throws(WireError) -> [Payload] {
        var payloads: [Payload] = []
        var type = first
        while type != .none {
            guard payloads.count < payloadLimit else { throw .tooMany("payloads") }
            let next = PayloadType(rawValue: try reader.readUInt8())
            let critical = try reader.readUInt8() & criticalBit != 0
            let length = Int(try reader.readUInt16())
            var body = try reader.readSlice(length - genericHeaderLength)
            payloads.append(try Payload(parsing: &body, type: type, next: next, critical: critical))
            // RFC 7296 §3.14, RFC 7383 §2.5: SK and SKF come last; their Next Payload is the first one inside.
            type = payloads.last?.firstInside == nil ? next : .none
        }
        guard reader.isAtEnd else { throw .invalid("bytes after the last payload") }
        return payloads
    }

    /// The generic payload header's length in bytes (RFC 7296 §3.2).
    static let genericHeaderLength = 4
    private static let criticalBit: UInt8 = 0x80
}
