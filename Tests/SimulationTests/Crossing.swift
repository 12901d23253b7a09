// SPDX-License-Identifier: Apache-2.0
// Adit: SimulationTests

import AditCrypto
import AditWire
import Testing

@testable import AditIKE
@testable import Simulation

/// Two gateways with one child between them, and every IKE message in the test's hands; packets flow all the time.
final class Crossing {
    /// What a message says, read by its receiver's keys.
    struct Sent {
        let side: Int
        let header: IKEHeader
        let contents: PayloadContents

        /// The inbound SPIs of its sender that it deletes, in a request.
        var deletes: [SPI] { header.isResponse ? [] : contents.deletes.flatMap(\.espSPIs) }
        var deletesIKE: Bool { !header.isResponse && contents.deletesIKESA }
    }

    let simulation: Simulation
    private(set) var history: [Sent] = []
    /// A's child and the initiator's SPI of the IKE SA, as the test finds them.
    private(set) var before: (child: SPI, ike: UInt64) = (SPI(rawValue: 0), 0)
    /// What was said until the child was up.
    private(set) var beginning: [Sent] = []
    private var isConnecting = true

    init(
        seed: UInt64 = 1, tries: Int = 6, allowsGaps: Bool = false,
        _ change: (inout ConnectionConfiguration, inout ConnectionConfiguration) -> Void = { _, _ in }
    ) {
        var limits = IKELimits()
        limits.retransmitTries = tries
        simulation = Simulation(seed: seed, Sites.pair(change), limits: limits)
        simulation.network.conditions.delay = 1...3
        simulation.isTraced = true
        simulation.describe = { [unowned self] simulation, letter, receiver in
            note(letter, simulation.gateways[receiver].endpoint)
        }
        simulation.command(.initiate(connection: Sites.connection, child: nil), 0)
        let isUp = simulation.run(.seconds(5)) { self.simulation.gateways.allSatisfy { $0.children().count == 1 } }
        #expect(isUp, "\(story)")
        // What was accepted in IKE_AUTH counts as known to the peer.
        simulation.run(.seconds(1))
        simulation.hand(.inboundActivity(inboundSPI: child(1)), to: simulation.gateways[1])
        simulation.probeInterval = .milliseconds(15)
        simulation.run(.milliseconds(100))
        simulation.traffic.demand()
        simulation.holdsMessages = true
        beginning = history
        history = []
        before = (child(0), ike)
        if allowsGaps { allowGaps() }
    }

    private func note(_ letter: Letter, _ receiver: IKEEndpoint) -> String? {
        guard let header = letter.header else { return nil }
        let ours = header.flags.contains(.initiator) ? header.responderSPI : header.initiatorSPI
        guard let opener = receiver.ikeSAs[ours]?.keying?.opener, let opened = try? opener.open(letter.bytes),
            case .payloads(let payloads) = opened.content
        else { return nil }
        let sent = Sent(side: letter.sender, header: header, contents: PayloadContents(payloads))
        history.append(sent)
        let names = payloads.map { payload -> String in
            switch payload {
            case .notify(let notify): "N(\(notify.type)\(notify.espSPI.map { " \($0)" } ?? ""))"
            case .delete(let delete): "D(\(delete.espSPIs.map(\.description).joined(separator: " ")))"
            default: "\(payload.type)"
            }
        }
        return "{\(names.joined(separator: ", "))}"
    }

    /// The newest child of a side, by its inbound SPI.
    func child(_ side: Int) -> SPI { simulation.gateways[side].children().last?.inboundSPI ?? SPI(rawValue: 0) }

    /// The initiator's SPI of A's newest IKE SA.
    var ike: UInt64 { simulation.gateways[0].status()?.ikeSA?.initiatorSPI ?? 0 }

    /// Which side made the newest IKE SA of a side.
    func role(_ side: Int) -> IKEReport.Role? { simulation.gateways[side].status()?.ikeSA?.role }

    /// Lets packets flow for a moment.
    func breathe() { simulation.run(.milliseconds(20)) }

    // MARK: What the sides begin

    /// The request that a side sends when its child is to be rekeyed.
    func rekeyChild(_ side: Int) -> Letter {
        simulation.command(.rekeyChildren(connection: Sites.connection), side)
        return only()
    }

    /// The request that a side sends when a packet waits for its child.
    func createChild(_ side: Int) -> Letter {
        let event = IKEEvent.acquire(connection: Sites.connection, child: Sites.child(0))
        simulation.hand(event, to: simulation.gateways[side])
        return takeHeld().last { $0.sender == side } ?? only()
    }

    /// The request that a side sends when the IKE SA is to be rekeyed, with this group.
    func rekeyIKE(_ side: Int, group: KeyExchangeGroup? = nil) -> Letter {
        guard let group else {
            simulation.command(.rekeyIKE(connection: Sites.connection), side)
            return only()
        }
        poke(side) { endpoint in
            endpoint.withIKESA(endpoint.ikeSAs.spis[0]) { endpoint, sa in
                endpoint.requestIKERekey(groups: [group.transformID], &sa)
            }
        }
        return only()
    }

    /// The request that a side sends when it deletes a child.
    func deleteChild(_ side: Int, _ spi: SPI? = nil) -> Letter {
        let spi = spi ?? child(side)
        poke(side) { endpoint in
            guard let owner = endpoint.childOwners[spi] else { return }
            endpoint.withIKESA(owner) { endpoint, sa in endpoint.startDelete([spi], &sa) }
        }
        return only()
    }

    /// The request that a side sends when it takes the connection down.
    func deleteIKE(_ side: Int) -> Letter {
        simulation.traffic.excuse(until: Timestamp(nanoseconds: .max))
        simulation.command(.terminate(connection: Sites.connection), side)
        return only()
    }

    /// Changes a machine from within, for what no event brings about at this moment.
    func poke(_ side: Int, _ body: (inout IKEEndpoint) -> Void) {
        let gateway = simulation.gateways[side]
        body(&gateway.endpoint)
        var effects: [IKEEffect] = []
        swap(&effects, &gateway.endpoint.effects)
        simulation.perform(effects, gateway)
    }

    /// From here on a child may be without an SA: it is being deleted.
    func allowGaps() { simulation.traffic.excuse(until: Timestamp(nanoseconds: .max)) }

    // MARK: Messages

    /// Delivers a message; what its receiver sends because of it.
    @discardableResult
    func deliver(_ letter: Letter) -> [Letter] {
        simulation.deliver(letter)
        let answers = takeHeld()
        breathe()
        return answers + takeHeld()
    }

    /// What waits for delivery; that packets arrive for an SA that is gone (INVALID_SPI) is not told here.
    func takeHeld() -> [Letter] { simulation.takeHeld().filter { $0.header?.initiatorSPI != .zero } }

    /// Delivers a message that brings about exactly one other.
    func exchange(_ letter: Letter) -> Letter {
        let letters = deliver(letter)
        #expect(letters.count == 1, "\(letters)\n\(story)")
        return letters.first ?? letter
    }

    private func only() -> Letter {
        let letters = takeHeld()
        #expect(letters.count == 1, "\(letters)\n\(story)")
        return letters[0]
    }

    /// Delivers messages and whatever follows from them, in turn, until nothing is under way.
    func deliverAll(_ letters: [Letter]) {
        var waiting = letters
        for _ in 0..<100 where !waiting.isEmpty { waiting += deliver(waiting.removeFirst()) }
        #expect(waiting.isEmpty, "\(story)")
    }

    /// Gives the rest to the network, and lets everything come to an end.
    func release(_ letters: [Letter] = [], seconds: Int = 100) {
        simulation.holdsMessages = false
        for letter in letters + takeHeld() { simulation.carry(letter) }
        simulation.probeInterval = .milliseconds(100)
        simulation.run(.seconds(seconds))
    }

    // MARK: What came out

    /// What a side asked its peer to delete since the beginning, as its own inbound SPIs.
    func deleted(by side: Int) -> [SPI] {
        var seen: [SPI] = []
        for sent in history where sent.side == side { seen += sent.deletes.filter { !seen.contains($0) } }
        return seen
    }

    /// Which sides asked for the deletion of an IKE SA, by its initiator's SPI.
    func deletedIKE(by side: Int) -> Set<IKESPI> {
        Set(history.filter { $0.side == side && $0.deletesIKE }.map(\.header.initiatorSPI))
    }

    /// How often a side answered with this notification.
    func answers(_ type: NotifyType, by side: Int) -> Int {
        var ids: Set<UInt32> = []
        for sent in history where sent.side == side && sent.header.isResponse {
            if sent.contents.notify(type) != nil { ids.insert(sent.header.messageID) }
        }
        return ids.count
    }

    /// The nonce in the last message of CREATE_CHILD_SA that a side sent as request or as response.
    func nonce(_ side: Int, response: Bool) -> [UInt8] {
        history.last {
            $0.side == side && $0.header.exchange == .createChildSA && $0.header.isResponse == response
                && $0.contents.nonce != nil
        }?.contents.nonce ?? []
    }

    /// One IKE SA and this many children, the same on both sides and in both data planes, and nothing was ever wrong.
    func expectSettled(children: Int = 1, ikeSAs: Int = 1, sourceLocation: SourceLocation = #_sourceLocation) {
        for gateway in simulation.gateways {
            #expect(gateway.children().count == children, "\(gateway.name)\n\(story)", sourceLocation: sourceLocation)
            #expect(gateway.dataPlane.pairs.count == children, "\(story)", sourceLocation: sourceLocation)
            #expect(gateway.endpoint.childSACount == children, "\(story)", sourceLocation: sourceLocation)
            #expect(gateway.endpoint.ikeSACount == ikeSAs, "\(story)", sourceLocation: sourceLocation)
            let isSending = gateway.dataPlane.pairs.values.allSatisfy { $0.isActive }
            #expect(isSending, "\(story)", sourceLocation: sourceLocation)
        }
        let difference = Agreement.difference(simulation.gateways[0], simulation.gateways[1])
        #expect(difference == nil, "\(story)", sourceLocation: sourceLocation)
        #expect(simulation.problems == [], "\(story)", sourceLocation: sourceLocation)
    }

    var story: String { simulation.trace.joined(separator: "\n") }
}

/// Which of the four nonces of a simultaneous rekey is the lowest.
enum Nonce: Int, CaseIterable, CustomTestStringConvertible {
    case requestOfA, requestOfB, responseOfA, responseOfB

    var testDescription: String { "\(self)" }

    /// Whose exchange it is in: that side's SA goes.
    var loser: Int { self == .requestOfA || self == .responseOfB ? 0 : 1 }

    /// The one among the nonces of both exchanges.
    static func lowest(_ crossing: Crossing) -> Nonce? {
        let values = [
            crossing.nonce(0, response: false), crossing.nonce(1, response: false),
            crossing.nonce(0, response: true), crossing.nonce(1, response: true),
        ]
        guard values.allSatisfy({ !$0.isEmpty }) else { return nil }
        let least = values.indices.min { values[$0].lexicographicallyPrecedes(values[$1]) }
        return least.flatMap(Nonce.init)
    }

    /// A crossing, made by `make` and driven by `body` until all four nonces are known, in which this one is the
    /// lowest.
    func crossing<Value>(
        make: (UInt64) -> Crossing = { Crossing(seed: $0) }, _ body: (Crossing) -> Value
    ) throws -> (Crossing, Value) {
        for seed in 1...200 as ClosedRange<UInt64> {
            let crossing = make(seed)
            let value = body(crossing)
            if Nonce.lowest(crossing) == self { return (crossing, value) }
        }
        throw NotFound()
    }

    struct NotFound: Error {}
}
