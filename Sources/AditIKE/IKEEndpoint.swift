// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditWire

/// All IKE SAs of one gateway: a machine without I/O.
public struct IKEEndpoint: Sendable {
    /// A machine for `connections`; nothing happens before the first event.
    public init(connections: [ConnectionConfiguration], entropy: EntropySource, limits: IKELimits = IKELimits()) {
        fatalError("filled in by the machine work")
    }

    /// Takes one event at time `now` and appends what the driver has to do.
    public mutating func handle(_ event: IKEEvent, now: Timestamp, into effects: inout [IKEEffect]) {
        fatalError("filled in by the machine work")
    }

    /// When ``IKEEvent/deadline`` is due; nil when nothing waits.
    public var nextDeadline: Timestamp? { fatalError("filled in by the machine work") }

    /// A snapshot of every configured connection, in configuration order.
    public func status() -> [ConnectionStatus] { fatalError("filled in by the machine work") }
}

/// The named limits of an endpoint.
public struct IKELimits: Sendable {
    /// Half-open IKE SAs as responder before a cookie is demanded (RFC 7296 §2.6).
    public var halfOpenBeforeCookie = 64
    /// Half-open IKE SAs as responder at the most.
    public var halfOpenMaximum = 4096
    /// Half-open IKE SAs of one source address at the most.
    public var halfOpenPerSource = 32
    /// All IKE SAs at the most.
    public var ikeSAMaximum = 65_536
    /// Child SAs of one IKE SA at the most.
    public var childrenPerIKESA = 256
    /// The first retransmission comes after this; each later one after 1.8 times the wait before.
    public var retransmitInitial: Duration = .milliseconds(1000)
    /// Sendings of one request at the most, the first included.
    public var retransmitTries = 6
    /// A half-open IKE SA is forgotten after this.
    public var halfOpenLifetime: Duration = .seconds(30)
    /// The time between NAT keepalives (RFC 3948 §4).
    public var keepaliveInterval: Duration = .seconds(20)

    /// The defaults.
    public init() {}
}
