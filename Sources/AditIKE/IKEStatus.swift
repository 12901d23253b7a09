// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditWire

/// A snapshot of one configured connection.
public struct ConnectionStatus: Sendable {
    /// The connection's name.
    public var name: String
    /// Where it stands.
    public var state: State
    /// The IKE SA in use, if there is one (the newest, when two overlap).
    public var ikeSA: IKESAStatus?
    /// Installed Child SAs.
    public var children: [ChildSAStatus]
    /// Why the last attempt failed; kept until the next success.
    public var lastFailure: FailureReport?

    /// The states that `adit status` prints.
    public enum State: String, Sendable { case down, trap, connecting, established, failed, waiting }
}

/// A snapshot of one IKE SA.
public struct IKESAStatus: Sendable, Equatable {
    public var role: IKEReport.Role
    public var local: Endpoint
    public var remote: Endpoint
    public var localID: Identity
    public var remoteID: Identity?
    /// Whether a NAT was detected before us, and before the peer (RFC 7296 §2.23).
    public var localBehindNAT: Bool
    public var remoteBehindNAT: Bool
    public var initiatorSPI: UInt64
    public var responderSPI: UInt64
    /// The suite in swanctl's keywords, for example `aes256gcm16-prfsha384-x25519`.
    public var proposal: String
    public var establishedAt: Timestamp
    /// When it will be rekeyed; nil never.
    public var rekeyAt: Timestamp?
}

/// A snapshot of one Child SA as IKE knows it; packet counters are the data plane's.
public struct ChildSAStatus: Sendable, Equatable {
    public var name: String
    public var inboundSPI: SPI
    public var outboundSPI: SPI
    /// The suite in swanctl's keywords, for example `aes128gcm16`.
    public var proposal: String
    public var esn: Bool
    public var replayWindow: Int
    public var localSelectors: [TrafficSelector]
    public var remoteSelectors: [TrafficSelector]
    public var installedAt: Timestamp
    /// When it will be rekeyed; nil never.
    public var rekeyAt: Timestamp?
}
