// SPDX-License-Identifier: Apache-2.0
// Adit: Simulation

import AditESP
import AditIKE
import AditWire

/// One seed, from the first message to the last: what has to hold at its end, and all the time.
package struct SeedRun {
    /// What was wrong with a seed, and its story.
    package struct Failure: CustomStringConvertible, Sendable {
        package let seed: UInt64
        package let problems: [String]
        package let scenario: Scenario
        package let trace: [String]

        /// What was wrong, in one line.
        package var summary: String { "seed \(seed): \(problems.joined(separator: "; "))" }

        package var description: String {
            "\(summary)\n\(scenario)\n\(trace.joined(separator: "\n"))"
        }
    }

    /// What a seed did, for totals.
    package struct Totals: Sendable {
        package var messages = 0
        package var probes = 0
        package var childSAs = 0
        package var ikeRekeys = 0

        package init() {}
    }

    package let simulation: Simulation
    package let scenario: Scenario
    package private(set) var problems: [String] = []
    private var random: SplitMix

    package init(_ scenario: Scenario, isTraced: Bool = false) {
        self.scenario = scenario
        random = SplitMix(scenario.seed ^ 0x5555)
        simulation = Simulation(seed: scenario.seed, scenario.configurations, limits: scenario.limits)
        simulation.isTraced = isTraced
        // A liveness check after 30 s, and all of its repetitions: whoever could tell may have been lost, too.
        if scenario.isRoaming { simulation.traffic.reboundLimit = .seconds(80) }
        simulation.network.conditions = scenario.conditions
        if scenario.isBehindNAT {
            simulation.network.placeNAT(before: 0, outside: Sites.outside(0), isFiltering: scenario.isFiltering)
        }
    }

    /// Runs a seed; a failure is run again, traced.
    package static func failure(
        of seed: UInt64, totals: inout Totals, prepare: (Simulation) -> Void = { _ in }
    ) -> Failure? {
        let scenario = Scenario(seed: seed)
        var run = SeedRun(scenario)
        run.perform()
        run.count(into: &totals)
        guard !run.problems.isEmpty else { return nil }
        var again = SeedRun(scenario, isTraced: true)
        prepare(again.simulation)
        again.perform()
        if again.problems != run.problems { again.problems.append("and the same seed ran differently") }
        return Failure(seed: seed, problems: again.problems, scenario: scenario, trace: again.simulation.trace)
    }

    private func count(into totals: inout Totals) {
        totals.messages += simulation.wire.messages
        totals.probes += simulation.traffic.total
        for report in simulation.gateways.flatMap(\.reports) {
            if case .childInstalled = report { totals.childSAs += 1 }
            if case .ikeRekeyed = report { totals.ikeRekeys += 1 }
        }
    }

    /// The whole run.
    package mutating func perform() {
        for gateway in simulation.gateways {
            simulation.schedule(.deadline, gateway: gateway.index, after: .milliseconds(random.number(in: 0...200)))
        }
        if !simulation.run(.seconds(900), until: isUp) { problems.append("not up within 900 s") }
        simulation.probeInterval = .milliseconds(random.pick([150, 300, 700]))
        simulation.traffic.demand()
        for disturbance in scenario.disturbances {
            disturb(disturbance)
            simulation.run(.milliseconds(random.number(in: 0...3000)))
        }
        simulation.run(.seconds(20))
        simulation.probeInterval = .seconds(3)
        simulation.run(.seconds(40))
        simulation.note("-- the network is well from here on")
        simulation.network.conditions = VirtualNetwork.Conditions()
        // Retransmissions, retries and lingering come to an end.
        simulation.run(.seconds(200))
        simulation.run(.seconds(300)) { hasFewest() && differences().isEmpty }
        problems += differences()
        checkTraffic()
        problems += simulation.problems
        checkShutdown()
    }

    /// Whether every child is up on both sides, and neither sends on an SA that the other one does not have yet.
    private func isUp() -> Bool {
        // It is asked at every step: what costs least, and fails longest, comes first.
        simulation.gateways.allSatisfy { gateway in
            guard gateway.dataPlane.pairs.count >= scenario.children else { return false }
            let sending = gateway.dataPlane.pairs.values.filter(\.isActive).map(\.installation)
            let peer = simulation.gateways[1 - gateway.index].dataPlane.pairs
            return Set(sending.map(\.child)).count == scenario.children
                && sending.allSatisfy { peer[$0.outboundSPI] != nil } && gateway.isEstablished()
        }
    }

    /// Whether no side has more SAs than it needs, as it must where there are no ``differences()``; costs little to
    /// ask.
    private func hasFewest() -> Bool {
        simulation.gateways.allSatisfy { gateway in
            gateway.endpoint.ikeSACount == 1 && gateway.endpoint.childSACount == scenario.children
                && gateway.dataPlane.pairs.count == scenario.children
        }
    }

    // MARK: What happens

    private mutating func disturb(_ disturbance: Scenario.Disturbance) {
        simulation.note("-- \(disturbance)")
        switch disturbance {
        case .rekeyIKE(let side): simulation.command(.rekeyIKE(connection: Sites.connection), side)
        case .rekeyChildren(let side): simulation.command(.rekeyChildren(connection: Sites.connection), side)
        case .bothRekeyIKE: for side in 0..<2 { simulation.command(.rekeyIKE(connection: Sites.connection), side) }
        case .bothRekeyChildren:
            for side in 0..<2 { simulation.command(.rekeyChildren(connection: Sites.connection), side) }
        case .rekeyIKEAgainstChildren(let side):
            simulation.command(.rekeyIKE(connection: Sites.connection), side)
            simulation.command(.rekeyChildren(connection: Sites.connection), 1 - side)
        case .lifetimes(let side):
            for spi in spis(side) { simulation.hand(.lifetimeReached(inboundSPI: spi), to: simulation.gateways[side]) }
        case .deleteChild(let side):
            guard let spi = spis(side).first else { return }
            simulation.traffic.excuse(until: simulation.now + TrafficWatch.recovery)
            let reason = "the table is full"
            simulation.hand(
                .installationFailed(inboundSPI: spi, reason: reason), to: simulation.gateways[side])
            if random.chance(0.5) { simulation.command(.rekeyChildren(connection: Sites.connection), 1 - side) }
        case .refuseChild(let side):
            simulation.traffic.excuse(until: simulation.now + TrafficWatch.recovery)
            simulation.gateways[side].dataPlane.refusals = 1
            simulation.command(.rekeyChildren(connection: Sites.connection), 1 - side)
        case .repeatCommands(let side):
            let gateway = simulation.gateways[side]
            simulation.command(.configure(gateway.configurations), side)
            simulation.command(.initiate(connection: Sites.connection, child: nil), side)
        case .rebind(let otherAddress):
            let outside = otherAddress ? Sites.outside(0, random.number(in: 1...9)) : nil
            simulation.network.rebind(0, outside: outside, at: simulation.now)
        case .roam, .vanish, .deafen, .changeNAT: roam(disturbance)
        case .cut(let seconds):
            simulation.network.conditions.isCut = true
            simulation.run(.seconds(seconds))
            simulation.network.conditions.isCut = false
        case .restart(let side, let seconds): restart(side, after: seconds)
        case .downAndUp(let side, let seconds):
            simulation.traffic.excuse(until: simulation.now + .seconds(seconds) + TrafficWatch.recovery)
            simulation.command(.terminate(connection: Sites.connection), side)
            simulation.run(.seconds(seconds))
            simulation.command(.initiate(connection: Sites.connection, child: nil), side)
        case .reconfigure(let side, let child, let change): reconfigure(side, Sites.child(child), change)
        case .pause(let seconds): simulation.run(.seconds(seconds))
        }
    }

    private mutating func roam(_ disturbance: Scenario.Disturbance) {
        switch disturbance {
        case .roam(let sides, let places):
            for side in sides { move(side, places) }
        case .vanish(let side, let seconds, let places):
            excuseAbsence(seconds)
            move(side, [])
            simulation.run(.seconds(seconds))
            move(side, places)
        case .deafen(let side, let seconds):
            guard let address = simulation.gateways[side].host.addresses.first else { return }
            simulation.note("\(address) is deaf")
            excuseAbsence(seconds)
            simulation.network.deaf.insert(address)
            simulation.run(.seconds(seconds))
            simulation.note("\(address) is well")
            simulation.network.deaf.remove(address)
            simulation.network.reappear(at: simulation.now)
        case .changeNAT(let number, let place):
            let outside = number.map { Sites.outside(0, $0) }
            simulation.network.placeNAT(
                before: 0, outside: outside, isFiltering: scenario.isFiltering, at: simulation.now)
            move(0, [place])
        default: return
        }
    }

    /// What could not be rekeyed meanwhile is over, and what one side has replaced the other one may not know yet.
    private func excuseAbsence(_ seconds: Int) {
        if seconds >= 60 {
            simulation.traffic.excuse(until: simulation.now + .seconds(seconds) + TrafficWatch.recovery)
        }
        // Who is not seen cannot come to an agreement with who connects at the same time.
        if scenario.initiators.count == 2 { simulation.traffic.excuse(until: simulation.now + .seconds(seconds + 60)) }
    }

    private mutating func move(_ side: Int, _ places: [Int]) {
        let addresses = places.map { Sites.places(side)[$0] }
        simulation.network.rebind(side, at: simulation.now)
        simulation.network.reappear(at: simulation.now)
        simulation.readdress(side, addresses, after: .milliseconds(random.number(in: 0...300)))
    }

    private func restart(_ side: Int, after seconds: Int) {
        simulation.traffic.excuse(until: simulation.now + .seconds(seconds) + TrafficWatch.recovery)
        simulation.kill(side)
        simulation.run(.seconds(seconds))
        simulation.restart(side)
        simulation.hand(.deadline, to: simulation.gateways[side])
    }

    private func spis(_ side: Int) -> [SPI] {
        simulation.gateways[side].dataPlane.pairs.keys.sorted { $0.rawValue < $1.rawValue }
    }

    // MARK: What has to hold

    /// What the two sides do not agree on, or keep without need.
    private func differences() -> [String] {
        var found: [String] = []
        for gateway in simulation.gateways {
            if !gateway.isEstablished() { found.append("\(gateway.name) is not established") }
            if gateway.endpoint.ikeSACount != 1 {
                found.append("\(gateway.name) has \(gateway.endpoint.ikeSACount) IKE SAs")
            }
            if gateway.endpoint.childSACount != gateway.dataPlane.pairs.count {
                found.append(
                    "\(gateway.name) has \(gateway.endpoint.childSACount) Child SAs, "
                        + "its data plane \(gateway.dataPlane.pairs.count)")
            }
            for number in 0..<scenario.children where gateway.children(Sites.child(number)).count != 1 {
                let count = gateway.children(Sites.child(number)).count
                found.append("\(gateway.name) has \(count) SAs of \(Sites.child(number))")
            }
            let known = Set(gateway.endpoint.status().flatMap(\.children).map(\.inboundSPI))
            if known != Set(gateway.dataPlane.pairs.keys) {
                found.append("\(gateway.name)'s data plane has other SAs than its IKE machine")
            }
            for pair in gateway.dataPlane.pairs.values where !pair.isActive {
                found.append("\(gateway.name) does not send on \(pair.installation.inboundSPI)")
            }
        }
        if let difference = Agreement.difference(simulation.gateways[0], simulation.gateways[1]) {
            found.append(difference)
        }
        return found
    }

    /// Every flow delivers everything over a network that is well.
    private mutating func checkTraffic() {
        simulation.traffic.reset()
        simulation.traffic.demand()
        simulation.probeInterval = .milliseconds(500)
        simulation.run(.milliseconds(2400))
        for gateway in simulation.gateways {
            for number in 0..<scenario.children {
                let flow = TrafficWatch.Flow(
                    sender: gateway.index, connection: Sites.connection, child: Sites.child(number))
                let count = simulation.traffic.delivered[flow] ?? 0
                if count < 4 { problems.append("\(count) packets of \(flow.child) from \(gateway.name) arrive") }
            }
        }
    }

    private mutating func checkShutdown() {
        simulation.probeInterval = nil
        for gateway in simulation.gateways {
            simulation.command(.shutdown, gateway.index)
            if !gateway.dataPlane.pairs.isEmpty { problems.append("\(gateway.name) keeps ESP SAs after shutdown") }
            if gateway.endpoint.ikeSACount != 0 { problems.append("\(gateway.name) keeps IKE SAs after shutdown") }
            if gateway.endpoint.childSACount != 0 { problems.append("\(gateway.name) keeps SPIs after shutdown") }
            if gateway.endpoint.nextDeadline != nil { problems.append("\(gateway.name) keeps timers after shutdown") }
        }
    }
}
