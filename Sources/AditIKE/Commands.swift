// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// What operators, programs and the data plane ask for.

extension IKEEndpoint {
    mutating func perform(_ command: IKECommand) {
        switch command {
        case .initiate(let name, let child): initiate(name, child: child)
        case .terminate(let name):
            guard let id = connections.id(named: name) else { return }
            connections.setHeld(true, id)
            takeDown(id, reason: "taken down by command")
        case .rekeyChildren(let name):
            forEachIKESA(of: name) { endpoint, sa in
                guard sa.session?.handover == nil else { return }
                for child in sa.session?.children ?? [] where child.phase == .installed {
                    endpoint.addTask(.rekeyChild(child.inbound), &sa)
                }
            }
        case .rekeyIKE(let name):
            forEachIKESA(of: name) { endpoint, sa in
                if sa.session?.handover == nil { endpoint.addTask(.rekeyIKE, &sa) }
            }
        case .configure(let configurations): configure(configurations)
        case .shutdown: shutDown()
        }
    }

    private mutating func initiate(_ name: String, child: String?) {
        guard let id = connections.id(named: name), let connection = connections[id] else { return }
        connections.setHeld(false, id)
        guard connection.canInitiate || !connection.established.isEmpty else {
            let report = noRemoteAddress(name)
            connections[id]?.lastFailure = report
            effects.append(.report(.failed(report)))
            return
        }
        let children = child.map { connection.children.id(named: $0).map { [$0] } ?? [] } ?? connection.children.ids
        connections[id]?.idle.subtract(children)
        connections[id]?.afterDeath = nil
        connections[id]?.failures = 0
        connections[id]?.notBefore = nil
        connections[id]?.tried = []
        bring(id, children)
        if let address = attempts.place(of: id) {
            effects.append(.report(.queued(connection: name, remote: address)))
        }
    }

    /// A packet waits for a child.
    mutating func acquire(connection name: String, child: String, packet: FlowKey?) {
        guard let id = connections.id(named: name), let connection = connections[id], !connection.held,
            let index = connection.children.id(named: child), connection.isAwaited(index),
            awaits(packet, of: index, connection)
        else { return }
        connections[id]?.idle.remove(index)
        if let due = connection.notBefore, due > now {
            // After a failure packets do not bring about one attempt each.
            want(id, [index])
            if (timers.deadline(of: .initiate(id)) ?? Timestamp(nanoseconds: .max)) > due {
                timers.set(.initiate(id), at: due)
            }
            return
        }
        bring(id, [index])
    }

    /// The time to initiate a connection has come: what waited, and what starts by itself and is missing.
    mutating func initiateDue(_ id: ConnectionID) {
        guard let connection = connections[id], !connection.held else { return }
        connections[id]?.wanted = []
        bring(id, Array(Set(connection.wanted + startedChildren(id))).sorted())
    }

    /// Brings children up: within the attempt under way, within the newest IKE SA, or by a new attempt.
    mutating func bring(_ id: ConnectionID, _ children: [ChildID]) {
        guard let connection = connections[id] else { return }
        // What an SA or an exchange of a retired child asks for again is what took its place.
        let children = connection.children.current(children)
        guard !children.isEmpty else { return }
        if attempts.place(of: id) != nil {
            want(id, children)
        } else if let attempt = connection.attempt {
            withIKESA(attempt) { _, sa in
                var wanted = Set(sa.wanted)
                if case .authSent(let sent) = sa.state, let child = sent.child { wanted.insert(child.child) }
                sa.wanted += children.filter { wanted.insert($0).inserted }
            }
        } else if let working = working(connection), connection.canInitiate || connection.established.count == 1 {
            // Of several peers of one connection none is meant more than the others.
            withIKESA(working) { endpoint, sa in
                for child in children { endpoint.addTask(.createChild(child), &sa) }
            }
        } else {
            initiate(id, children: children)
        }
    }

    /// Ends all IKE SAs of a connection and forgets what it wanted.
    mutating func takeDown(_ id: ConnectionID, reason: String) {
        timers.cancel(.initiate(id))
        timers.cancel(.resolution(id))
        cancelAttempt(id, reason)
        attempts.withdraw(id)
        connections[id]?.resolving = nil
        connections[id]?.wanted = []
        connections[id]?.awaited = AwaitedTraffic()
        connections[id]?.idle = []
        connections[id]?.failures = 0
        connections[id]?.notBefore = nil
        if let attempt = connections[id]?.attempt {
            withIKESA(attempt) { endpoint, sa in endpoint.end(&sa, .delete) }
        }
        for spi in connections[id]?.ikeSAs ?? [] {
            withIKESA(spi) { endpoint, sa in endpoint.close(&sa, .delete, reason: reason) }
        }
    }

    /// Deletes everything: one DELETE for each IKE SA, without waiting for the answers.
    private mutating func shutDown() {
        for id in connections.ids { timers.cancel(.initiate(id)) }
        for spi in ikeSAs.spis {
            withIKESA(spi) { endpoint, sa in
                // Whatever is outstanding is not waited for: the peer that has received it takes the next Message ID.
                endpoint.settle(&sa)
                switch sa.state {
                case .established: endpoint.close(&sa, .delete, reason: "shutting down")
                case .authSent: endpoint.end(&sa, .delete)
                case .closing(let closing) where closing.purpose == .deleteNext:
                    endpoint.request(.informational, [.delete(.ikeSA)], &sa)
                case .closing, .initSent, .halfOpen, .gone: endpoint.end(&sa, .none)
                }
                if case .closing(let closing) = sa.state { endpoint.forget(&sa, closing.firstMessage) }
            }
        }
        isShutDown = true
    }

    private mutating func forEachIKESA(of name: String, _ body: (inout IKEEndpoint, inout IKESA) -> Void) {
        guard let id = connections.id(named: name) else { return }
        for spi in connections[id]?.ikeSAs ?? [] { withIKESA(spi, body) }
    }
}
