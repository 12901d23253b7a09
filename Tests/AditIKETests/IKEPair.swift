// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Simulation
import Testing

@testable import AditIKE

/// What the network does to datagrams.
struct Network {
    var loss = 0.0
    var duplication = 0.0
    var corruption = 0.0
    var delay: ClosedRange<UInt64> = 1...20  // milliseconds
}

/// A packet of the simulated data plane.
struct FakePacket {
    var spi: SPI
    var key: SecretBytes
    var selectors: [TrafficSelector]
}

/// The addresses of a simulated gateway, and its routes: everything is reached from the first address of its family
/// that ``unreachable`` does not name.
final class FakeHost: @unchecked Sendable {
    var addresses: [IPAddress]
    /// Addresses that a node can neither send from nor receive at, though it has them.
    var unreachable: Set<IPAddress> = []

    init(_ address: IPAddress) { addresses = [address] }

    func route(_ remote: IPAddress) -> IPAddress? {
        addresses.first { $0.family == remote.family && !unreachable.contains($0) }
    }
}

/// One gateway of the simulation: an endpoint, and a data plane that checks what it is told.
final class Node {
    let name: String
    let host: FakeHost
    var address: IPAddress { host.addresses.first ?? IPAddress(v4: 0) }
    var endpoint: IKEEndpoint
    /// Behind a NAT: the address that others see.
    var natAddress: IPAddress?
    var natPorts: [UInt16: UInt16] = [:]
    var nextNATPort: UInt16 = 20_000
    var children: [SPI: (sa: ChildSAInstallation, active: Bool, order: Int)] = [:]
    var order = 0
    var reports: [IKEReport] = []
    var failures: [FailureReport] = []
    var usedSPIs: Set<SPI> = []
    var active: Set<SPI> = []
    var problems: [String] = []
    var blackholed = 0
    var keepalives = 0
    var sent: [[UInt8]] = []
    /// Names that the endpoint wants to be looked up.
    var questions: [(names: [String], token: UInt32)] = []
    var isAlive = true

    convenience init(_ name: String, _ address: IPAddress, _ endpoint: IKEEndpoint) {
        self.init(name, FakeHost(address), endpoint)
    }

    init(_ name: String, _ host: FakeHost, _ endpoint: IKEEndpoint) {
        self.name = name
        self.host = host
        self.endpoint = endpoint
    }

    /// The newest SA of a child on which we send.
    func outbound(_ child: String) -> ChildSAInstallation? {
        children.values.filter { $0.active && $0.sa.child == child }.max { $0.order < $1.order }?.sa
    }

    func established(_ connection: String = "c") -> Bool {
        endpoint.status().first { $0.name == connection }?.state == .established
    }
}

/// Machines joined in memory by a network that loses, duplicates, reorders, delays, corrupts and translates.
final class IKEPair {
    enum Step {
        case deliver([UInt8], to: Int, local: Endpoint, remote: Endpoint)
        case packet(FakePacket, to: Int)
        case event(IKEEvent, to: Int)
        case traffic(from: Int, child: String)
    }

    var nodes: [Node]
    var network: Network
    var now: UInt64 = 1_000_000_000
    var trace: [String] = []
    var traced = true
    private var random: SplitMix
    private var queue: [(time: UInt64, order: Int, step: Step)] = []
    private var counter = 0
    private var keys: Set<[UInt8]> = []

    init(
        seed: UInt64, network: Network = Network(), _ configurations: [[ConnectionConfiguration]],
        limits: IKELimits = IKELimits()
    ) {
        random = SplitMix(seed)
        self.network = network
        nodes = configurations.enumerated().map { index, configuration in
            let host = FakeHost(Self.address(index))
            return Node(
                String(UnicodeScalar(UInt8(65 + index))), host,
                IKEEndpoint(
                    connections: configuration, entropy: SeededEntropy(seed &* 31 &+ UInt64(index)).source,
                    limits: limits, wallClock: WallClock { TestValidator.time }, routes: RouteLookup(host.route)))
        }
    }

    static func address(_ index: Int) -> IPAddress { IPAddress(v4: 0xc000_0201 + UInt32(index)) }

    var time: Timestamp { Timestamp(nanoseconds: now) }

    /// Hands an event to a node now.
    func event(_ event: IKEEvent, _ node: Int) {
        guard nodes[node].isAlive else { return }
        var effects: [IKEEffect] = []
        nodes[node].endpoint.handle(event, now: time, into: &effects)
        perform(effects, node)
    }

    func command(_ command: IKECommand, _ node: Int) {
        note("\(nodes[node].name) command \(command.name)")
        event(.command(command), node)
    }

    func schedule(_ step: Step, after milliseconds: UInt64) {
        counter += 1
        let entry = (now + milliseconds * 1_000_000, counter, step)
        queue.append(entry)
        var index = queue.count - 1
        while index > 0, before(queue[index], queue[index - 1]) {
            queue.swapAt(index, index - 1)
            index -= 1
        }
    }

    private func before(_ left: (time: UInt64, order: Int, step: Step), _ right: (time: UInt64, order: Int, step: Step))
        -> Bool
    {
        left.time == right.time ? left.order < right.order : left.time < right.time
    }

    /// Lets time pass until `seconds` later, or until `condition` holds; returns whether it holds.
    @discardableResult
    func run(_ seconds: Double, until condition: () -> Bool = { false }) -> Bool {
        let end = now + UInt64(seconds * 1e9)
        var steps = 0
        while true {
            if condition() { return true }
            steps += 1
            guard steps < 200_000 else {
                nodes[0].problems.append("the simulation does not come to rest")
                return false
            }
            var next = queue.first?.time ?? .max
            for node in nodes where node.isAlive {
                if let deadline = node.endpoint.nextDeadline { next = min(next, max(deadline.nanoseconds, now)) }
            }
            guard next <= end else {
                now = end
                return condition()
            }
            now = max(now, next)
            if let first = queue.first, first.time <= now {
                queue.removeFirst()
                perform(first.step)
            } else {
                for index in nodes.indices where nodes[index].isAlive {
                    if let deadline = nodes[index].endpoint.nextDeadline, deadline <= time { event(.deadline, index) }
                }
            }
        }
    }

    private func perform(_ step: Step) {
        switch step {
        case .deliver(let bytes, let to, let local, let remote):
            note("\(nodes[to].name) receives \(describe(bytes)) from \(remote)")
            event(.datagram(bytes, local: local, remote: remote), to)
        case .event(let event, let to): self.event(event, to)
        case .traffic(let from, let child): sendTraffic(from, child)
        case .packet(let packet, let to):
            guard let entry = nodes[to].children[packet.spi], entry.sa.inboundKey == packet.key else {
                nodes[to].blackholed += 1
                note("\(nodes[to].name) drops a packet of unknown SPI \(packet.spi)")
                return
            }
            if nodes[to].active.insert(packet.spi).inserted { event(.inboundActivity(inboundSPI: packet.spi), to) }
        }
    }

    /// Sends a packet on the outbound SA of a child, if there is one.
    func sendTraffic(_ from: Int, _ child: String) {
        guard let sa = nodes[from].outbound(child) else { return }
        let host = nodes[from].host
        guard host.addresses.contains(sa.local.address), !host.unreachable.contains(sa.local.address),
            let to = nodes.indices.first(where: { isAt($0, sa.remote.address) })
        else { return }
        let packet = FakePacket(spi: sa.outboundSPI, key: sa.outboundKey, selectors: sa.localSelectors)
        let delay = random.next() % (network.delay.upperBound - network.delay.lowerBound + 1) + network.delay.lowerBound
        schedule(.packet(packet, to: to), after: delay)
    }

    private func isAt(_ index: Int, _ address: IPAddress) -> Bool {
        if let nat = nodes[index].natAddress { return nat == address }
        return nodes[index].host.addresses.contains(address) && !nodes[index].host.unreachable.contains(address)
    }

    /// Gives a node these addresses, the first of a family being the one that its routes prefer, and tells it.
    func readdress(_ node: Int, _ addresses: [IPAddress]) {
        note("\(nodes[node].name) has \(addresses)")
        nodes[node].host.addresses = addresses
        event(.addressesChanged(addresses.map { HostAddress($0, isOuter: true) }), node)
    }

    func perform(_ effects: [IKEEffect], _ index: Int) {
        let node = nodes[index]
        for effect in effects {
            switch effect {
            case .send(let bytes, let local, let remote):
                node.sent.append(bytes)
                send(bytes, index, local, remote)
            case .installChild(let sa): install(sa, node)
            case .activateOutbound(let spi):
                note("\(node.name) activates \(spi)")
                if node.children[spi] == nil { node.problems.append("activates an SA that is not installed") }
                node.order += 1
                node.children[spi]?.active = true
                node.children[spi]?.order = node.order
            case .removeChild(let spi):
                note("\(node.name) removes \(spi)")
                if node.children.removeValue(forKey: spi) == nil {
                    node.problems.append("removes an SA that is not installed")
                }
            case .moveChild(let spi, let local, let remote):
                note("\(node.name) moves \(spi) to \(remote)")
                if node.children[spi] == nil { node.problems.append("moves an SA that is not installed") }
                node.children[spi]?.sa.local = local
                node.children[spi]?.sa.remote = remote
            case .sendKeepalive: node.keepalives += 1
            case .resolve(_, let names, let token): node.questions.append((names, token))
            case .disclose: node.problems.append("discloses keys that nobody asked for")
            case .report(let report):
                node.reports.append(report)
                if case .failed(let failure) = report { node.failures.append(failure) }
                note("\(node.name) reports \(report.name)")
            }
        }
    }

    private func install(_ sa: ChildSAInstallation, _ node: Node) {
        note("\(node.name) installs \(sa.child) in \(sa.inboundSPI) out \(sa.outboundSPI) active \(sa.outboundActive)")
        if !node.usedSPIs.insert(sa.inboundSPI).inserted { node.problems.append("an inbound SPI is used again") }
        if sa.inboundSPI.isReserved { node.problems.append("a reserved SPI") }
        let inbound = sa.inboundKey.withUnsafeBytes { Array($0) }
        // A key appears once as inbound (and once as outbound, at the peer).
        if !keys.insert(inbound).inserted { node.problems.append("an inbound key is used again") }
        if sa.inboundKey == sa.outboundKey { node.problems.append("one key for both directions") }
        node.order += 1
        node.children[sa.inboundSPI] = (sa, sa.outboundActive, node.order)
    }

    private func send(_ original: [UInt8], _ index: Int, _ local: Endpoint, _ remote: Endpoint) {
        note("\(nodes[index].name) sends \(describe(original)) to \(remote)")
        var source = Endpoint(local.address.isUnspecified ? nodes[index].address : local.address, port: local.port)
        let host = nodes[index].host
        guard host.addresses.contains(source.address), !host.unreachable.contains(source.address) else { return }
        if let nat = nodes[index].natAddress {
            let port = nodes[index].natPorts[local.port] ?? nodes[index].nextNATPort
            if nodes[index].natPorts[local.port] == nil {
                nodes[index].natPorts[local.port] = port
                nodes[index].nextNATPort += 1
            }
            source = Endpoint(nat, port: port)
        }
        guard let to = nodes.indices.first(where: { isAt($0, remote.address) }) else { return }
        var destination = remote
        if nodes[to].natAddress != nil {
            guard let inside = nodes[to].natPorts.first(where: { $0.value == remote.port })?.key else { return }
            destination = Endpoint(nodes[to].address, port: inside)
        }
        for copy in 0..<(random.chance(network.duplication) ? 2 : 1) {
            if random.chance(network.loss) {
                note("  lost")
                continue
            }
            var bytes = original
            if random.chance(network.corruption), !bytes.isEmpty {
                bytes[Int(random.next() % UInt64(bytes.count))] ^= UInt8(truncatingIfNeeded: random.next() | 1)
            }
            let span = network.delay.upperBound - network.delay.lowerBound + 1
            let delay = network.delay.lowerBound + random.next() % span + UInt64(copy) * (random.next() % 500)
            schedule(.deliver(bytes, to: to, local: destination, remote: source), after: delay)
        }
    }

    func note(_ line: @autoclosure () -> String) {
        guard traced else { return }
        trace.append("\(Double(now / 1_000_000) / 1000) \(line())")
    }

    func describe(_ bytes: [UInt8]) -> String {
        var reader = ByteReader(bytes)
        guard let header = try? IKEHeader(parsing: &reader) else { return "\(bytes.count) bytes" }
        let kind = header.isResponse ? "response" : "request"
        return
            "\(header.exchange) \(kind) \(header.messageID) [\(header.initiatorSPI) \(header.responderSPI)]"
            + " \(bytes.count) B"
    }

    /// Everything wrong that the data planes noticed.
    var problems: [String] { nodes.flatMap { node in node.problems.map { "\(node.name) \($0)" } } }

    /// Whether both nodes have exactly the same pairs of SAs, mirrored.
    func mirrored(_ left: Int = 0, _ right: Int = 1) -> String? {
        let ours = nodes[left].children.values.map(\.sa)
        let theirs = nodes[right].children.values.map(\.sa)
        guard ours.count == theirs.count else { return "\(ours.count) children against \(theirs.count)" }
        for sa in ours {
            guard
                let other = theirs.first(where: { $0.inboundSPI == sa.outboundSPI && $0.outboundSPI == sa.inboundSPI })
            else { return "no counterpart of \(sa.inboundSPI)" }
            guard other.inboundKey == sa.outboundKey, other.outboundKey == sa.inboundKey else { return "other keys" }
            guard other.localSelectors == sa.remoteSelectors, other.remoteSelectors == sa.localSelectors else {
                return "other selectors"
            }
            guard other.suite == sa.suite, other.esn == sa.esn else { return "another suite" }
        }
        return nil
    }
}

extension IKECommand {
    var name: String { String("\(self)".prefix { $0 != "(" }) }
}

extension IKEReport {
    var name: String {
        if case .failed(let report) = self { return "failed \(report.code.rawValue) \(report.stage.rawValue)" }
        if case .closed(_, let reason) = self { return "closed (\(reason))" }
        return String("\(self)".prefix { $0 != "(" })
    }
}

/// Configurations of the two sides of a test.
enum Sides {
    static func selector(_ text: String) -> TrafficSelector { TrafficSelector(IPPrefix(text)!) }

    static func child(_ name: String, _ local: String, _ remote: String) -> ChildConfiguration {
        ChildConfiguration(name: name, localSelectors: [selector(local)], remoteSelectors: [selector(remote)])
    }

    /// Two configurations that fit: A may start, B waits.
    static func pair(
        _ change: (inout ConnectionConfiguration, inout ConnectionConfiguration) -> Void = { _, _ in }
    ) -> [[ConnectionConfiguration]] {
        let secret = SecretBytes(Array("a secret of both".utf8))
        var left = ConnectionConfiguration(
            name: "c", authentication: .preSharedKey(secret), children: [child("n", "10.1.0.0/16", "10.2.0.0/16")])
        left.localAddresses = [IKEPair.address(0)]
        left.remoteAddresses = [IKEPair.address(1)]
        left.localID = .fqdn("a.example")
        left.remoteID = .fqdn("b.example")
        var right = ConnectionConfiguration(
            name: "c", authentication: .preSharedKey(secret), children: [child("n", "10.2.0.0/16", "10.1.0.0/16")])
        right.localAddresses = [IKEPair.address(1)]
        right.remoteAddresses = [IKEPair.address(0)]
        right.localID = .fqdn("b.example")
        right.remoteID = .fqdn("a.example")
        right.children[0].startAction = .none
        left.children[0].startAction = .none
        change(&left, &right)
        return [[left], [right]]
    }
}

extension IKEPair {
    /// Brings connection `c` up from node 0; whether both sides have `children` children then.
    func connect(from node: Int = 0, children: Int = 1) -> Bool {
        command(.initiate(connection: "c", child: nil), node)
        return run(20) { nodes.prefix(2).allSatisfy { $0.established() && $0.children.count == children } }
    }

    /// The same, with connection `c` up.
    func connected(
        from node: Int = 0, children: Int = 1, sourceLocation: SourceLocation = #_sourceLocation
    ) -> IKEPair {
        #expect(connect(from: node, children: children), "\(story)", sourceLocation: sourceLocation)
        return self
    }

    /// Reports of a node by name.
    func reports(_ node: Int) -> [String] { nodes[node].reports.map(\.name) }

    /// The failure codes that a node reported.
    func codes(_ node: Int) -> [FailureReport.Code] { nodes[node].failures.map(\.code) }

    /// The trace, for a failing expectation.
    var story: String { trace.joined(separator: "\n") }

    /// Seals a message of a node's newest IKE SA, as the peer would receive it: for messages that a machine never
    /// sends.
    func forge(_ node: Int, _ exchange: ExchangeType, _ payloads: [Payload]) -> [UInt8]? {
        let endpoint = nodes[node].endpoint
        guard let spi = endpoint.ikeSAs.spis.last, let sa = endpoint.ikeSAs[spi], let keying = sa.keying else {
            return nil
        }
        let header = endpoint.header(exchange, response: false, id: sa.window.nextRequest, sa)
        return keying.sealer.seal(header, payloads)
    }

    /// Hands bytes to a node as if its peer had sent them.
    func inject(_ bytes: [UInt8], to node: Int, port: UInt16 = 4500) {
        event(
            .datagram(
                bytes, local: Endpoint(nodes[node].address, port: port),
                remote: Endpoint(nodes[1 - node].address, port: port)), node)
    }
}
