// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditWire

/// D: SAs that the sender has deleted (RFC 7296 §3.11).
public struct DeletePayload: Hashable, Sendable {
    /// Whose SAs.
    public var securityProtocol: SecurityProtocol
    /// The length of one SPI: 0 for the IKE SA that carries the message, 4 for ESP and AH.
    public var spiLength: UInt8
    /// The SPIs that the sender would receive on, each of ``spiLength`` bytes.
    public var spis: [[UInt8]]

    /// The IKE SA that carries the message.
    public static let ikeSA = DeletePayload(securityProtocol: .ike, spiLength: 0, spis: [])

    /// ESP SAs, by the SPIs that the sender chose; at most 65,535.
    public init(esp spis: [SPI]) {
        self.init(
            securityProtocol: .esp, spiLength: 4,
            spis: spis.map(\.bytes))
    }

    /// The SPIs of ESP SAs; empty when the payload is about something else.
    public var espSPIs: [SPI] {
        guard securityProtocol == .esp, spiLength == 4 else { return [] }
        return spis.compactMap { SPI(bytes: $0) }
    }

    private init(securityProtocol: SecurityProtocol, spiLength: UInt8, spis: [[UInt8]]) {
        self.securityProtocol = securityProtocol
        self.spiLength = spiLength
        self.spis = spis
    }

    init(parsing reader: inout ByteReader) throws(WireError) {
        securityProtocol = SecurityProtocol(rawValue: try reader.readUInt8())
        spiLength = try reader.readUInt8()
        let count = Int(try reader.readUInt16())
        guard count * Int(spiLength) == reader.remaining, spiLength > 0 || count == 0 else {
            throw .invalid("number of SPIs")
        }
        spis = []
        for _ in 0..<count { spis.append(Array(try reader.readBytes(Int(spiLength)))) }
    }

    func serialize(into writer: inout ByteWriter) {
        writer.write(securityProtocol.rawValue)
        writer.write(spiLength)
        writer.write(UInt16(spis.count))
        for spi in spis { writer.write(contentsOf: spi) }
    }
}
