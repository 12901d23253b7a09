// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

/// Ni or Nr: a nonce of 16 to 256 bytes (RFC 7296 §3.9).
public struct NoncePayload: Hashable, Sendable {
    /// The nonce.
    public var bytes: [UInt8]

    /// The lengths that RFC 7296 §3.9 allows.
    public static let lengths = 16...256

    /// A nonce of `bytes`, whose length lies in ``lengths``.
    public init(_ bytes: [UInt8]) {
        precondition(Self.lengths.contains(bytes.count), "a nonce that we make has a length that RFC 7296 allows")
        self.bytes = bytes
    }

    init(parsing reader: inout ByteReader) throws(WireError) {
        bytes = Array(reader.readRemaining())
        guard Self.lengths.contains(bytes.count) else { throw .invalid("nonce length") }
    }

    func serialize(into writer: inout ByteWriter) { writer.write(contentsOf: bytes) }
}
