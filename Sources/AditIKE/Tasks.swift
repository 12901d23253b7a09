// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// What an IKE SA asks of its peer: one request at a time, the rest waits in order (RFC 7296 §2.3).

extension IKEEndpoint {
    /// Adds a task to an IKE SA and starts it when the window is free.
    mutating func addTask(_ task: IKETask, _ sa: inout IKESA) {
        guard sa.session != nil else { return }
        sa.session?.add(task)
        startNextTask(&sa)
    }

    /// Adds a task to the IKE SA with this SPI.
    mutating func addTask(_ task: IKETask, to spi: IKESPI) {
        withIKESA(spi) { endpoint, sa in endpoint.addTask(task, &sa) }
    }

    /// Adds a task to the IKE SA that owns a Child SA.
    mutating func addTask(_ task: IKETask, childSPI: SPI) {
        guard let owner = childOwners[childSPI] else { return }
        addTask(task, to: owner)
    }

    /// Starts tasks until one is outstanding or none is left.
    mutating func startNextTask(_ sa: inout IKESA) {
        while sa.window.outstanding == nil, let task = sa.session?.tasks.first {
            sa.session?.tasks.removeFirst()
            if sa.window.isExhausted {
                // RFC 7296 §2.2: Message IDs never wrap.
                fail(&sa, peerFault(.limitReached, "the Message IDs are used up", sa), .none)
                return
            }
            if let spi = task.childSPI, let unconfirmed = sa.session?.unconfirmed, unconfirmed.inbound == spi,
                now < unconfirmed.until
            {
                sa.session?.postponed.append(task)
                timers.set(.retry(sa.spi), at: now + spread(Self.confirmationInterval))
                // RFC 7296 §2.4: whether the peer is there can be asked at any time.
                if unconfirmed.isFirst { sa.session?.add(.liveness) }
                continue
            }
            if let child = task.created, waitsForRetired(child, sa) {
                sa.session?.postponed.append(task)
                timers.set(.retry(sa.spi), at: now + spread(Self.confirmationInterval))
                continue
            }
            switch task {
            case .createChild(let child): requestChild(child, replacing: nil, groups: [], &sa)
            case .rekeyChild(let spi): requestRekey(of: spi, &sa)
            case .deleteChildren(let spis): requestDelete(spis, &sa)
            case .rekeyIKE: requestIKERekey(groups: [], &sa)
            case .liveness:
                sa.session?.exchange = .liveness
                request(.informational, livenessPayloads(sa), &sa)
            case .updateAddresses: requestMobility(.update, &sa)
            case .announceAddresses: requestMobility(.announce, &sa)
            case .verifyPeer: requestMobility(.verify, &sa)
            }
        }
    }

    /// The response to the outstanding request of an authenticated IKE SA.
    mutating func finishExchange(_ payloads: [Payload], _ arrival: Arrival, _ sa: inout IKESA) {
        guard let exchange = sa.session?.exchange else { return }
        sa.session?.exchange = nil
        let contents = PayloadContents(payloads)
        switch exchange {
        case .liveness: finishLiveness(contents, &sa)
        case .mobility(let mobility): finishMobility(contents, mobility, arrival, &sa)
        case .child(let negotiation): finishChild(contents, negotiation, &sa)
        case .rekeyIKE(let rekey): finishIKERekey(contents, rekey, &sa)
        case .deleteChildren(let spis): finishDelete(spis, &sa)
        }
    }

    /// The peer cannot do it now: it is asked again later, and not for ever (RFC 7296 §2.25).
    mutating func postpone(_ task: IKETask, _ sa: inout IKESA) {
        // What was put off before may have come about in another way: only what goes on counts.
        if let last = sa.session?.postponedAt, now - last > Self.postponePause { sa.session?.postponedSince = nil }
        sa.session?.postponedAt = now
        let since = sa.session?.postponedSince ?? now
        guard now - since < Self.postponeLimit else {
            let report = peerFault(.peerNotify, "the peer puts everything off (TEMPORARY_FAILURE)", sa)
            fail(&sa, report, .delete)
            return
        }
        sa.session?.postponedSince = since
        if sa.session?.postponed.contains(task) == false { sa.session?.postponed.append(task) }
        timers.set(.retry(sa.spi), at: now + spread(Self.postponeInterval))
    }

    /// There are too many Child SAs just now: asked again when some of them are gone.
    mutating func awaitRoom(_ task: IKETask, _ sa: inout IKESA) {
        if sa.session?.postponed.contains(task) == false { sa.session?.postponed.append(task) }
        guard timers.deadline(of: .retry(sa.spi)) == nil else { return }
        timers.set(.retry(sa.spi), at: now + spread(Self.drainTime))
    }

    /// The peer answers, so it has our answer to its IKE_AUTH: what waited for that is asked now.
    mutating func confirmFirst(_ sa: inout IKESA) {
        guard sa.session?.unconfirmed?.isFirst ?? false else { return }
        sa.session?.unconfirmed = nil
        if sa.session?.postponed.isEmpty == false { timers.set(.retry(sa.spi), at: now) }
    }

    /// Tasks that were put off are asked again.
    mutating func retryPostponed(_ spi: IKESPI) {
        withIKESA(spi) { endpoint, sa in
            let tasks = sa.session?.postponed ?? []
            sa.session?.postponed = []
            for task in tasks { endpoint.addTask(task, &sa) }
        }
    }

    /// Something that was put off has been done.
    mutating func clearPostponement(_ sa: inout IKESA) {
        if sa.session?.postponed.isEmpty ?? false { sa.session?.postponedSince = nil }
    }

    private static let confirmationInterval: Duration = .seconds(1)
    private static let postponeInterval: Duration = .seconds(4)
    private static let postponeLimit: Duration = .seconds(180)
    /// After so long without being put off it begins anew.
    private static let postponePause: Duration = .seconds(60)
}
