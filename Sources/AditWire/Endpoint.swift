// SPDX-License-Identifier: Apache-2.0
// Adit: AditWire

/// A UDP endpoint: an address and a port.
public struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    /// The address.
    public let address: IPAddress
    /// The UDP port.
    public let port: UInt16

    /// The endpoint at `port` of `address`.
    @inlinable public init(_ address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// `192.0.2.1:4500` or `[2001:db8::1]:4500`.
    public var description: String {
        address.family == .v4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}
