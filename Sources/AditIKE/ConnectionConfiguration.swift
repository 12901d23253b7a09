// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditWire

/// All that IKE needs to know of one connection; the vocabulary is swanctl's, the defaults are the secure ones.
public struct ConnectionConfiguration: Sendable, Equatable {
    /// The connection's name, unique within an endpoint.
    public var name: String
    /// Our outer addresses to use; empty means whichever the system routes by.
    public var localAddresses: [IPAddress] = []
    /// The peer's outer addresses, tried in turn; empty, and no names, means any peer (`%any`, responder only).
    public var remoteAddresses: [IPAddress] = []
    /// Host names of the peer, looked up again for each attempt. Such a peer may call from any address: only its
    /// identity counts.
    public var remoteNames: [RemoteName] = []
    /// The peer's UDP port for the first message.
    public var remotePort: UInt16 = 500
    /// Who we say we are; nil sends the subject of our certificate, or without one our outer address.
    public var localID: Identity?
    /// Who the peer must be; nil accepts any identity that authenticates.
    public var remoteID: Identity?
    /// How both sides prove who they are.
    public var authentication: Authentication
    /// IKE proposals in order of preference.
    public var proposals: [Proposal] = Proposal.defaultIKE
    /// The Child SAs; at least one.
    public var children: [ChildConfiguration]
    /// Liveness: how long without inbound traffic before the peer is asked; zero never asks.
    public var dpdDelay: Duration = .seconds(30)
    /// What happens when the peer is dead.
    public var dpdAction: DeadPeerAction = .restart
    /// When the IKE SA is rekeyed; zero never.
    public var ikeRekeyTime: Duration = .seconds(4 * 3600)
    /// When the peers authenticate anew, with a new IKE SA and new children, before the old ones go; zero never.
    public var reauthTime: Duration = .zero
    /// What happens when a peer that is connected already connects again.
    public var unique: UniquePolicy = .replace
    /// Whether the first child may come after IKE_AUTH (RFC 6023).
    public var childless: ChildlessPolicy = .allow
    /// Whether we fake a NAT so that ESP is always in UDP. ESP is in UDP either way, until raw ESP exists.
    public var encap = true
    /// Whether RFC 7383 fragmentation is offered and used.
    public var fragmentation = true
    /// Whether MOBIKE is offered and used (RFC 4555): both peers may change their addresses, and keep their keys.
    public var mobike = true
    /// Whether legacy algorithms may be negotiated: 3DES, MD5, MODP 1024 and 1536, and RSA signatures
    /// with SHA-1.
    public var allowLegacy = false

    /// Connections whose secret or authorities are tried for one peer at the most.
    public static let proofLimit = 8

    /// Whether it is known where the peer is, or by which name.
    public var hasRemote: Bool { !remoteAddresses.isEmpty || !remoteNames.isEmpty }

    /// What to do when the peer no longer answers.
    public enum DeadPeerAction: String, Sendable, CaseIterable { case restart, trap, clear }

    /// What becomes of two IKE SAs to one identity, swanctl's `unique`.
    public enum UniquePolicy: String, Sendable, CaseIterable {
        /// The newer one takes the older one's place.
        case replace
        /// The newer one is refused, unless it comes from where the older one is.
        case keep
        /// Both stay; INITIAL_CONTACT is neither sent nor heeded.
        case never
    }

    /// When an IKE SA begins without a child, swanctl's `childless`.
    public enum ChildlessPolicy: String, Sendable, CaseIterable {
        /// The peer may begin so; we do only where there is no child to ask for.
        case allow
        /// We begin so where the peer can.
        case prefer
        /// In both roles nothing else is accepted.
        case force
        /// Neither.
        case never
    }

    /// A connection with the defaults for everything not named.
    public init(name: String, authentication: Authentication, children: [ChildConfiguration]) {
        self.name = name
        self.authentication = authentication
        self.children = children
    }
}

/// One Child SA of a connection.
public struct ChildConfiguration: Sendable, Equatable {
    /// The child's name, unique within its connection.
    public var name: String
    /// What is protected on our side.
    public var localSelectors: [TrafficSelector]
    /// What is protected on the peer's side.
    public var remoteSelectors: [TrafficSelector]
    /// ESP proposals in order of preference; a key-exchange method in one asks for PFS.
    public var proposals: [Proposal] = Proposal.defaultESP
    /// When the tunnel comes up.
    public var startAction: StartAction = .trap
    /// Whether all addresses are agreed with the peer while only ``localSelectors`` and ``remoteSelectors`` pass: for
    /// peers that route (any-to-any).
    public var anyToAny = false
    /// Whether the addresses of a packet that waits are asked for first (RFC 7296 §2.9), so that a peer that narrows
    /// includes them; false for peers that take one pair of selectors.
    public var asksForPacket = true
    /// The SA is deleted when nothing passed for that long; zero never. The next packet brings it back.
    public var inactivity: Duration = .zero
    /// When the SA is rekeyed; zero never.
    public var rekeyTime: Duration = .seconds(3600)
    /// Bytes in one direction after which the SA is rekeyed; nil for the suite's limit, which only 3DES has and which a
    /// larger number does not lift.
    public var rekeyBytes: UInt64?
    /// Packets in one direction after which the SA is rekeyed; nil for the limit that the sequence number sets.
    public var rekeyPackets: UInt64?
    /// The anti-replay window in packets, 64 to 65,536.
    public var replayWindow = 4096
    /// Whether extended sequence numbers are offered and accepted.
    public var esn = true
    /// Whether the TCP MSS is lowered to what the tunnel carries.
    public var clampMSS = true
    /// Whether the inner DSCP is copied to the outer header.
    public var copyDSCP = true
    /// Whether ECN is carried as RFC 6040 says.
    public var copyECN = true

    /// When a child's tunnel comes up.
    public enum StartAction: String, Sendable, CaseIterable {
        /// When the gateway starts, and again whenever it was lost.
        case start
        /// On the first packet that matches.
        case trap
        /// Only when the peer or a command asks.
        case none
    }

    /// A child with the defaults for everything not named.
    public init(name: String, localSelectors: [TrafficSelector], remoteSelectors: [TrafficSelector]) {
        self.name = name
        self.localSelectors = localSelectors
        self.remoteSelectors = remoteSelectors
    }
}
