// SPDX-License-Identifier: Apache-2.0
// Adit: Simulation

import AditIKE
import AditWire

// Datagrams: from a gateway into the network, through it, and into the other gateway.

extension Simulation {
    func send(
        _ kind: Letter.Kind, _ bytes: [UInt8], _ gateway: SimulatedGateway, local: Endpoint, remote: Endpoint,
        probe: UInt64? = nil
    ) {
        // The system chooses the address when the machine does not.
        let from = local.address.isUnspecified ? gateway.host.route(remote.address) : local.address
        guard let from, let source = network.depart(gateway.index, from: Endpoint(from, port: local.port), to: remote)
        else {
            note("\(gateway.name) cannot send from \(local)")
            return
        }
        let letter = Letter(
            kind: kind, bytes: bytes, sender: gateway.index, source: source, destination: remote, probe: probe)
        if kind == .ike, isTraced {
            let receiver = network.arrive(at: remote, from: source)?.gateway
            let more = receiver.flatMap { describe?(self, letter, $0) }.map { " \($0)" } ?? ""
            note("\(gateway.name) -> \(remote) \(letter)\(more)")
        }
        if network.deaf.contains(from) {
            if kind == .ike { note("     lost, as \(from) is deaf") }
        } else if kind == .ike, holdsMessages {
            held.append(letter)
        } else {
            carry(letter)
        }
    }

    /// Carries a letter as the network's conditions want it.
    func carry(_ letter: Letter) {
        let conditions = network.conditions
        guard !conditions.isCut else {
            if letter.kind == .ike { note("     lost") }
            return
        }
        for copy in 0..<(random.chance(conditions.duplication) ? 2 : 1) {
            if random.chance(conditions.loss) {
                if letter.kind == .ike { note("     lost") }
                continue
            }
            var arriving = letter
            if random.chance(conditions.corruption), !letter.bytes.isEmpty {
                let place = random.number(in: 0...letter.bytes.count - 1)
                arriving.bytes[place] ^= UInt8(truncatingIfNeeded: random.next() | 1)
                // A bent probe is lost in the network: nobody expects it to be opened.
                arriving.probe = nil
            }
            let extra = copy > 0 ? random.number(in: 0...500) : 0
            let delay = random.number(in: conditions.delay) + extra
            queue.add(.arrive(arriving), at: now + .milliseconds(delay))
        }
    }

    /// Delivers one of the letters held, now, and keeps the rest.
    package func deliver(_ letter: Letter) { arrive(letter) }

    /// Takes the letters held so far.
    package func takeHeld() -> [Letter] {
        defer { held = [] }
        return held
    }

    func arrive(_ letter: Letter) {
        guard let (index, local) = network.arrive(at: letter.destination, from: letter.source) else {
            note("     \(letter.kind) for \(letter.destination) ends nowhere")
            let receivers = gateways.indices.filter { $0 != letter.sender }
            traffic.lostAtNAT(
                letter, receivers.compactMap { network.left(letter.destination, $0, sender: letter.sender) }.max(),
                at: now)
            return
        }
        let gateway = gateways[index]
        guard gateway.isAlive, !network.deaf.contains(local.address) else { return }
        switch letter.kind {
        case .keepalive: break
        case .ike:
            note("\(gateway.name) <- \(letter.source) \(letter)")
            hand(.datagram(letter.bytes, local: local, remote: letter.source), to: gateway)
        case .esp: arriveESP(letter, gateway)
        }
    }

    private func arriveESP(_ letter: Letter, _ gateway: SimulatedGateway) {
        switch gateway.dataPlane.open(letter.bytes, from: letter.source) {
        case .probe(let number, let spi):
            traffic.deliver(number, letter, at: now)
            if gateway.heardOn.insert(spi).inserted { hand(.inboundActivity(inboundSPI: spi), to: gateway) }
        case .unknownSPI(let spi):
            if letter.probe != nil { note("\(gateway.name) knows no SPI \(spi)") }
            traffic.refuse(letter, "\(gateway.name) knows no SPI \(spi)", at: now)
            guard now >= gateway.unknownSPIQuietUntil, !spi.isReserved else { return }
            gateway.unknownSPIQuietUntil = now + .seconds(1)
            hand(.unknownSPI(spi, from: letter.source), to: gateway)
        case .refused(let reason):
            // A second copy is the network's; it is refused as it should be.
            if reason != .replayed { traffic.refuse(letter, "\(gateway.name): \(reason)", at: now) }
        }
    }

    /// Sends one probe on every child of every gateway.
    func sendProbes() {
        for gateway in gateways where gateway.isAlive {
            for connection in gateway.configurations {
                for child in connection.children where child.name != Sites.stranger {
                    probe(gateway, connection.name, child)
                }
            }
        }
    }

    private func probe(_ gateway: SimulatedGateway, _ connection: String, _ child: ChildConfiguration) {
        let flow = TrafficWatch.Flow(sender: gateway.index, connection: connection, child: child.name)
        let number = traffic.begin(flow)
        switch gateway.dataPlane.seal(
            ProbePacket(number, from: child.localSelectors, to: child.remoteSelectors))
        {
        case .sealed(let bytes, let local, let remote):
            send(.esp, bytes, gateway, local: local, remote: remote, probe: number)
        case .dropped(let reason):
            traffic.fail(number, "\(gateway.name) has no SA for \(child.name): \(reason)", at: now)
        case .acquire(let connection, let name, let packet):
            traffic.fail(number, "\(gateway.name) has no SA for \(name)", at: now)
            let quiet = gateway.acquireQuietUntil[name] ?? now
            guard now >= quiet else { return }
            gateway.acquireQuietUntil[name] = now + .seconds(1)
            hand(.acquire(connection: connection, child: name, packet: packet), to: gateway)
        }
    }
}
