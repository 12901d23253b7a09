// SPDX-License-Identifier: Apache-2.0
// Adit: Adit

public import AditIKE
public import AditWire

/// A snapshot of a gateway; `adit status --json` prints it.
public struct GatewayStatus: Sendable {
    /// Seconds since the start.
    public var uptime: Duration
    /// The TUN device's name.
    public var interface: String
    /// The TUN device's MTU.
    public var mtu: Int
    /// Packet threads.
    public var workers: Int
    /// The time at which the snapshot was taken, on the clock of the timestamps inside.
    public var now: Timestamp
    /// Every configured connection.
    public var connections: [ConnectionStatus]
    /// How much IKE keeps, and what it ignored.
    public var totals: IKETotals
    /// Packet counters by inbound SPI.
    public var traffic: [SPI: SATraffic]
    /// Lost packets by reason, every reason present.
    public var drops: [(reason: String, count: UInt64)]

    /// Packet counters of one Child SA.
    public struct SATraffic: Sendable, Equatable {
        /// Packets that were opened and delivered.
        public var packetsIn: UInt64 = 0
        /// Their inner bytes.
        public var bytesIn: UInt64 = 0
        /// Packets that were sealed and sent.
        public var packetsOut: UInt64 = 0
        /// Their inner bytes.
        public var bytesOut: UInt64 = 0
        /// All zero.
        public init() {}
    }
}
