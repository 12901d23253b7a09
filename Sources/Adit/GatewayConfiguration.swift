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
    /// The nice value of the packet threads, -20 to 19; one below 0 needs CAP_SYS_NICE, else it stays what it is.
    /// They run before the programs whose packets they carry, so that queues stay short.
    public var niceness = -10
    /// Which offloads are used where the kernel has them.
    public var offloads: Offloads = .all
    /// How long the first wait for the answer to an IKE request is; each later one is 1.8 times the one before.
    public var retransmitTimeout: Duration = .seconds(1)
    /// How often an IKE request is sent at the most before the peer counts as dead.
    public var retransmitTries = 6
    /// The time between NAT keepalives (RFC 3948 §4); zero sends none.
    public var keepAlive: Duration = .seconds(20)
    /// Whether routes to the remote selectors are installed.
    public var installRoutes = true
    /// The directory into which the keys of every SA are written as Wireshark's tables; nil, the default, writes none.
    ///
    /// Whoever can read the files can read the traffic, also traffic that was captured before. They are made with mode
    /// 0600 in a directory that only its owner may write to; nothing removes them.
    public var keyLogDirectory: String?
    /// The connections, in order of the file.
    public var connections: [ConnectionConfiguration] = []

    /// A configuration with the defaults and no connection.
    public init() {}

    /// Ways of handing the kernel many packets at once; without them packets pass one by one, and correctly too.
    public struct Offloads: OptionSet, Sendable, Hashable {
        /// The bits.
        public let rawValue: UInt8
        /// From bits.
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// Super-packets and unfinished checksums at the TUN device, in both directions.
        public static let tun = Offloads(rawValue: 1)
        /// Runs of datagrams sent by one call (UDP_SEGMENT).
        public static let gso = Offloads(rawValue: 2)
        /// Runs of datagrams received by one call (UDP_GRO).
        public static let gro = Offloads(rawValue: 4)
        /// Of ``tun`` only TCP super-packets, and the unfinished checksums that they need.
        public static let tso = Offloads(rawValue: 8)
        /// Of ``tun`` only UDP super-packets, and the unfinished checksums that they need.
        public static let uso = Offloads(rawValue: 16)
        /// Everything.
        public static let all: Offloads = [.tun, .gso, .gro]
    }
}
