// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditWire

/// N: an error or a status (RFC 7296 §3.10).
public struct NotifyPayload: Hashable, Sendable {
    /// What the SPI belongs to; 0 without one.
    public var securityProtocol: SecurityProtocol
    /// The SPI of the SA concerned, as the sender of the payload would receive on it; empty without one.
    public var spi: [UInt8]
    /// What is said.
    public var type: NotifyType
    /// What belongs to it, by type.
    public var data: [UInt8]

    /// A notification that concerns no Child SA.
    public init(_ type: NotifyType, data: [UInt8] = []) {
        securityProtocol = SecurityProtocol(rawValue: 0)
        spi = []
        self.type = type
        self.data = data
    }

    /// A notification about an ESP SA (REKEY_SA, CHILD_SA_NOT_FOUND).
    public init(_ type: NotifyType, esp spi: SPI, data: [UInt8] = []) {
        securityProtocol = .esp
        self.spi = spi.bytes
        self.type = type
        self.data = data
    }

    /// The ESP SA concerned; nil when the payload is about something else.
    public var espSPI: SPI? { securityProtocol == .esp ? SPI(bytes: spi) : nil }

    init(parsing reader: inout ByteReader) throws(WireError) {
        securityProtocol = SecurityProtocol(rawValue: try reader.readUInt8())
        let spiLength = Int(try reader.readUInt8())
        type = NotifyType(rawValue: try reader.readUInt16())
        spi = Array(try reader.readBytes(spiLength))
        data = Array(reader.readRemaining())
    }

    func serialize(into writer: inout ByteWriter) {
        writer.write(securityProtocol.rawValue)
        writer.write(UInt8(truncatingIfNeeded: spi.count))
        writer.write(type.rawValue)
        writer.write(contentsOf: spi)
        writer.write(contentsOf: data)
    }
}
