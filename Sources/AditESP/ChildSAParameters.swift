// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

public import AditCrypto
public import AditWire

/// Everything the data plane has to know about a pair of ESP SAs.
public struct ChildSAParameters: Sendable {
    /// The connection's name, for status.
    public var connection: String
    /// The child's name, for status.
    public var child: String
    /// The SPI that we chose.
    public var inboundSPI: SPI
    /// The SPI that the peer chose.
    public var outboundSPI: SPI
    /// The cipher suite of both directions.
    public var suite: CipherSuite
    /// Encryption key (salt included), then integrity key, for what arrives.
    public var inboundKey: SecretBytes
    /// The same for what leaves.
    public var outboundKey: SecretBytes
    /// Whether sequence numbers are extended (RFC 4303 §2.2.1).
    public var esn: Bool
    /// Packets of the replay window: 64 to 65,536; values outside are brought to the nearer end.
    public var replayWindow: Int = 4096
    /// Inner addresses on our side.
    public var localSelectors: [TrafficSelector]
    /// Inner addresses on the peer's side.
    public var remoteSelectors: [TrafficSelector]
    /// Our outer endpoint.
    public var local: Endpoint
    /// The peer's outer endpoint.
    public var remote: Endpoint
    /// Between equally specific selectors the smaller order wins, then the newer SA.
    public var order: UInt32 = 0
    /// The inbound SPI of the SA that this one replaces: it stops sending when this one is activated.
    public var replaces: SPI?
    /// Whether to send at once, or only after ``SATable/activateOutbound(inboundSPI:)``.
    public var outboundActive = true
    /// Copy the inner DSCP to the outer header (RFC 2983 §3); otherwise it is 0.
    public var copyDSCP = false
    /// Copy the inner ECN field to the outer header (RFC 6040 §4.1 normal mode); otherwise Not-ECT (compatibility
    /// mode).
    public var copyECN = true
    /// Whether TCP's MSS is to be clamped; the packet paths read it.
    public var clampMSS = true
    /// Soft and hard limits, at first those of the suite; the hard ones end the SA's use.
    public var lifetime: SALifetime

    /// Parameters with the defaults of the optional ones.
    public init(
        connection: String, child: String, inboundSPI: SPI, outboundSPI: SPI, suite: CipherSuite,
        inboundKey: SecretBytes, outboundKey: SecretBytes, esn: Bool, localSelectors: [TrafficSelector],
        remoteSelectors: [TrafficSelector], local: Endpoint, remote: Endpoint
    ) {
        self.connection = connection
        self.child = child
        self.inboundSPI = inboundSPI
        self.outboundSPI = outboundSPI
        self.suite = suite
        self.inboundKey = inboundKey
        self.outboundKey = outboundKey
        self.esn = esn
        self.localSelectors = localSelectors
        self.remoteSelectors = remoteSelectors
        self.local = local
        self.remote = remote
        lifetime = SALifetime(suite)
    }
}

/// Limits on what one SA may carry, each direction for itself (RFC 4301 §4.4.2.1). Time limits are IKE's.
public struct SALifetime: Hashable, Sendable {
    /// After this many inner bytes the SA should be rekeyed.
    public var rekeyBytes: UInt64 = .max
    /// After this many packets the SA should be rekeyed. Without ESN never more than 15/16 of 2^32.
    public var rekeyPackets: UInt64 = .max
    /// After this many inner bytes the SA carries nothing more.
    public var hardBytes: UInt64 = .max
    /// After this many packets the SA carries nothing more.
    public var hardPackets: UInt64 = .max

    /// No limits but those of the sequence number.
    public init() {}

    /// The limits that `suite` sets: of bytes with 3DES, none with the others.
    ///
    /// Two equal blocks of ciphertext tell something of the text (Sweet32), and with blocks of 64 bits they come after
    /// 2^32 of them. 2^30 bytes are 2^27 blocks, of which two are equal with a probability of one in 2,000.
    public init(_ suite: CipherSuite) {
        guard case .tripleDESCBC = suite else { return }
        rekeyBytes = Self.tripleDESRekeyBytes
        hardBytes = Self.tripleDESHardBytes
    }

    /// Inner bytes in one direction after which an SA with 3DES is rekeyed: at 100 Mbit/s every 43 seconds.
    public static let tripleDESRekeyBytes: UInt64 = 1 << 29
    /// Inner bytes in one direction after which an SA with 3DES carries nothing more.
    public static let tripleDESHardBytes: UInt64 = 1 << 30
}

/// One configured child as policy sees it while it has no SA (RFC 4301 §4.4.1).
public struct ChildPolicy: Sendable {
    /// What happens to a packet that only this policy covers.
    public enum Action: Sendable { case acquire, drop }

    /// The caller's name for the policy, returned in ``OutboundVerdict/acquire(_:)``.
    public var id: PolicyID
    /// Inner addresses on our side.
    public var localSelectors: [TrafficSelector]
    /// Inner addresses on the peer's side.
    public var remoteSelectors: [TrafficSelector]
    /// Between equally specific selectors the smaller order wins.
    public var order: UInt32
    /// Acquire or drop.
    public var action: Action

    /// A policy.
    public init(
        id: PolicyID, localSelectors: [TrafficSelector], remoteSelectors: [TrafficSelector], order: UInt32,
        action: Action
    ) {
        self.id = id
        self.localSelectors = localSelectors
        self.remoteSelectors = remoteSelectors
        self.order = order
        self.action = action
    }
}

/// Names a ``ChildPolicy``; the number is its owner's.
public struct PolicyID: RawRepresentable, Hashable, Sendable {
    /// The number.
    public let rawValue: UInt32
    /// Wraps a number.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// The outer endpoints of an SA at one time.
public struct OuterPath: Hashable, Sendable {
    /// Ours.
    public var local: Endpoint
    /// The peer's.
    public var remote: Endpoint

    /// A path.
    public init(local: Endpoint, remote: Endpoint) {
        self.local = local
        self.remote = remote
    }
}

/// Why an SA could not be installed.
public enum SATableError: Error, Hashable, Sendable {
    /// The table holds as many SAs as it may, or readers hold up the release of retired ones.
    case full
    /// The inbound SPI is in use.
    case duplicateSPI
    /// An SPI below 256 (RFC 4303 §2.1).
    case reservedSPI
    /// The selectors take more address blocks, or more rules per block, than a named limit allows.
    case tooManySelectors
    /// The keys do not fit the suite, or libcrypto refused.
    case crypto(CryptoError)
}

extension SATableError: CustomStringConvertible {
    /// What is the matter, in words.
    public var description: String {
        switch self {
        case .full: "the table of SAs is full"
        case .duplicateSPI: "its SPI is in use"
        case .reservedSPI: "its SPI is a reserved one"
        case .tooManySelectors: "its traffic selectors make too many pairs of address blocks"
        case .crypto(let error): "\(error)"
        }
    }
}

/// What one pair of SAs carried; inner bytes.
public struct SACounters: Hashable, Sendable {
    /// Packets received, authenticated and delivered.
    public var packetsIn: UInt64 = 0
    /// Their inner bytes.
    public var bytesIn: UInt64 = 0
    /// Packets sealed.
    public var packetsOut: UInt64 = 0
    /// Their inner bytes.
    public var bytesOut: UInt64 = 0

    /// Nothing yet.
    public init() {}
}

/// What the packet threads noticed about an SA; ``SATable/drainHints(_:)`` hands them to the control thread.
public enum SAHint: Hashable, Sendable {
    /// A soft lifetime was reached; told once per SA.
    case lifetimeReached(inboundSPI: SPI)
    /// Authenticated traffic arrived since the last drain.
    case inboundActivity(inboundSPI: SPI)
    /// The newest authenticated packet came from a new address.
    case peerMoved(inboundSPI: SPI, to: Endpoint)
}
