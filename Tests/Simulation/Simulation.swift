// SPDX-License-Identifier: Apache-2.0
// Adit: Simulation

import AditCrypto
import AditIKE
import AditWire

// Two (or more) whole gateways, IKE machine and ESP, in one process under virtual time and a seeded network:
// 1. `run` takes whatever is due next: an arrival, a probe, a drain of the data plane's hints, a machine's deadline.
// 2. A machine's effects go into its data plane, and its datagrams into the network.
// 3. The network loses, repeats, bends, delays (and so reorders), cuts and translates them.
// 4. `WireWatch` and `TrafficWatch` look at everything on the way, and note what must never be.
// The same seed gives the same run, message by message.

/// Gateways joined in memory by a network.
package final class Simulation {
    /// Something that will happen.
    enum Step {
        case arrive(Letter)
        case event(IKEEvent, gateway: Int)
        /// A gateway looks at its addresses.
        case addresses(gateway: Int)
        case drain(gateway: Int, incarnation: UInt64)
        case probe(series: Int)
    }

    package internal(set) var gateways: [SimulatedGateway] = []
    package var network = VirtualNetwork()
    package internal(set) var now = Timestamp(nanoseconds: 1_000_000_000)
    /// What went over the wire, and what was wrong with it.
    package internal(set) var wire = WireWatch()
    /// What became of the probes.
    package internal(set) var traffic = TrafficWatch()
    /// The story so far, when it ``isTraced``.
    package internal(set) var trace: [String] = []
    package var isTraced = false
    /// Tells more about an IKE message than its header does, for a trace; given the gateway that receives it.
    package var describe: ((Simulation, Letter, Int) -> String?)?
    /// While true, IKE messages wait in ``held`` until somebody delivers them.
    package var holdsMessages = false
    package internal(set) var held: [Letter] = []
    /// How often probes are sent on every child in both directions; nil for none.
    package var probeInterval: Duration? {
        didSet {
            probeSeries += 1
            if probeInterval != nil { queue.add(.probe(series: probeSeries), at: now) }
        }
    }
    private var probeSeries = 0
    var random: SplitMix
    var queue = EventQueue<Step>()
    private let seed: UInt64
    private let limits: IKELimits
    private var steps = 0

    /// Gateways with these connections, at ``Sites/address(_:)``.
    package init(seed: UInt64, _ configurations: [[ConnectionConfiguration]], limits: IKELimits = IKELimits()) {
        self.seed = seed
        self.limits = limits
        random = SplitMix(seed)
        probeInterval = nil
        for (index, connections) in configurations.enumerated() {
            let host = SimulatedHost(Sites.address(index))
            network.assign(host.addresses, to: index)
            gateways.append(
                SimulatedGateway(
                    index: index, host: host, endpoint: makeEndpoint(connections, index, host, incarnation: 0),
                    configurations: connections))
            queue.add(.addresses(gateway: index), at: now)
            queue.add(.drain(gateway: index, incarnation: 0), at: now)
        }
    }

    // MARK: Time

    /// Lets time pass until `condition` holds, for `duration` at the most; whether it holds then.
    @discardableResult
    package func run(_ duration: Duration, until condition: () -> Bool = { false }) -> Bool {
        let end = now + duration
        while !condition() {
            steps += 1
            guard steps < Self.stepLimit else {
                wire.note("the simulation does not come to rest")
                return false
            }
            var next = queue.next ?? Timestamp(nanoseconds: .max)
            for gateway in gateways where gateway.isAlive {
                if let deadline = gateway.endpoint.nextDeadline { next = min(next, max(deadline, now)) }
            }
            guard next <= end else {
                now = end
                return condition()
            }
            now = max(now, next)
            if let first = queue.next, first <= now {
                perform(queue.removeFirst())
            } else {
                for gateway in gateways where gateway.isAlive {
                    if let deadline = gateway.endpoint.nextDeadline, deadline <= now { hand(.deadline, to: gateway) }
                }
            }
        }
        return true
    }

    /// Hands an event to a gateway later.
    package func schedule(_ event: IKEEvent, gateway: Int, after delay: Duration) {
        queue.add(.event(event, gateway: gateway), at: now + delay)
    }

    private func perform(_ step: Step) {
        switch step {
        case .arrive(let letter): arrive(letter)
        case .event(let event, let gateway): hand(event, to: gateways[gateway])
        case .addresses(let index): tellAddresses(gateways[index])
        case .drain(let index, let incarnation):
            let gateway = gateways[index]
            guard gateway.isAlive, gateway.incarnation == incarnation else { return }
            for event in gateway.dataPlane.drain() { hand(event, to: gateway) }
            queue.add(.drain(gateway: index, incarnation: incarnation), at: now + Self.drainInterval)
        case .probe(let series):
            guard let probeInterval, series == probeSeries else { return }
            sendProbes()
            queue.add(step, at: now + probeInterval)
        }
    }

    // MARK: Events and effects

    /// Asks a gateway for something, as its operator.
    package func command(_ command: IKECommand, _ gateway: Int) {
        note("\(gateways[gateway].name) command \("\(command)".prefix { $0 != "(" })")
        if case .configure(let connections) = command {
            gateways[gateway].configurations = connections
            gateways[gateway].dataPlane.publish(connections)
        }
        hand(.command(command), to: gateways[gateway])
    }

    /// Hands an event to a gateway now.
    package func hand(_ event: IKEEvent, to gateway: SimulatedGateway) {
        guard gateway.isAlive else { return }
        var effects: [IKEEffect] = []
        gateway.endpoint.handle(event, now: now, into: &effects)
        perform(effects, gateway)
    }

    /// Carries out what a machine asks, in its order.
    func perform(_ effects: [IKEEffect], _ gateway: SimulatedGateway) {
        var failures: [(spi: SPI, reason: String)] = []
        for effect in effects { perform(effect, gateway, &failures) }
        for failure in failures {
            hand(.installationFailed(inboundSPI: failure.spi, reason: failure.reason), to: gateway)
        }
    }

    private func perform(
        _ effect: IKEEffect, _ gateway: SimulatedGateway, _ failures: inout [(spi: SPI, reason: String)]
    ) {
        switch effect {
        case .send(let bytes, let local, let remote):
            wire.send(bytes, gateway: gateway.name)
            send(.ike, bytes, gateway, local: local, remote: remote)
        case .installChild(let child):
            note(
                "\(gateway.name)   installs \(child.child) in \(child.inboundSPI) out \(child.outboundSPI)"
                    + (child.outboundActive ? "" : ", does not send on it"))
            wire.install(child, gateway: gateway.name)
            if let reason = gateway.dataPlane.install(child) { failures.append((child.inboundSPI, reason)) }
        case .activateOutbound(let spi):
            note("\(gateway.name)   sends on \(spi)")
            gateway.dataPlane.activate(spi)
        case .removeChild(let spi):
            note("\(gateway.name)   removes \(spi)")
            gateway.dataPlane.remove(spi)
            gateway.heardOn.remove(spi)
        case .moveChild(let spi, let local, let remote):
            note("\(gateway.name)   moves \(spi) to \(remote)")
            gateway.dataPlane.move(spi, local: local, remote: remote)
        case .sendKeepalive(let local, let remote): send(.keepalive, [0xff], gateway, local: local, remote: remote)
        case .resolve, .disclose: note("\(gateway.name)   asks for what no simulated gateway is configured for")
        case .report(let report):
            note("\(gateway.name)   reports: \(report.summary)")
            gateway.reports.append(report)
            traffic.hear(report, at: now)
        }
    }

    // MARK: Gateways

    /// Kills a gateway without a word; its NAT and its addresses stay.
    package func kill(_ index: Int) {
        note("\(gateways[index].name) dies")
        gateways[index].isAlive = false
    }

    /// Starts a gateway again, without any memory.
    package func restart(_ index: Int) {
        let gateway = gateways[index]
        note("\(gateway.name) starts again")
        gateway.incarnation += 1
        gateway.endpoint = makeEndpoint(
            gateway.configurations, index, gateway.host, incarnation: gateway.incarnation)
        gateway.dataPlane = DataPlane(gateway.configurations)
        gateway.heardOn = []
        gateway.isAlive = true
        tellAddresses(gateway)
        queue.add(.drain(gateway: index, incarnation: gateway.incarnation), at: now)
    }

    private func makeEndpoint(
        _ connections: [ConnectionConfiguration], _ index: Int, _ host: SimulatedHost, incarnation: UInt64
    ) -> IKEEndpoint {
        let entropy = SeededEntropy(seed &* 1021 &+ UInt64(index) &+ incarnation &* 31)
        return IKEEndpoint(
            connections: connections, entropy: entropy.source, limits: limits, routes: RouteLookup(host.route))
    }

    // MARK: The story

    package func note(_ line: @autoclosure () -> String) {
        guard isTraced else { return }
        let milliseconds = now.nanoseconds / 1_000_000
        let fraction = "\(milliseconds % 1000 + 1000)".dropFirst()
        trace.append("\(milliseconds / 1000).\(fraction) \(line())")
    }

    /// Everything that was ever wrong.
    package var problems: [String] {
        wire.problems + traffic.problems
            + gateways.flatMap { gateway in gateway.dataPlane.problems.map { "\(gateway.name) \($0)" } }
    }

    /// As a control thread asks the data plane for its hints.
    private static let drainInterval: Duration = .seconds(1)
    private static let stepLimit = 2_000_000
}
