// SPDX-License-Identifier: Apache-2.0
// Adit: AditWire

/// An IPv4 or IPv6 address as a value of 16 bytes and a family.
///
/// IPv4 lies in the low 32 bits of `low`. Ordering is by family, then numerically, so a range is `first...last` of one
/// family.
public struct IPAddress: Hashable, Comparable, Sendable {
    /// The two families, with the address length in bytes.
    public enum Family: UInt8, Sendable, Hashable {
        case v4 = 4
        case v6 = 16

        /// The address length in bits.
        @inlinable public var bits: Int { Int(rawValue) * 8 }
    }

    /// The family.
    public let family: Family
    /// The most significant 64 bits of an IPv6 address; 0 for IPv4.
    public let high: UInt64
    /// The least significant 64 bits; an IPv4 address is its low 32 bits.
    public let low: UInt64

    /// An IPv6 address from its two halves in host byte order.
    @inlinable public init(v6High high: UInt64, low: UInt64) {
        self.family = .v6
        self.high = high
        self.low = low
    }

    /// An IPv4 address in host byte order (`0x7f000001` is 127.0.0.1).
    @inlinable public init(v4 value: UInt32) {
        self.family = .v4
        self.high = 0
        self.low = UInt64(value)
    }

    /// The address in `bytes`: 4 bytes are IPv4, 16 are IPv6, anything else is nil.
    public init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4: self.init(v4: UInt32(truncatingIfNeeded: bytes.reduce(0) { $0 << 8 | UInt64($1) }))
        case 16:
            self.init(
                v6High: bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
                low: bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) })
        default: return nil
        }
    }

    /// 4 or 16 bytes in network order.
    public var bytes: [UInt8] {
        switch family {
        case .v4: (0..<4).map { UInt8(truncatingIfNeeded: low >> (24 - 8 * UInt64($0))) }
        case .v6: (0..<16).map { UInt8(truncatingIfNeeded: ($0 < 8 ? high : low) >> (56 - 8 * UInt64($0 % 8))) }
        }
    }

    /// Whether this is the unspecified address (0.0.0.0 or ::).
    @inlinable public var isUnspecified: Bool { high == 0 && low == 0 }

    /// The smallest and largest address of `family`.
    public static func bounds(of family: Family) -> (first: IPAddress, last: IPAddress) {
        switch family {
        case .v4: (IPAddress(v4: 0), IPAddress(v4: .max))
        case .v6: (IPAddress(v6High: 0, low: 0), IPAddress(v6High: .max, low: .max))
        }
    }

    /// Families first (IPv4 before IPv6), then the numeric value.
    @inlinable public static func < (left: IPAddress, right: IPAddress) -> Bool {
        if left.family != right.family { return left.family == .v4 }
        return left.high != right.high ? left.high < right.high : left.low < right.low
    }

    /// The next address numerically; nil at the end of the family.
    public var successor: IPAddress? {
        switch family {
        case .v4: low == UInt64(UInt32.max) ? nil : IPAddress(v4: UInt32(low) + 1)
        case .v6:
            low != .max
                ? IPAddress(v6High: high, low: low + 1)
                : high == .max ? nil : IPAddress(v6High: high + 1, low: 0)
        }
    }
}
