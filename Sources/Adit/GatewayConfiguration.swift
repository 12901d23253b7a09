// SPDX-License-Identifier: Apache-2.0
// Adit: Adit

public import AditIKE
public import AditWire

/// Everything a gateway is told: the `[gateway]` section and the connections, as checked values.
public struct GatewayConfiguration: Sendable, Equatable {
    /// The TUN device's name, created, or adopted when it exists.
    public var interface = "adit0"
    /// Addresses for the TUN device.
    public var addresses: [IPPrefix] = []
    /// The TUN device's MTU; nil computes it from the suites and the path.
    public var mtu: Int?
    /// Outer addresses to listen on; empty means all, of both families.
    public var listen: [IPAddress] = []
    /// The IKE port.
    public var ikePort: UInt16 = 500
    /// The NAT traversal port, which carries ESP.
    public var natPort: UInt16 = 4500
    /// Packet threads; nil decides by the processors.
    public var workers: Int?
    /// Whether routes to the remote selectors are installed.
    public var installRoutes = true
    /// The connections, in order of the file.
    public var connections: [ConnectionConfiguration] = []

    /// A configuration with the defaults and no connection.
    public init() {}
}
