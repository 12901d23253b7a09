// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditCrypto
internal import AditWire

/// One IKE SA: what is true in every state, and the state.
struct IKESA: Sendable {
    /// The SPI that we chose, which names the IKE SA in the endpoint.
    let spi: IKESPI
    /// The SPI that the peer chose; zero while we do not know it.
    var peerSPI: IKESPI = .zero
    /// Who sent the first message; after a rekey, who started the rekey (RFC 7296 §2.2).
    let role: IKEReport.Role
    /// Where its messages are sent from and to.
    var local: Endpoint
    var remote: Endpoint
    /// Whether a NAT was detected before us, and before the peer (RFC 7296 §2.23).
    var localBehindNAT = false
    var remoteBehindNAT = false
    /// Whether the peer pretends to be behind one, where that can be told.
    var remoteFakesNAT = false
    /// Whether the peer sent NAT detection, so that it knows NAT traversal.
    var natTraversal = false
    /// What belongs to MOBIKE; nil when a side does not speak it.
    var mobility: Mobility?
    /// Our end changed and the peer, which speaks no MOBIKE, has not been heard since.
    var movedUnannounced = false
    /// The connection: known from the start when we initiate, after IKE_AUTH when the peer does.
    var connection: ConnectionID?
    /// Children to be created, the first one in IKE_AUTH.
    var wanted: [ChildID] = []
    /// The low byte of its inbound ESP SPIs: of the peer's first address, and inherited by its successors, whatever the
    /// address then.
    var steeringByte: UInt8 = 0
    /// Responder: the peer has proved who it is.
    var isPeerProven = false
    /// The IKE SA whose place this one takes when it is established: the peers authenticate anew.
    var reauthenticates: IKESPI?
    /// The IKE SA that it was made to replace by a rekey.
    var predecessor: IKESPI?
    /// Under what it is known as the peer's, when it is authenticated or IKE_AUTH is outstanding.
    var contacts: [Contact] = []
    /// When it was begun.
    let createdAt: Timestamp
    var window = MessageWindow()
    /// Fragments of the peer's requests and of its responses that are not complete (RFC 7383 §2.6): each kind counts
    /// its own Message IDs (RFC 7296 §2.2), so one of each may have the same and be under way at once.
    var requestFragments = FragmentReassembly()
    var responseFragments = FragmentReassembly()
    var state: State

    /// Where an IKE SA stands; each case holds what only it may touch.
    enum State: Sendable {
        /// Initiator: IKE_SA_INIT is outstanding.
        case initSent(InitSent)
        /// Responder: IKE_SA_INIT was answered.
        case halfOpen(HalfOpen)
        /// Initiator: IKE_AUTH is outstanding.
        case authSent(AuthSent)
        /// Both sides are authenticated.
        case established(Session)
        /// On its way out: it answers, and asks for nothing but its deletion.
        case closing(Closing)
        /// Forgotten when it is put back into the table; also the state while another is being worked on.
        case gone
    }

    /// The initiator's SPI.
    var initiatorSPI: IKESPI { role == .initiator ? spi : peerSPI }

    /// The responder's SPI.
    var responderSPI: IKESPI { role == .initiator ? peerSPI : spi }

    /// What the state `established` holds, changed in place; nil in any other state.
    var session: Session? {
        get { if case .established(let session) = state { session } else { nil } }
        _modify {
            var session: Session?
            if case .established(let value) = state {
                session = value
                state = .gone
            }
            defer { if let session { state = .established(session) } }
            yield &session
        }
    }

    /// The keys that protect its messages; nil before IKE_SA_INIT is done.
    var keying: IKEKeying? {
        switch state {
        case .initSent, .gone: nil
        case .halfOpen(let halfOpen): halfOpen.keying
        case .authSent(let authSent): authSent.keying
        case .established(let session): session.keying
        case .closing(let closing): closing.keying
        }
    }
}

/// What IKE_SA_INIT agreed, and the keys that follow from it.
struct IKEKeying: Sendable {
    let choice: ProposalChoice
    /// SK_d, from which Child SA keys and the next IKE SA's keys come.
    let skD: SecretBytes
    let sealer: SKSealer
    let opener: SKOpener
    /// Whether the peer takes fragments (RFC 7383 §2.3).
    var fragmentation: Bool
}

/// Initiator: IKE_SA_INIT is outstanding.
struct InitSent: Sendable {
    let nonce: [UInt8]
    var keyExchange: KeyExchange
    /// The groups tried, each once.
    var groups: [UInt16]
    /// What the responder asked to be sent back (RFC 7296 §2.6).
    var cookie: [UInt8]?
    var cookieRounds = 0
    /// An unauthenticated refusal: believed only when nothing better arrives for a while (RFC 7296 §2.21.1).
    var refusal: NotifyType?
    /// Why an answer was ignored: as unauthenticated as a refusal, and reported only when no better one arrives.
    var unacceptable: Unacceptable?

    /// Whether nothing has come back, not even a cookie's demand, another group's or a refusal.
    var isUnanswered: Bool { cookie == nil && groups.count <= 1 && refusal == nil && unacceptable == nil }

    /// What is wrong with an answer.
    enum Unacceptable: Sendable {
        /// The proposal chosen is none of ours.
        case proposal(ProposalMismatch)
        /// The key exchange is missing, of another group (which it names), or has a value that the group forbids.
        case keyExchange(group: UInt16?)
    }
}

/// Responder: IKE_SA_INIT was answered.
struct HalfOpen: Sendable {
    let key: HalfOpenTable.Key
    /// The first message and its answer, as AUTH covers them (RFC 7296 §2.15).
    let request: [UInt8]
    let response: [UInt8]
    let initiatorNonce: [UInt8]
    let responderNonce: [UInt8]
    let keying: IKEKeying
    /// The hash functions that the peer verifies signatures with; nil without RFC 7427.
    let peerHashes: SignatureHashes?
    /// SK_pi and SK_pr, which AUTH needs.
    let skPi: SecretBytes
    let skPr: SecretBytes
}

/// Initiator: IKE_AUTH is outstanding.
struct AuthSent: Sendable {
    let initiatorNonce: [UInt8]
    let responderNonce: [UInt8]
    /// The responder's first message, which its AUTH covers.
    let response: [UInt8]
    let keying: IKEKeying
    /// SK_pr, which the responder's AUTH needs.
    let skPr: SecretBytes
    let localID: Identity
    /// The hashes that the responder announced, nil when it knows no RFC 7427.
    let peerHashes: SignatureHashes?
    /// The child asked for; nil without one (RFC 6023).
    let child: ChildNegotiation?
}

/// Both sides are authenticated.
struct Session: Sendable {
    var keying: IKEKeying
    let localID: Identity
    let remoteID: Identity
    /// The key under which the half-open table knows the first message; nil after a rekey.
    var firstMessage: HalfOpenTable.Key?
    let establishedAt: Timestamp
    var rekeyAt: Timestamp?
    /// When something authenticated last arrived, on the IKE SA or on one of its children.
    var lastInbound: Timestamp
    /// How long nothing may come before the peer is asked whether it lives: about `dpd_delay`; nil for ever.
    var livenessDelay: Duration?
    var children: [ChildSA] = []
    /// What will be asked, in order; ``taskLimit`` at the most.
    var tasks: [IKETask] = []
    /// Tasks that the peer put off (TEMPORARY_FAILURE), asked again when the retry timer runs out.
    var postponed: [IKETask] = []
    /// Since when the peer puts off what we ask (RFC 7296 §2.25).
    var postponedSince: Timestamp?
    /// When it put something off last.
    var postponedAt: Timestamp?
    /// What the outstanding request asks.
    var exchange: IKEExchange?
    /// The IKE SA whose successor this may become: both sides rekey it at once, and it is not decided which one
    /// inherits.
    var inheritsFrom: IKESPI?
    /// The Child SA that we accepted last, until the peer shows that our answer arrived: what it may not know of yet is
    /// neither rekeyed nor deleted.
    var unconfirmed: Unconfirmed?
    /// How the peers authenticated; a rekey does not change it.
    var origin: Origin
    /// When we authenticate anew or, as the original responder, no longer wait for the peer to do so.
    var reauthAt: Timestamp?
    /// When an IKE SA that could not be authenticated anew is closed.
    var reauthLimit: Timestamp?
    /// Another IKE SA to the same peer takes over.
    var handover: Handover?
    /// When the outstanding request was first sent, and when the last one that was answered was.
    var requestedAt: Timestamp?
    var answeredAsOf: Timestamp?
    /// The peer may have lost its state; nil again as soon as an authenticated message arrives.
    var suspicion: Suspicion?
    /// When the peer was last asked because of a suspicion.
    var suspectedAt: Timestamp?
    /// When the peer was last asked because it sent from where it is not written to.
    var askedAt: Timestamp?

    /// The exchange in which the peers authenticated.
    struct Origin: Sendable {
        /// Its initiator's SPI, which both sides compare.
        let initiatorSPI: IKESPI
        /// Whether it was ours (RFC 4478 §2).
        let isOurs: Bool
        let at: Timestamp
    }

    /// Why another IKE SA takes over, and since when.
    struct Handover: Sendable {
        let since: Timestamp
        let reason: Reason
        /// Children that we made here or wanted to.
        var unfinished: [ChildID]
        /// How far we have gone to get the children there: nothing, ours, or all of them were asked for.
        var stage = 0

        enum Reason: Sendable { case reauthenticated, replaced, crossed }
    }

    /// A Child SA and how long the peer may not know of it.
    struct Unconfirmed: Sendable {
        let inbound: SPI
        /// After this it is assumed to be known.
        var until: Timestamp
        /// Whether it was made in IKE_AUTH: a peer that answers anything has our answer to that.
        var isFirst = false
        /// The data plane did not take it: when the peer asks again, and so gets our answer, it is deleted again.
        var isRefused = false
    }

    /// Tasks of one IKE SA at the most.
    static let taskLimit = 1024

    /// How many Child SAs there are that are neither replaced nor being deleted.
    var installed: Int { children.count { $0.phase == .installed } }

    /// The index of the child with this inbound SPI.
    func index(inbound spi: SPI) -> Int? { children.firstIndex { $0.inbound == spi } }

    /// The index of the child with this outbound SPI, unless the peer has deleted it already.
    func index(outbound spi: SPI) -> Int? {
        children.firstIndex { $0.outbound == spi && $0.phase != .draining }
    }

    /// The children of configuration `child` that are neither replaced nor being deleted.
    func live(child: ChildID) -> ChildSA? { children.last { $0.child == child && $0.phase == .installed } }

    /// One of the children of configuration `child` that is neither replaced nor being deleted and lets this through.
    func live(child: ChildID, passing traffic: SelectorPair) -> ChildSA? {
        children.last { $0.child == child && $0.phase == .installed && $0.passed.covers(traffic) }
    }

    /// The one of the children of configuration `child` that we send on, and whose traffic lies within `agreed`: not a
    /// successor that the peer may not have.
    func sending(child: ChildID, within agreed: SelectorPair) -> ChildSA? {
        let inUse = children.filter { one in
            one.child == child && one.phase != .deleting && one.phase != .draining
                && agreed.covers(SelectorPair(local: one.localSelectors, remote: one.remoteSelectors))
        }
        return inUse.last { $0.outboundActive } ?? inUse.last
    }

    /// Adds a task unless it waits already.
    mutating func add(_ task: IKETask) {
        guard !tasks.contains(task), !postponed.contains(task), tasks.count < Self.taskLimit else { return }
        tasks.append(task)
    }
}

/// What an outstanding request of an authenticated IKE SA asks.
enum IKEExchange: Sendable {
    case liveness
    case child(ChildNegotiation)
    case rekeyIKE(IKERekey)
    case deleteChildren([SPI])
    case mobility(MobilityExchange)
}

/// A Child SA that we asked for.
struct ChildNegotiation: Sendable {
    /// Which of the connection's children.
    let child: ChildID
    /// The SPI that we offered.
    let spi: SPI
    /// The inbound SPI of the SA to be replaced.
    let replaces: SPI?
    /// What we offered.
    let proposals: [Proposal]
    let localSelectors: [TrafficSelector]
    let remoteSelectors: [TrafficSelector]
    /// What was asked for when the SA to be replaced was made; nil for a new one.
    var asked: SelectorPair?
    /// What is asked for before the child's own selectors.
    var first: SelectorPair?
    /// Our nonce; empty in IKE_AUTH, which uses those of IKE_SA_INIT.
    let nonce: [UInt8]
    /// Our share of the key exchange; nil without PFS.
    let keyExchange: KeyExchange?
    /// The groups tried, each once.
    let groups: [UInt16]
    /// The peer rekeyed the same SA while our request was outstanding (RFC 7296 §2.8.1).
    var collision: Collision?

    /// The peer's side of a simultaneous rekey.
    struct Collision: Sendable {
        /// Our inbound SPI of the SA that the peer created.
        let inbound: SPI
        /// The lower one of the nonces of the peer's exchange.
        let lowestNonce: [UInt8]
    }
}

/// A rekey of the IKE SA that we asked for.
struct IKERekey: Sendable {
    /// The SPI that we offered.
    let spi: IKESPI
    let nonce: [UInt8]
    let keyExchange: KeyExchange
    let groups: [UInt16]
    /// The peer rekeyed the same IKE SA while our request was outstanding (RFC 7296 §2.8.2).
    var collision: Collision?

    /// The peer's side of a simultaneous rekey.
    struct Collision: Sendable {
        /// The IKE SA that the peer created; it has no children yet.
        let spi: IKESPI
        /// The lower one of the nonces of the peer's exchange.
        let lowestNonce: [UInt8]
    }
}

/// On its way out.
struct Closing: Sendable {
    let keying: IKEKeying
    var purpose: Purpose
    var firstMessage: HalfOpenTable.Key?
    /// False after a refused IKE_AUTH.
    var isAuthenticated = true
    /// Whether requests are answered: not on one that never was established for us, lest its peer think that it is.
    var answers = true
    /// Its Child SAs that another IKE SA keeps until the peer has heard that this one goes, and a little longer.
    var drained: [SPI] = []

    /// What is still to be done.
    enum Purpose: Equatable, Sendable {
        /// Answer until the peer's DELETE arrives, or retransmissions of what was answered cease.
        case linger
        /// Send DELETE as soon as the outstanding request is answered.
        case deleteNext
        /// DELETE, or the notification that replaces it, is outstanding.
        case lastRequest
    }
}
