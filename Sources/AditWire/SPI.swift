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
