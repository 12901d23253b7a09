// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// Several Child SAs of one configured child, when the peer narrows (RFC 7296 §2.9):
// 1. A packet that waits is asked for first, before the child's own selectors, so that the peer includes it.
// 2. Each answer is a Child SA of its own, which is rekeyed, deleted and authenticated anew for itself.
// 3. A packet outside all of them asks for a further one; what the peer refuses is not asked for again for a while.

/// The traffic that is asked for first when a child of a connection is made, and what the peer refused of it.
struct AwaitedTraffic: Sendable {
    private struct Refusal {
        let child: ChildID
        let traffic: SelectorPair
        let until: Timestamp
    }

    private var pairs: [ChildID: [SelectorPair]] = [:]
    private var refusals: [Refusal] = []
    /// After a refusal nothing further is asked for before this.
    private var notBefore: Timestamp?
    /// When a refusal was last told.
    private var toldAt: Timestamp?

    /// What waits for a child, in the order in which it came.
    func waiting(for child: ChildID) -> [SelectorPair] { pairs[child] ?? [] }

    /// Adds traffic of a child; what does not fit comes again with its next packet.
    mutating func add(_ traffic: SelectorPair, of child: ChildID) {
        guard !waiting(for: child).contains(traffic), waiting(for: child).count < Self.limit else { return }
        pairs[child, default: []].append(traffic)
    }

    /// Nothing waits for a child any more.
    mutating func forget(_ child: ChildID) { pairs[child] = nil }

    /// Forgets all of the children that are not `wanted`.
    mutating func keep(_ wanted: (ChildID) -> Bool) {
        pairs = pairs.filter { wanted($0.key) }
        refusals.removeAll { !wanted($0.child) }
    }

    /// Traffic of a child no longer waits.
    mutating func remove(_ traffic: SelectorPair, of child: ChildID) {
        pairs[child]?.removeAll { $0 == traffic }
        if pairs[child]?.isEmpty ?? false { pairs[child] = nil }
    }

    /// Whether a further Child SA may be asked for, for this.
    func mayAsk(for traffic: SelectorPair, of child: ChildID, _ now: Timestamp) -> Bool {
        if let notBefore, now < notBefore { return false }
        return !refusals.contains { $0.child == child && $0.traffic.isLike(traffic) && now < $0.until }
    }

    /// The peer refused this, or left it out; returns whether people should hear of it.
    mutating func refuse(_ traffic: SelectorPair, of child: ChildID, _ now: Timestamp) -> Bool {
        remove(traffic, of: child)
        refusals.removeAll { $0.until <= now }
        if refusals.count >= Self.limit { refusals.removeFirst() }
        refusals.append(Refusal(child: child, traffic: traffic, until: now + Self.refusalTime))
        notBefore = now + Self.refusalPause
        if let toldAt, now - toldAt < Self.refusalTime { return false }
        toldAt = now
        return true
    }

    /// Waiting traffic of one child, and refusals of a connection, at the most.
    static let limit = 64
    private static let refusalTime: Duration = .seconds(60)
    private static let refusalPause: Duration = .seconds(1)
}

extension SelectorPair {
    /// What describes one packet and its answers.
    init?(_ packet: FlowKey) {
        let ports: (UInt16, UInt16) -> ClosedRange<UInt16> = { packet.portsVisible ? $0...$0 : 0...$1 }
        let (source, destination) = (ports(packet.sourcePort, .max), ports(packet.destinationPort, .max))
        guard
            let local = TrafficSelector(
                first: packet.source, last: packet.source, ipProtocol: packet.ipProtocol,
                firstPort: source.lowerBound, lastPort: source.upperBound),
            let remote = TrafficSelector(
                first: packet.destination, last: packet.destination, ipProtocol: packet.ipProtocol,
                firstPort: destination.lowerBound, lastPort: destination.upperBound)
        else { return nil }
        self.init(local: [local], remote: [remote])
    }

    /// Whether a peer that refuses the one refuses the other: our port may be another one each time.
    fileprivate func isLike(_ other: SelectorPair) -> Bool {
        remote == other.remote && local.map(\.first) == other.local.map(\.first)
            && local.map(\.last) == other.local.map(\.last)
    }
}

extension ChildConfiguration {
    /// What is offered to the peer, with `first` before it.
    func offered(first: SelectorPair?) -> SelectorPair {
        guard let first else { return SelectorPair(local: offeredLocalSelectors, remote: offeredRemoteSelectors) }
        return SelectorPair(
            local: TrafficSelectorNarrowing.request(packet: first.local, policy: offeredLocalSelectors),
            remote: TrafficSelectorNarrowing.request(packet: first.remote, policy: offeredRemoteSelectors))
    }

    /// Whether traffic lies within the configuration.
    fileprivate func permits(_ traffic: SelectorPair) -> Bool {
        SelectorPair(local: localSelectors, remote: remoteSelectors).covers(traffic)
    }
}

extension IKEEndpoint {
    /// Whether anything is to be done for a packet; notes it as what is asked for first.
    mutating func awaits(_ packet: FlowKey?, of index: ChildID, _ connection: Connection) -> Bool {
        guard let child = connection.children[index], child.asksForPacket, !child.anyToAny,
            let traffic = packet.flatMap({ SelectorPair($0) }),
            child.permits(traffic), connection.canInitiate || connection.established.count == 1
        else { return true }
        let live = connection.ikeSAs.compactMap { ikeSAs[$0]?.session }.flatMap { session in
            session.children.filter { $0.child == index && $0.phase == .installed }
        }
        // The SA came up while the packet was under way to us.
        guard !live.contains(where: { $0.passed.covers(traffic) }) else { return false }
        guard live.isEmpty || connection.awaited.mayAsk(for: traffic, of: index, now) else { return false }
        if live.isEmpty, !isAttempting(connection) {
            // What waited for an attempt that failed has long been given up.
            connections[connection.id]?.awaited.forget(index)
        }
        connections[connection.id]?.awaited.add(traffic, of: index)
        return true
    }

    /// Traffic that waits for a child, and that none of an IKE SA's Child SAs lets through.
    func missingTraffic(of index: ChildID, _ sa: IKESA) -> SelectorPair? {
        guard let id = sa.connection, let connection = connections[id] else { return nil }
        return connection.awaited.waiting(for: index).first {
            sa.session?.live(child: index, passing: $0) == nil
        }
    }

    /// A Child SA was made for `negotiation`: what was asked for first no longer waits, and what is still missing is
    /// asked for.
    mutating func askFurther(_ negotiation: ChildNegotiation, _ sa: inout IKESA) {
        guard let id = sa.connection, let session = sa.session else { return }
        let index = negotiation.child
        if let first = negotiation.first {
            if session.live(child: index, passing: first) == nil {
                // The peer left it out: it has told what it takes.
                _ = connections[id]?.awaited.refuse(first, of: index, now)
            }
            connections[id]?.awaited.remove(first, of: index)
        }
        for traffic in connections[id]?.awaited.waiting(for: index) ?? []
        where session.live(child: index, passing: traffic) != nil {
            connections[id]?.awaited.remove(traffic, of: index)
        }
        if missingTraffic(of: index, sa) != nil { addTask(.createChild(index), &sa) }
    }

    /// A further Child SA could not be made: the others stand, and the connection goes on as it was.
    mutating func furtherFailed(_ index: ChildID, _ first: SelectorPair, _ report: FailureReport, _ sa: IKESA) {
        guard let id = sa.connection, connections[id] != nil else { return }
        if connections[id]?.awaited.refuse(first, of: index, now) ?? false { noteFailure(report, sa) }
    }

    /// A peer that leaves out what was asked for first, and gives what is there already, has nothing further.
    func refuseCopy(
        _ agreement: ChildAgreement, _ negotiation: ChildNegotiation, _ configuration: ConnectionConfiguration,
        _ sa: IKESA
    ) throws(FailureReport) {
        guard let first = negotiation.first, let session = sa.session else { return }
        let given = SelectorPair(local: agreement.local, remote: agreement.remote)
        guard !given.covers(first), session.live(child: negotiation.child, passing: given) != nil else { return }
        let mismatch = TrafficSelectorMismatch(
            requestedLocal: given.local, requestedRemote: given.remote, configuredLocal: first.local,
            configuredRemote: first.remote)
        throw selectorsUnacceptable(configuration.name, .createChildSA, mismatch, sa.remote)
    }

    /// Whether both sides asked for one and the same thing at once: of what was narrowed otherwise, both stay.
    func isForSame(
        _ collision: ChildNegotiation.Collision, _ agreement: ChildAgreement, _ negotiation: ChildNegotiation,
        _ sa: IKESA
    ) -> Bool {
        guard negotiation.replaces == nil, let session = sa.session,
            let index = session.index(inbound: collision.inbound)
        else { return true }
        let theirs = session.children[index]
        let given = SelectorPair(local: agreement.local, remote: agreement.remote)
        return theirs.covers(agreement)
            && given.covers(SelectorPair(local: theirs.localSelectors, remote: theirs.remoteSelectors))
    }

    /// A Child SA is to be made from scratch, with the selectors that it had.
    mutating func makeAnew(_ child: ChildSA, _ sa: inout IKESA) {
        if let id = sa.connection { awaitAgain(child, of: id) }
        addTask(.createChild(child.child), &sa)
    }

    /// The traffic of a narrowed Child SA is asked for first.
    mutating func awaitAgain(_ child: ChildSA, of id: ConnectionID) {
        guard let configuration = connections[id]?.children[child.child], configuration.asksForPacket,
            !configuration.anyToAny,
            !child.passed.covers(
                SelectorPair(
                    local: configuration.localSelectors, remote: configuration.remoteSelectors))
        else { return }
        connections[id]?.awaited.add(child.passed, of: child.child)
    }
}
