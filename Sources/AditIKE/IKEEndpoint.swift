// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditCrypto
public import AditWire

/// All IKE SAs of one gateway: a machine without I/O.
///
/// A value with one owner: every event is handed in by the owner, one after the other. What an event costs does not
/// grow with the number of IKE SAs.
public struct IKEEndpoint: Sendable {
    var connections: ConnectionTable
    var ikeSAs = IKESATable()
    /// The IKE SA of each Child SA, installed or being negotiated, by the SPI that we chose.
    var childOwners: [SPI: IKESPI] = [:]
    /// Our SPIs of the installed Child SAs by the peer's; several peers may choose the same.
    var outboundSPIs: [SPI: [SPI]] = [:]
    /// The authenticated IKE SAs of each peer of a connection.
    var peers: [PeerKey: [IKESPI]] = [:]
    /// Those among them from which another one takes over.
    var leaving: [PeerKey: Set<IKESPI>] = [:]
    /// The IKE SAs, of all connections, to each peer that IKE_AUTH went to or came from.
    var contacts: [Contact: Set<IKESPI>] = [:]
    var halfOpen = HalfOpenTable()
    var attempts = AttemptTable()
    var timers = TimerTable()
    var cookies: CookieChallenge?
    /// Answers to unprotected messages, per source and in all (RFC 7296 §2.21.4).
    var unprotectedAnswers = SourceRateLimit(perSecond: 20, total: 1000)
    /// INVALID_KE_PAYLOAD, which a peer needs to come up: it is shorter than its request and costs nothing to keep.
    var invalidKEAnswers = RateLimit(perSecond: 1000)
    /// INVALID_SPI, per source and in all (RFC 7296 §1.5).
    var invalidSPIAnswers = SourceRateLimit(perSecond: 1, total: 100)
    /// Failures of peers that are not authenticated, as they are reported.
    var unauthenticatedReports = RateLimit(perSecond: 20)
    /// Liveness checks because of unprotected messages (RFC 7296 §2.21.4).
    var unprotectedHints = RateLimit(perSecond: 100)
    /// From which the steering byte of an IKE SA is made.
    let steeringKey: SecretBytes
    let entropy: EntropySource
    let limits: IKELimits
    let wallClock: WallClock
    /// Whether the keys of IKE SAs leave the machine, as ``IKEEffect/disclose(_:)``.
    let disclosesKeys: Bool
    let routes: RouteLookup
    /// The host's addresses, as far as we were told.
    var hostAddresses: [HostAddress] = []
    /// After shutdown nothing is initiated or answered.
    var isShutDown = false
    /// The time of the event being handled.
    var now = Timestamp(nanoseconds: 0)
    /// What the event being handled asks the driver to do.
    var effects: [IKEEffect] = []

    /// What was received and not acted upon, by reason.
    public internal(set) var counters = IKECounters()

    /// A machine for `connections`; nothing happens before the first event.
    ///
    /// Without a `wallClock` no certificate is valid yet. `disclosesKeys` hands the keys of every IKE SA out, to read
    /// captures with; it is off unless somebody asks for it. Without `routes` no IKE SA changes its path by itself.
    public init(
        connections: [ConnectionConfiguration], entropy: EntropySource, limits: IKELimits = IKELimits(),
        wallClock: WallClock = WallClock { 0 }, disclosesKeys: Bool = false,
        routes: RouteLookup = RouteLookup { _ in nil }
    ) {
        self.connections = ConnectionTable()
        self.entropy = entropy
        self.limits = limits
        self.wallClock = wallClock
        self.disclosesKeys = disclosesKeys
        self.routes = routes
        let key = entropy.integer64()
        unprotectedAnswers.key = key
        invalidSPIAnswers.key = key
        steeringKey = entropy.secret(32)
        for configuration in connections {
            let id = self.connections.add(configuration)
            if !startedChildren(id).isEmpty { timers.set(.initiate(id), at: Timestamp(nanoseconds: 0)) }
        }
    }

    /// Takes one event at time `now` and appends what the driver has to do.
    public mutating func handle(_ event: IKEEvent, now: Timestamp, into effects: inout [IKEEffect]) {
        self.now = max(now, self.now)
        swap(&self.effects, &effects)
        defer { swap(&self.effects, &effects) }
        guard !isShutDown else { return }
        switch event {
        case .datagram(let bytes, let local, let remote): receive(bytes, local: local, remote: remote)
        case .command(let command): perform(command)
        case .acquire(let connection, let child, let packet):
            acquire(connection: connection, child: child, packet: packet)
        case .lifetimeReached(let spi): addTask(.rekeyChild(spi), childSPI: spi)
        case .inboundActivity(let spi): noteActivity(spi)
        case .traffic(let spi): noteTraffic(spi)
        case .peerMoved(let spi, let remote): peerMoved(spi, to: remote)
        case .unknownSPI(let spi, let remote): reportUnknownSPI(spi, to: remote)
        case .installationFailed(let spi, let reason): installationFailed(spi, reason)
        case .unsendable(let bytes, let local, let remote, let reason):
            unsendable(bytes, local: local, remote: remote, reason)
        case .resolved(let token, let answers): resolved(token, answers)
        case .addressesChanged(let addresses): addressesChanged(addresses)
        case .deadline: break
        }
        runTimers()
        startQueued()
    }

    /// When ``IKEEvent/deadline`` is due; nil when nothing waits.
    public var nextDeadline: Timestamp? { isShutDown ? nil : timers.next }

    /// How many IKE SAs there are, in every state.
    public var ikeSACount: Int { ikeSAs.count }

    /// How many Child SAs there are, those being negotiated included.
    public var childSACount: Int { childOwners.count }

    /// Runs every timer that is due; one that sets itself again for the same moment runs at the next event.
    private mutating func runTimers() {
        var budget = timers.count
        while budget > 0, let timer = timers.popExpired(now) {
            budget -= 1
            expire(timer)
        }
    }

    private mutating func expire(_ timer: IKETimer) {
        switch timer {
        case .retransmit(let spi): retransmit(spi)
        case .halfOpen(let spi): expireHalfOpen(spi)
        case .liveness(let spi): checkLiveness(spi)
        case .keepalive(let spi): sendKeepalive(spi)
        case .rekeyIKE(let spi): addTask(.rekeyIKE, to: spi)
        case .reauthenticate(let spi): reauthenticate(spi)
        case .handover(let spi): finishHandover(spi)
        case .retry(let spi): retryPostponed(spi)
        case .closing(let spi): expireClosing(spi)
        case .rekeyChild(let spi): addTask(.rekeyChild(spi), childSPI: spi)
        case .inactivity(let spi): checkInactivity(spi)
        case .expireChild(let spi): expireChild(spi)
        case .resolution(let id): expireResolution(id)
        case .initiate(let id): initiateDue(id)
        }
    }
}

/// The named limits of an endpoint.
public struct IKELimits: Sendable {
    /// Half-open IKE SAs as responder before a cookie is demanded (RFC 7296 §2.6).
    public var halfOpenBeforeCookie = 64
    /// Half-open IKE SAs as responder at the most; for another one whoever has the most loses its oldest.
    public var halfOpenMaximum = 4096
    /// Half-open IKE SAs of one source address, of IPv6 of one /64, before a cookie is demanded of it.
    public var halfOpenPerSourceBeforeCookie = 8
    /// Half-open IKE SAs of one source at the most, those without a cookie included.
    public var halfOpenPerSource = 32
    /// Bytes of a first message at the most, which is kept until IKE_AUTH (RFC 7296 §2.15): the largest key exchange
    /// values (1024 in MODP 8192), nonce and cookie leave 2.7 KB for proposals and notifications, a hundred suites.
    public var firstMessageLength = 4096
    /// Bytes of a fragmented message at the most before its peer is authenticated: IKE_AUTH with a chain of eight
    /// certificates of 2 to 3 KB fits.
    public var unprovenMessageLength = 32_768
    /// Bytes of fragments of all half-open IKE SAs at the most; beyond them those that wait longest are dropped, which
    /// their peers send again.
    public var unprovenFragmentBytes = 8_388_608
    /// Attempts of ours to one address at the most that are under way at once: an attempt counts from its first
    /// message until it is decided, or was sent again unanswered. Half of what a peer like us takes of one source.
    public var attemptsPerRemote = 16
    /// All IKE SAs at the most.
    public var ikeSAMaximum = 65_536
    /// Child SAs of one IKE SA at the most, those not counted that are replaced or being deleted.
    public var childrenPerIKESA = 256
    /// Child SAs of one IKE SA at the most, in every state: all may be replaced at once.
    var allChildrenPerIKESA: Int { 2 * childrenPerIKESA + Self.childSlack }
    /// The first retransmission comes after this; each later one after 1.8 times the wait before.
    public var retransmitInitial: Duration = .milliseconds(1000)
    /// Sendings of one request at the most, the first included.
    public var retransmitTries = 6
    /// Sendings of a first message to one of several addresses of the peer at the most, before the next one's turn.
    public var addressTries = 3
    /// A half-open IKE SA is forgotten after this.
    public var halfOpenLifetime: Duration = .seconds(30)
    /// The time between NAT keepalives (RFC 3948 §4); zero sends none.
    public var keepaliveInterval: Duration = .seconds(20)
    /// Our IKE port, from which initiating begins.
    public var ikePort: UInt16 = 500
    /// Our NAT traversal port, which carries ESP.
    public var natPort: UInt16 = 4500
    /// The peer's NAT traversal port.
    public var remoteNATPort: UInt16 = 4500
    /// The longest IKE message in bytes that is sent in one datagram when the peer takes fragments (RFC 7383 §2.5.1):
    /// with IPv6 and UDP headers and the non-ESP marker, 1280 bytes.
    public var fragmentSize = 1228
    /// The names of a connection's peer are looked up within this, or not.
    public var resolutionTimeout: Duration = .seconds(10)
    /// The wait after the first failed attempt of a connection that starts by itself; doubled after each further one.
    public var initiateBackOffInitial: Duration = .seconds(1)
    /// The longest wait between attempts.
    public var initiateBackOffMaximum: Duration = .seconds(60)

    private static let childSlack = 64

    /// The defaults.
    public init() {}
}
