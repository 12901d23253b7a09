// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

/// A configured connection's place in an endpoint; never used twice.
struct ConnectionID: Hashable, Comparable, Sendable {
    let rawValue: UInt32

    static func < (left: ConnectionID, right: ConnectionID) -> Bool { left.rawValue < right.rawValue }
}

/// One configured connection and what became of it.
struct Connection: Sendable {
    let id: ConnectionID
    /// As it is configured now; its children have their places in ``children``.
    private(set) var configuration: ConnectionConfiguration
    private(set) var children: ChildTable
    /// Taken down by command: neither initiated nor answered until asked for.
    var held = false
    /// The IKE SA that we are initiating.
    var attempt: IKESPI?
    /// The authenticated IKE SAs, numbered in the order in which they came.
    var established: [IKESPI: UInt64] = [:]
    private var sequence: UInt64 = 0
    /// The peer died, and nothing is tried by itself: only packets, or not even they, bring the connection back,
    /// whatever the children's start action; nil again when it is up.
    var afterDeath: ConnectionConfiguration.DeadPeerAction?
    /// The peer refused RSASSA-PSS, so our attempts sign with PKCS #1 v1.5.
    var signsByPKCS1 = false
    /// Children that are wanted as soon as initiating is allowed again.
    var wanted: [ChildID] = []
    /// Children that were deleted because they carried nothing: only a packet, a command or the peer brings them back.
    var idle: Set<ChildID> = []
    /// What is asked for first when a child is made.
    var awaited = AwaitedTraffic()
    /// Failed attempts in a row.
    var failures = 0
    /// No attempt before this, after a failure.
    var notBefore: Timestamp?
    /// When an attempt was, or will be, that a change of addresses or routes brought forward.
    var hastenedTo: Timestamp?
    /// The remote addresses that were tried in this round.
    var tried: [IPAddress] = []
    /// What the configured names were found to mean.
    var resolved: [String: [IPAddress]] = [:]
    /// The children of an attempt that waits for names; nil when none does.
    var resolving: [ChildID]?
    /// Whether the last attempt of ours failed.
    var hasFailed = false
    /// Why the last attempt of either side failed; nil after a success.
    var lastFailure: FailureReport? { didSet { failedChild = nil } }
    /// The child that ``lastFailure`` is about, while its IKE SA stands.
    var failedChild: ChildID?
    /// What ``failures`` was when a child came up at last.
    var pardoned = 0
    /// Why a peer that proved nothing was refused last: anybody can bring that about, so it is shown only where there
    /// is nothing of our own to show.
    var unprovenFailure: FailureReport?

    init(id: ConnectionID, configuration: ConnectionConfiguration) {
        self.id = id
        self.configuration = configuration
        children = ChildTable(configuration.children)
    }

    /// Whether we know where the peer is.
    var canInitiate: Bool { configuration.hasRemote }

    /// The newest of the authenticated IKE SAs.
    var newest: IKESPI? { established.max { $0.value < $1.value }?.key }

    /// The children that come up by themselves and again whenever they are lost.
    var started: [ChildID] {
        guard afterDeath == nil else { return [] }
        return children.ids.filter { children[$0]?.startAction == .start && !idle.contains($0) }
    }

    /// Whether a packet may bring a child up.
    func isAwaited(_ child: ChildID) -> Bool {
        afterDeath.map { $0 == .trap } ?? children[child].map { $0.startAction != .none } ?? false
    }
}

extension Connection {
    /// Follows a change that leaves the IKE SAs in place: what was planned for a child is planned for what took its
    /// place.
    mutating func follow(_ new: ConnectionConfiguration, _ change: ConnectionChange) {
        let before = children
        // As a connection that takes another's place: nothing that failed before holds it back.
        afterDeath = nil
        failures = 0
        notBefore = nil
        configuration = new
        children.follow(new.children, change)
        wanted = children.current(wanted)
        resolving = resolving.map { children.current($0) }
        awaited.keep { children.isConfigured($0) }
        if let failed = failedChild {
            if let now = children.current(failed) { failedChild = now } else { lastFailure = nil }
        }
        idle = idle.filter { id in
            guard let old = before[id], children.isConfigured(id), let new = children[id] else { return false }
            return old.startAction == new.startAction && old.inactivity == new.inactivity
        }
    }

    /// Forgets the retired children that no SA and no exchange refers to.
    mutating func pruneChildren(except used: Set<ChildID>) { children.prune(except: used) }

    /// A child that could not be made is there: its failure is over.
    mutating func pardon(_ child: ChildID) {
        pardoned = 0
        guard failedChild == child else { return }
        pardoned = failures
        lastFailure = nil
        failures = 0
        notBefore = nil
    }

    /// The data plane did not take that child, so it was no success: the wait before the next goes on doubling.
    mutating func takeBackPardon() {
        if failures == 0 { failures = pardoned }
    }

    /// Adds an authenticated IKE SA as the newest.
    mutating func register(_ spi: IKESPI) {
        sequence += 1
        established[spi] = sequence
    }
}

extension Connection {
    /// The authenticated IKE SAs, the oldest first.
    var ikeSAs: [IKESPI] { established.sorted { $0.value < $1.value }.map(\.key) }
}
