// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

/// KE: a public value of a key exchange (RFC 7296 §3.4).
public struct KeyExchangePayload: Hashable, Sendable {
    /// The transform ID of the group.
    public var group: UInt16
    /// The public value.
    public var value: [UInt8]

    /// A public value of the group with transform ID `group`.
    public init(group: UInt16, value: [UInt8]) {
        self.group = group
        self.value = value
    }

    init(parsing reader: inout ByteReader) throws(WireError) {
        group = try reader.readUInt16()
        _ = try reader.readUInt16()
        value = Array(reader.readRemaining())
    }

    func serialize(into writer: inout ByteWriter) {
        writer.write(group)
        writer.write(UInt16(0))
        writer.write(contentsOf: value)
    }
}
