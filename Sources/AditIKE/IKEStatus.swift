// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditWire

/// How much an IKE endpoint keeps, and what it ignored.
public struct IKETotals: Sendable, Equatable {
    /// IKE SAs in every state, those on their way out included.
    public var ikeSAs = 0
    /// IKE SAs that peers began and have not authenticated.
    public var halfOpen = 0
    /// Child SAs, those being negotiated or deleted included.
    public var childSAs = 0
    /// What was received and not acted upon, by reason.
    public var ignored = IKECounters()

    /// All zero.
    public init() {}
}

/// A snapshot of one configured connection.
public struct ConnectionStatus: Sendable {
    /// The connection's name.
    public var name: String
    /// Where it stands.
    public var state: State
    /// The IKE SA in use, if there is one (the newest, when two overlap).
    public var ikeSA: IKESAStatus?
    /// Every authenticated IKE SA, the oldest first: several with several peers, or while one takes over from another.
    public var ikeSAs: [IKESAStatus] = []
    /// Installed Child SAs.
    public var children: [ChildSAStatus]
    /// Why the last attempt failed; kept until the next success.
    public var lastFailure: FailureReport?

    /// The states that `adit status` prints.
    public enum State: String, Sendable { case down, trap, connecting, established, failed, waiting }
}

/// A snapshot of one IKE SA.
public struct IKESAStatus: Sendable, Equatable {
    /// Which side began the IKE SA; after a rekey of the IKE SA, which side rekeyed it.
    public var role: IKEReport.Role
    /// Our outer endpoint.
    public var local: Endpoint
    /// The peer's outer endpoint.
    public var remote: Endpoint
    /// Who we say we are.
    public var localID: Identity
    /// Who the peer proved to be; nil before that.
    public var remoteID: Identity?
    /// Whether a NAT was detected before us (RFC 7296 §2.23).
    public var localBehindNAT: Bool
    /// Whether a NAT was detected before the peer, or the peer pretends to be behind one.
    public var remoteBehindNAT: Bool
    /// Whether the peer is known to pretend, to have ESP in UDP: nothing then tells of a NAT before it.
    public var remoteFakesNAT = false
    /// Whether both sides speak MOBIKE (RFC 4555).
    public var mobike = false
    /// The peer's addresses beside the one in use, as it told them (RFC 4555 §3.4).
    public var remoteAddresses: [IPAddress] = []
    /// The original initiator's SPI.
    public var initiatorSPI: UInt64
    /// The original responder's SPI.
    public var responderSPI: UInt64
    /// The suite in swanctl's keywords, for example `aes256gcm16-prfsha384-x25519`.
    public var proposal: String
    /// When both sides were authenticated, or the rekey was done.
    public var establishedAt: Timestamp
    /// When it will be rekeyed; nil never.
    public var rekeyAt: Timestamp?
    /// Whether another IKE SA to the same peer takes over from it.
    public var isLeaving = false
    /// Which side began the IKE SA from which this one came by rekeying, however often.
    public var originalRole = IKEReport.Role.initiator
}

/// A snapshot of one Child SA as IKE knows it; packet counters are the data plane's.
public struct ChildSAStatus: Sendable, Equatable {
    /// The child's name.
    public var name: String
    /// The SPI by which the peer sends to us.
    public var inboundSPI: SPI
    /// The SPI by which we send to the peer.
    public var outboundSPI: SPI
    /// The suite in swanctl's keywords, for example `aes128gcm16`.
    public var proposal: String
    /// Whether sequence numbers are extended.
    public var esn: Bool
    /// The anti-replay window in packets.
    public var replayWindow: Int
    /// What is protected on our side, after narrowing.
    public var localSelectors: [TrafficSelector]
    /// What is protected on the peer's side, after narrowing.
    public var remoteSelectors: [TrafficSelector]
    /// When the SA was put into the data plane.
    public var installedAt: Timestamp
    /// When it will be rekeyed; nil never.
    public var rekeyAt: Timestamp?
    /// Where it stands.
    public var phase = Phase.installed
    /// What the side that began asked for on our side, before narrowing.
    public var askedLocalSelectors: [TrafficSelector] = []
    /// What the side that began asked for on the peer's side.
    public var askedRemoteSelectors: [TrafficSelector] = []
    /// What passes of ``localSelectors``: less than was agreed, where all addresses were.
    public var passedLocalSelectors: [TrafficSelector] = []
    /// What passes of ``remoteSelectors``.
    public var passedRemoteSelectors: [TrafficSelector] = []
    /// Whether less was agreed than was asked for, or less passes than is configured.
    public var isNarrowed = false
    /// What is configured on our side.
    public var configuredLocalSelectors: [TrafficSelector] = []
    /// What is configured on the peer's side.
    public var configuredRemoteSelectors: [TrafficSelector] = []
    /// The IKE SA that it belongs to; nil in reports, which name its connection.
    public var owner: Owner?

    /// The IKE SA of a Child SA, and with it the peer.
    public struct Owner: Sendable, Equatable {
        /// ``IKESAStatus/initiatorSPI``
        public var initiatorSPI: UInt64
        /// ``IKESAStatus/responderSPI``
        public var responderSPI: UInt64
        /// The peer's outer endpoint.
        public var remote: Endpoint
        /// Who the peer proved to be.
        public var remoteID: Identity?
    }

    /// The states of a Child SA: in use; replaced, and receiving what is still under way; being deleted at the peer.
    public enum Phase: String, Sendable { case installed, rekeyed, deleting }
}
