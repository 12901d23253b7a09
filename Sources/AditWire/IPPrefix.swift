// SPDX-License-Identifier: Apache-2.0
// Adit: AditWire

/// An address block in CIDR form: an address and the number of its leading bits that count.
public struct IPPrefix: Hashable, Sendable, LosslessStringConvertible {
    /// The address as it was written, host bits included (`10.1.0.1/24` keeps the `.1`, as an interface address needs).
    public let address: IPAddress
    /// Leading bits: 0 to 32 or 0 to 128.
    public let length: Int

    /// A block of `length` leading bits of `address`; nil when the length does not fit the family.
    public init?(_ address: IPAddress, length: Int) {
        guard (0...address.family.bits).contains(length) else { return nil }
        self.address = address
        self.length = length
    }

    /// Parses `ADDRESS/LENGTH`; a bare address is a block of one.
    public init?(_ description: String) {
        let parts = description.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let address = IPAddress(String(parts[0])) else { return nil }
        guard parts.count == 2 else {
            self.init(address, length: address.family.bits)
            return
        }
        guard parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let length = Int(parts[1]) else { return nil }
        self.init(address, length: length)
    }

    /// The lowest address of the block.
    public var first: IPAddress { masked(hostBits: false) }

    /// The highest address of the block.
    public var last: IPAddress { masked(hostBits: true) }

    /// Whether `other` lies in the block.
    public func contains(_ other: IPAddress) -> Bool {
        other.family == address.family && first <= other && other <= last
    }

    /// `ADDRESS/LENGTH`.
    public var description: String { "\(address)/\(length)" }

    private func masked(hostBits: Bool) -> IPAddress {
        switch address.family {
        case .v4:
            let mask = UInt32.max &<< UInt32(32 - length)
            let host = length == 0 ? UInt32.max : length == 32 ? 0 : ~mask
            let value = UInt32(address.low) & ~host
            return IPAddress(v4: hostBits ? value | host : value)
        case .v6:
            let host = { (bits: Int) -> UInt64 in bits <= 0 ? 0 : bits >= 64 ? .max : (1 << UInt64(bits)) - 1 }
            let high = host(64 - length)
            let low = host(128 - length)
            return IPAddress(
                v6High: hostBits ? address.high | high : address.high & ~high,
                low: hostBits ? address.low | low : address.low & ~low)
        }
    }
}
