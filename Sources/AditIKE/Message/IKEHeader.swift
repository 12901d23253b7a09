// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditWire

/// The fixed header of every IKE message (RFC 7296 §3.1).
///
/// ```
///  0                   1                   2                   3
/// |                       IKE SA Initiator's SPI                  |
/// |                       IKE SA Responder's SPI                  |
/// |  Next Payload | MjVer | MnVer | Exchange Type |     Flags     |
/// |                          Message ID                           |
/// |                            Length                             |
/// ```
public struct IKEHeader: Hashable, Sendable {
    /// The initiator's SPI, never zero in a valid message.
    public var initiatorSPI: IKESPI
    /// The responder's SPI, zero in the first message.
    public var responderSPI: IKESPI
    /// The type of the first payload. Only read: ``IKEMessage/serialize()`` writes what follows.
    public var nextPayload: PayloadType = .none
    /// The major version; 2 for IKEv2.
    public var majorVersion: UInt8 = 2
    /// The minor version; ignored on receipt (RFC 7296 §2.5).
    public var minorVersion: UInt8 = 0
    /// The exchange.
    public var exchange: ExchangeType
    /// The flags, unknown bits included.
    public var flags: Flags
    /// The message ID, the same in a request and its response.
    public var messageID: UInt32
    /// The length of the whole message in bytes. Only read: ``IKEMessage/serialize()`` writes the actual one.
    public var length: UInt32 = 0

    /// The flags octet (RFC 7296 §3.1).
    public struct Flags: OptionSet, Hashable, Sendable {
        /// The octet as it is on the wire.
        public let rawValue: UInt8
        /// Wraps an octet, also with bits that we do not know.
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// I: sent by the original initiator of the IKE SA.
        public static let initiator = Flags(rawValue: 0x08)
        /// V: the sender could speak a higher major version.
        public static let version = Flags(rawValue: 0x10)
        /// R: a response.
        public static let response = Flags(rawValue: 0x20)
    }

    /// The header's length in bytes.
    public static let length = 28

    /// A header for a message that we send.
    public init(
        initiatorSPI: IKESPI, responderSPI: IKESPI, exchange: ExchangeType, flags: Flags, messageID: UInt32
    ) {
        self.initiatorSPI = initiatorSPI
        self.responderSPI = responderSPI
        self.exchange = exchange
        self.flags = flags
        self.messageID = messageID
    }

    /// Reads 28 bytes; every value is accepted, so that a message of another version can be answered as §2.5 says.
    public init(parsing reader: inout ByteReader) throws(WireError) {
        initiatorSPI = IKESPI(rawValue: try reader.readUInt64())
        responderSPI = IKESPI(rawValue: try reader.readUInt64())
        nextPayload = PayloadType(rawValue: try reader.readUInt8())
        let version = try reader.readUInt8()
        majorVersion = version >> 4
        minorVersion = version & 0x0f
        exchange = ExchangeType(rawValue: try reader.readUInt8())
        flags = Flags(rawValue: try reader.readUInt8())
        messageID = try reader.readUInt32()
        length = try reader.readUInt32()
    }

    /// Writes 28 bytes with ``nextPayload`` and ``length`` as they stand.
    public func serialize(into writer: inout ByteWriter) {
        writer.write(initiatorSPI.rawValue)
        writer.write(responderSPI.rawValue)
        writer.write(nextPayload.rawValue)
        writer.write((majorVersion & 0x0f) << 4 | minorVersion & 0x0f)
        writer.write(exchange.rawValue)
        writer.write(flags.rawValue)
        writer.write(messageID)
        writer.write(length)
    }

    /// Whether this is a response.
    public var isResponse: Bool { flags.contains(.response) }
}

/// The SPI of an IKE SA: 64 bits, one chosen by each side (RFC 7296 §3.1).
public struct IKESPI: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The value in host byte order.
    public let rawValue: UInt64
    /// Wraps a value.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Reads 8 bytes, as a Proposal carries it in an IKE SA rekey; nil for any other length.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 8 else { return nil }
        rawValue = bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
    /// The value of a responder's SPI that is not known yet.
    public static let zero = IKESPI(rawValue: 0)
    /// 8 bytes in network order.
    public var bytes: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: rawValue >> (56 - 8 * UInt64($0))) } }
    /// Sixteen lowercase hexadecimal digits.
    public var description: String { hexadecimal(rawValue, digits: 16) }
}

/// An exchange type (RFC 7296 §3.1, IANA).
public struct ExchangeType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// IANA's number.
    public let rawValue: UInt8
    /// Wraps a number, also one that we do not know.
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// IKE_SA_INIT.
    public static let ikeSAInit = ExchangeType(rawValue: 34)
    /// IKE_AUTH.
    public static let ikeAuth = ExchangeType(rawValue: 35)
    /// CREATE_CHILD_SA.
    public static let createChildSA = ExchangeType(rawValue: 36)
    /// INFORMATIONAL.
    public static let informational = ExchangeType(rawValue: 37)
    /// IKE_SESSION_RESUME (RFC 5723).
    public static let ikeSessionResume = ExchangeType(rawValue: 38)
    /// IKE_INTERMEDIATE (RFC 9242).
    public static let ikeIntermediate = ExchangeType(rawValue: 43)
    /// IKE_FOLLOWUP_KE (RFC 9370).
    public static let ikeFollowupKE = ExchangeType(rawValue: 44)

    /// The RFC's name, or the number.
    public var description: String {
        switch self {
        case .ikeSAInit: "IKE_SA_INIT"
        case .ikeAuth: "IKE_AUTH"
        case .createChildSA: "CREATE_CHILD_SA"
        case .informational: "INFORMATIONAL"
        case .ikeSessionResume: "IKE_SESSION_RESUME"
        case .ikeIntermediate: "IKE_INTERMEDIATE"
        case .ikeFollowupKE: "IKE_FOLLOWUP_KE"
        default: "exchange \(rawValue)"
        }
    }
}
