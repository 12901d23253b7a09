// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditCrypto
public import AditWire

// The whole boundary of the IKE machine: events and a time go in, ordered effects and a next deadline come out.
// ``IKEEndpoint`` performs nothing itself; its driver carries out the effects in the order in which they were appended.

/// What can happen to an IKE endpoint.
public enum IKEEvent: Sendable {
    /// An IKE message arrived, without the non-ESP marker; `local.port` tells on which of our ports.
    case datagram([UInt8], local: Endpoint, remote: Endpoint)
    /// An operator, or a program, asks for something.
    case command(IKECommand)
    /// A packet matched a child's policy and there is no SA for it; with the packet, its addresses are asked for first.
    case acquire(connection: String, child: String, packet: FlowKey? = nil)
    /// The data plane's counters of an SA passed a limit, so the SA must be rekeyed.
    case lifetimeReached(inboundSPI: SPI)
    /// Authenticated traffic arrived on this SA since the last such event: the peer is alive.
    case inboundActivity(inboundSPI: SPI)
    /// Packets passed on this SA, in either direction, since the last such event. Wanted about every second of children
    /// with an ``ChildConfiguration/inactivity`` only.
    case traffic(inboundSPI: SPI)
    /// The newest authenticated in-window packet of this SA came from a new address (RFC 7296 §2.23).
    case peerMoved(inboundSPI: SPI, to: Endpoint)
    /// An ESP packet from `from` carried an SPI that names no Child SA here; nothing about it is authenticated.
    case unknownSPI(SPI, from: Endpoint)
    /// The data plane could not take the pair of ESP SAs of an ``IKEEffect/installChild(_:)``.
    case installationFailed(inboundSPI: SPI, reason: String)
    /// A message of an ``IKEEffect/send(_:local:remote:)`` cannot leave this host.
    case unsendable([UInt8], local: Endpoint, remote: Endpoint, reason: SendFailure)
    /// What became of the names of an ``IKEEffect/resolve(connection:names:token:)``.
    case resolved(token: UInt32, [NameResolution])
    /// The addresses of this host, all of them: when the endpoint begins, and whenever they or the routes have changed.
    case addressesChanged([HostAddress])
    /// ``IKEEndpoint/nextDeadline`` has passed.
    case deadline
}

/// Why a datagram cannot leave this host.
public enum SendFailure: Sendable {
    /// No route leads to the remote address, or none from the local one, which may not be this host's.
    case unreachable
    /// No socket is open for the remote address's family.
    case family
}

/// What an operator can ask.
public enum IKECommand: Sendable {
    /// Bring a connection up: its IKE SA and the named child, or all children.
    case initiate(connection: String, child: String?)
    /// Delete a connection's IKE SAs and with them its children; it stays down until asked again.
    case terminate(connection: String)
    /// Rekey the children of a connection.
    case rekeyChildren(connection: String)
    /// Rekey the IKE SA of a connection.
    case rekeyIKE(connection: String)
    /// Replace the configuration: what did not change keeps its SAs, down to the single child (``ConnectionChange``).
    case configure([ConnectionConfiguration])
    /// Delete everything; afterwards nothing is initiated or answered.
    case shutdown
}

/// What the driver has to do, in this order.
public enum IKEEffect: Sendable {
    /// Send an IKE message; from port 4500 the driver puts the non-ESP marker before it. `local` may be unspecified
    /// (port only).
    case send([UInt8], local: Endpoint, remote: Endpoint)
    /// Put a new pair of ESP SAs into the data plane.
    case installChild(ChildSAInstallation)
    /// From now on send on this SA; its predecessor only receives (make before break).
    case activateOutbound(inboundSPI: SPI)
    /// Take a pair of ESP SAs out of the data plane.
    case removeChild(inboundSPI: SPI)
    /// The peer of these SAs is now reached at another address.
    case moveChild(inboundSPI: SPI, local: Endpoint, remote: Endpoint)
    /// Send a one-octet NAT keepalive (RFC 3948 §2.3).
    case sendKeepalive(local: Endpoint, remote: Endpoint)
    /// Look up host names, and answer with an ``IKEEvent/resolved(token:_:)`` of the same token.
    case resolve(connection: String, names: [String], token: UInt32)
    /// The keys of an IKE SA, for whoever reads captures; only from an endpoint that was made to disclose them.
    case disclose(IKEKeyDisclosure)
    /// Tell whoever is interested.
    case report(IKEReport)
}

/// The keys of an IKE SA, as they leave the machine when it was made to disclose them.
public struct IKEKeyDisclosure: Sendable {
    /// The initiator's SPI.
    public var initiatorSPI: IKESPI
    /// The responder's SPI.
    public var responderSPI: IKESPI
    /// What protects its messages.
    public var suite: CipherSuite
    /// Its secrets.
    public var keys: IKESAKeys
}

/// A pair of ESP SAs as IKE agreed it.
public struct ChildSAInstallation: Sendable {
    /// The connection's name.
    public var connection: String
    /// The child's name.
    public var child: String
    /// The SPI that we chose, by which the peer sends to us.
    public var inboundSPI: SPI
    /// The SPI that the peer chose.
    public var outboundSPI: SPI
    /// The cipher suite of both directions.
    public var suite: CipherSuite
    /// Whether sequence numbers are extended.
    public var esn: Bool
    /// What opens the peer's packets: encryption key (salt included), then integrity key.
    public var inboundKey: SecretBytes
    /// What seals our packets: encryption key (salt included), then integrity key.
    public var outboundKey: SecretBytes
    /// What is protected on our side, after narrowing.
    public var localSelectors: [TrafficSelector]
    /// What is protected on the peer's side, after narrowing.
    public var remoteSelectors: [TrafficSelector]
    /// Our outer endpoint.
    public var local: Endpoint
    /// The peer's outer endpoint.
    public var remote: Endpoint
    /// The inbound SPI of the SA that this one replaces.
    public var replaces: SPI?
    /// False: receive only, until ``IKEEffect/activateOutbound(inboundSPI:)``.
    public var outboundActive: Bool
    /// The child's configuration: replay window, lifetimes, DSCP, ECN, MSS clamp.
    public var configuration: ChildConfiguration
}

/// What happened, for logs, `status` and programs.
public enum IKEReport: Sendable {
    /// The first message of a new IKE SA was sent or accepted.
    case connecting(connection: String, remote: Endpoint, role: Role)
    /// A connection that was asked for waits until fewer attempts to the peer's address are under way.
    case queued(connection: String, remote: IPAddress)
    /// Both sides are authenticated.
    case established(connection: String, IKESAStatus)
    /// A Child SA came up; `replaces` is set after a rekey.
    case childInstalled(connection: String, child: String, ChildSAStatus, replaces: SPI?)
    /// Nothing passed on a Child SA for as long as its `inactivity`: it is deleted.
    case childIdle(connection: String, child: String, after: Duration)
    /// A Child SA is gone.
    case childRemoved(connection: String, child: String, inboundSPI: SPI)
    /// The Child SAs of a connection use another path, with the same keys.
    case moved(connection: String, IKESAStatus)
    /// The IKE SA was replaced by a new one without interruption.
    case ikeRekeyed(connection: String, IKESAStatus)
    /// The IKE SA is gone; the reason is for people.
    case closed(connection: String, reason: String)
    /// An attempt or an SA failed.
    case failed(FailureReport)

    /// Which side sent the first IKE_SA_INIT.
    public enum Role: String, Sendable { case initiator, responder }
}
