// SPDX-License-Identifier: Apache-2.0
// Adit: AditWire

/// The Security Parameters Index of an ESP SA (RFC 4303 §2.1): 32 bits chosen by the receiver.
///
/// Values 0 to 255 are reserved; 0 on UDP port 4500 is the non-ESP marker (RFC 3948 §2.2).
public struct SPI: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The index in host byte order.
    public let rawValue: UInt32

    /// Wraps `rawValue`; reserved values are representable, see ``isReserved``.
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Reads four bytes in network order, reserved values included; nil for any other length.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 else { return nil }
        rawValue = bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// Four bytes in network order.
    public var bytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: rawValue >> (24 - 8 * UInt32($0))) } }

    /// Whether the value may not name an SA (RFC 4303 §2.1).
    @inlinable public var isReserved: Bool { rawValue < 256 }

    /// Eight lowercase hexadecimal digits, as strongSwan and Wireshark print it.
    public var description: String { hexadecimal(UInt64(rawValue), digits: 8) }
}

/// The lowercase hexadecimal digits of `value`, padded with zeros to `digits`.
package func hexadecimal(_ value: UInt64, digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
}
