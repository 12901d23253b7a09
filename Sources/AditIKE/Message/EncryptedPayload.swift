// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

/// SK, still sealed: IV, ciphertext and ICV (RFC 7296 §3.14).
public struct EncryptedPayload: Hashable, Sendable {
    /// The type of the first payload inside.
    public var firstPayload: PayloadType
    /// IV, ciphertext and ICV.
    public var bytes: [UInt8]

    /// A sealed payload.
    public init(firstPayload: PayloadType, bytes: [UInt8]) {
        self.firstPayload = firstPayload
        self.bytes = bytes
    }

    init(parsing reader: inout ByteReader, firstPayload: PayloadType) {
        self.firstPayload = firstPayload
        bytes = Array(reader.readRemaining())
    }
}

/// SKF, still sealed: one fragment of a message (RFC 7383 §2.5).
public struct EncryptedFragmentPayload: Hashable, Sendable {
    /// The type of the first payload of the whole message; set in the first fragment only.
    public var firstPayload: PayloadType
    /// Which fragment: 1 to ``total``.
    public var number: UInt16
    /// How many fragments the message has.
    public var total: UInt16
    /// IV, ciphertext and ICV.
    public var bytes: [UInt8]

    /// A sealed fragment.
    public init(firstPayload: PayloadType, number: UInt16, total: UInt16, bytes: [UInt8]) {
        self.firstPayload = firstPayload
        self.number = number
        self.total = total
        self.bytes = bytes
    }

    init(parsing reader: inout ByteReader, firstPayload: PayloadType) throws(WireError) {
        self.firstPayload = firstPayload
        number = try reader.readUInt16()
        total = try reader.readUInt16()
        // RFC 7383 §2.5: fragments count from 1, and no number is greater than the total.
        guard number >= 1, number <= total else { throw .invalid("fragment number") }
        bytes = Array(reader.readRemaining())
    }

    func serialize(into writer: inout ByteWriter) {
        writer.write(number)
        writer.write(total)
        writer.write(contentsOf: bytes)
    }
}
