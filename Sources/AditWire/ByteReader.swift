// SPDX-License-Identifier: Apache-2.0
// Adit: AditWire

/// What is wrong with bytes from the network.
public enum WireError: Error, Hashable, Sendable {
    /// A field reaches past the end of what was received.
    case truncated
    /// A field has a value that its specification forbids; the text names the field.
    case invalid(StaticText)
    /// More than a named limit allows; the text names the limit.
    case tooMany(StaticText)
}

/// Text known at compile time, comparable, so that errors stay plain values.
public struct StaticText: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    /// The text.
    public let description: String
    /// Wraps a literal.
    public init(stringLiteral value: StaticString) { description = value.description }
}

/// A cursor over received bytes that never reads past its end.
///
/// For cold messages (IKE, control). The packet path uses views over spans instead.
public struct ByteReader: Sendable {
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    /// Reads `bytes` from the beginning.
    public init(_ bytes: [UInt8]) { self.init(bytes[...]) }

    /// Reads `bytes` from the beginning of the slice.
    public init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    /// How many bytes are left.
    public var remaining: Int { bytes.endIndex - position }

    /// Whether nothing is left.
    public var isAtEnd: Bool { remaining == 0 }

    /// How many bytes were read.
    public var consumed: Int { position - bytes.startIndex }

    /// The next byte.
    public mutating func readUInt8() throws(WireError) -> UInt8 {
        guard remaining >= 1 else { throw .truncated }
        defer { position += 1 }
        return bytes[position]
    }

    /// The next two bytes in network order.
    public mutating func readUInt16() throws(WireError) -> UInt16 { UInt16(try readInteger(2)) }

    /// The next four bytes in network order.
    public mutating func readUInt32() throws(WireError) -> UInt32 { UInt32(try readInteger(4)) }

    /// The next eight bytes in network order.
    public mutating func readUInt64() throws(WireError) -> UInt64 { try readInteger(8) }

    /// The next `count` bytes; a negative count is ``WireError/truncated`` too, as it comes from a length field too
    /// small.
    public mutating func readBytes(_ count: Int) throws(WireError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= remaining else { throw .truncated }
        defer { position += count }
        return bytes[position..<position + count]
    }

    /// A reader over exactly the next `count` bytes, which this reader skips.
    public mutating func readSlice(_ count: Int) throws(WireError) -> ByteReader { ByteReader(try readBytes(count)) }

    /// Everything that is left.
    public mutating func readRemaining() -> ArraySlice<UInt8> {
        defer { position = bytes.endIndex }
        return bytes[position...]
    }

    private mutating func readInteger(_ count: Int) throws(WireError) -> UInt64 {
        try readBytes(count).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
