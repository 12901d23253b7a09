// SPDX-License-Identifier: Apache-2.0
// Adit: AditControl

internal import AditESP
internal import AditIKE
internal import AditLinux
internal import AditWire
internal import Glibc

/// The control thread's own state and its loop. Lives on that thread only.
final class ControlDriver {
    private var endpoint: IKEEndpoint
    private let applier: EffectApplier
    private let policies: ChildDirectory
    private let mailbox: Mailbox
    private let ikeSocket: IKESocket
    private let requests: ControlRequests
    private let table: SATable
    private let watch: AddressWatch
    private let poll: EventPoll
    private let deviceFailed: @Sendable (CInt) -> Void
    private var hasDevice = true
    private var effects: [IKEEffect] = []
    private var stopping = false
    private var retiredSAs = 0
    private var drainAt = Timestamp(nanoseconds: 0)

    init(_ parts: consuming ControlParts, requests: ControlRequests) throws(SystemError) {
        endpoint = parts.endpoint
        table = parts.table
        mailbox = parts.mailbox
        ikeSocket = parts.ikeSocket
        self.requests = requests
        deviceFailed = parts.deviceFailed
        watch = try AddressWatch(tunnel: parts.link, listened: parts.listened, warn: parts.warn)
        policies = ChildDirectory(table: parts.table, warn: parts.warn)
        applier = try EffectApplier(parts, policies: policies)
        poll = try EventPoll()
        try poll.add(requests.wakeUp.descriptor, token: 0)
        try poll.add(mailbox.descriptor, token: 1)
        for descriptor in ikeSocket.descriptors { try poll.add(descriptor, token: 2) }
        try poll.add(applier.resolverDescriptor, token: 3)
        try poll.add(watch.descriptor, token: 4)
        // Last, as it is taken back only when the loop ends.
        policies.publish(parts.connections)
        try applier.start(connections: parts.connections)
    }

    /// Runs until asked to stop.
    func run() {
        applier.routesChanged(MonotonicClock.now())
        tellAddresses()
        handle(.deadline)
        while !stopping {
            _ = poll.wait(until: wakeAt())
            for request in requests.take() { answer(request) }
            for answer in applier.takeAnswers() { handle(answer) }
            watchNetwork()
            receiveIKE()
            drainMailbox()
            if let deadline = endpoint.nextDeadline, deadline <= MonotonicClock.now() { handle(.deadline) }
            drainDataPlane()
        }
        applier.finish()
        requests.close()
    }

    /// Lets another thread run.
    static func yieldProcessor() { sched_yield() }

    // MARK: What arrives

    private func wakeAt() -> Timestamp? {
        let now = MonotonicClock.now()
        var wake = endpoint.nextDeadline
        if retiredSAs > 0 { wake = min(wake ?? now + Self.reclaimInterval, now + Self.reclaimInterval) }
        for due in [watch.due, applier.interfaceCheckAt] { wake = due.map { min(wake ?? $0, $0) } ?? wake }
        if applier.hasChildren { wake = min(wake ?? drainAt, drainAt) }
        return wake
    }

    /// Changes of addresses and routes, as soon as they have settled.
    private func watchNetwork() {
        let now = MonotonicClock.now()
        watch.note(now)
        let hasChanged = watch.take(now)
        // Before the routes are asked for the way to a peer.
        if hasChanged { applier.routesChanged(now) }
        applier.checkInterface(now)
        if hasChanged { tellAddresses() }
    }

    private func tellAddresses() {
        guard let addresses = watch.addresses() else { return }
        handle(.addressesChanged(addresses))
    }

    /// The data plane's own hints, once a second, and what it no longer needs.
    private func drainDataPlane() {
        let now = MonotonicClock.now()
        if now >= drainAt {
            drainAt = now + Self.drainInterval
            var hints: [SAHint] = []
            table.drainHints { hints.append($0) }
            for hint in hints { take(hint) }
            for spi in applier.takeTraffic() { handle(.traffic(inboundSPI: spi)) }
            applier.sweepPaths(now)
        }
        retiredSAs = table.reclaim()
    }

    private func take(_ hint: SAHint) {
        switch hint {
        case .lifetimeReached(let spi): handle(.lifetimeReached(inboundSPI: spi))
        case .inboundActivity(let spi): handle(.inboundActivity(inboundSPI: spi))
        case .peerMoved(let spi, let peer): handle(.peerMoved(inboundSPI: spi, to: peer))
        }
    }

    private func answer(_ request: ControlRequest) {
        switch request {
        case .command(let command):
            if case .configure(let connections) = command {
                policies.publish(connections)
                applier.reconfigure(connections)
            }
            handle(.command(command))
        case .status(let reply): reply.fulfil(status())
        case .stop:
            handle(.command(.shutdown))
            stopping = true
        }
    }

    private func status() -> ControlStatus {
        let connections = endpoint.status()
        var traffic: [SPI: SACounters] = [:]
        for child in connections.flatMap(\.children) {
            traffic[child.inboundSPI] = table.counters(inboundSPI: child.inboundSPI)
        }
        return ControlStatus(
            now: MonotonicClock.now(), connections: connections, totals: endpoint.totals, traffic: traffic,
            mtu: applier.mtu, lastUnmatchedFailure: applier.lastUnmatchedFailure)
    }

    private func receiveIKE() {
        for _ in 0..<Self.datagramsPerTurn {
            guard let datagram = ikeSocket.receive() else { return }
            handle(.datagram(datagram.bytes, local: datagram.local, remote: datagram.remote))
        }
    }

    private func drainMailbox() {
        unsafe mailbox.drain(
            limit: Self.datagramsPerTurn,
            datagram: { bytes, local, remote in
                handle(.datagram(unsafe [UInt8](bytes), local: local, remote: remote))
            },
            hint: { message in
                guard let hint = ForwardingHint(message) else { return }
                take(hint)
            })
    }

    private func take(_ hint: ForwardingHint) {
        switch hint {
        case .acquire(let policy, let packet):
            guard let (connection, child) = policies[policy] else { return }
            handle(.acquire(connection: connection, child: child, packet: packet))
        case .firstPacket(let spi), .activity(let spi): handle(.inboundActivity(inboundSPI: spi))
        case .lifetimeReached(let spi): handle(.lifetimeReached(inboundSPI: spi))
        case .peerMoved(let spi, let peer): handle(.peerMoved(inboundSPI: spi, to: peer))
        case .pathTooSmall(let peer): applier.pathChanged(to: peer)
        case .unknownSPI(let spi, let peer): handle(.unknownSPI(spi, from: peer))
        case .deviceFailed(let code):
            // Every worker says so, of its own queue.
            if hasDevice { deviceFailed(code) }
            hasDevice = false
        }
    }

    private func handle(_ event: IKEEvent) {
        endpoint.handle(event, now: MonotonicClock.now(), into: &effects)
        applier.apply(effects)
        effects.removeAll(keepingCapacity: true)
        // Deleting a child installs none, and of a peer's addresses each is tried once, so this ends; what the limit
        // leaves is done with the next event.
        for _ in 0..<Self.failureRounds {
            let failures = applier.takeFailures().map { failure in
                IKEEvent.installationFailed(inboundSPI: failure.spi, reason: failure.reason)
            }
            let events = failures + applier.takeUnsendable()
            guard !events.isEmpty else { return }
            for event in events { endpoint.handle(event, now: MonotonicClock.now(), into: &effects) }
            applier.apply(effects)
            effects.removeAll(keepingCapacity: true)
        }
    }

    private static let failureRounds = 64
    /// IKE datagrams handled before the loop looks at its deadline again.
    static let datagramsPerTurn = 256
    /// How often retired SAs are looked at while there are some.
    static let reclaimInterval: Duration = .milliseconds(100)
    /// How often the data plane is asked what it noticed.
    static let drainInterval: Duration = .seconds(1)
}
