// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Simulation
import Testing

@testable import AditIKE

@Suite struct LostStateTests {
    /// B dies and starts again without state; A sends a packet every 200 ms, and B's data plane tells of unknown SPIs.
    private func trafficUntilRecovery(_ pair: IKEPair, _ configuration: [ConnectionConfiguration]) -> Double? {
        let lost = pair.nodes[1]
        pair.nodes[1] = Node(
            "B", lost.address, IKEEndpoint(connections: configuration, entropy: SeededEntropy(4711).source))
        let start = pair.now
        for turn in 0..<400 {
            if turn == 2, let spi = pair.nodes[0].children.keys.first {
                // A's data plane tells late of what arrived before B died.
                pair.event(.inboundActivity(inboundSPI: spi), 0)
            }
            if let sa = pair.nodes[0].outbound("n") {
                if pair.nodes[1].children[sa.outboundSPI] != nil { return Double(pair.now - start) / 1e9 }
                let from = Endpoint(pair.nodes[0].address, port: 4500)
                pair.event(.unknownSPI(sa.outboundSPI, from: from), 1)
            } else {
                pair.event(.acquire(connection: "c", child: "n"), 0)
            }
            pair.run(0.2)
        }
        return nil
    }

    @Test(
        "a peer that was killed and waits is back within 5 s of its restart",
        arguments: [ChildConfiguration.StartAction.none, .trap],
        [ConnectionConfiguration.DeadPeerAction.restart, .trap])
    func killed(start: ChildConfiguration.StartAction, action: ConnectionConfiguration.DeadPeerAction) throws {
        let sides = Sides.pair {
            $0.children[0].startAction = .trap
            $0.dpdAction = action
            $1.children[0].startAction = start
        }
        let pair = IKEPair(seed: 800, sides).connected()
        pair.run(3)
        let seconds = try #require(trafficUntilRecovery(pair, sides[1]), "\(pair.story)")
        #expect(seconds < 5)
        #expect(pair.codes(0) == [.deadPeer])
        #expect(pair.problems == [])
    }

    @Test("INVALID_SPI has SPIs of zero, the Initiator flag and the SPI as data; one a second and source")
    func invalidSPI() throws {
        let pair = IKEPair(seed: 801, Sides.pair())
        let spi = SPI(rawValue: 0x0102_0304)
        let from = Endpoint(pair.nodes[0].address, port: 4500)
        for _ in 0..<50 { pair.event(.unknownSPI(spi, from: from), 1) }
        #expect(pair.nodes[1].sent.count == 1)
        let message = try IKEMessage(parsing: try #require(pair.nodes[1].sent.first))
        #expect(message.header.initiatorSPI == .zero && message.header.responderSPI == .zero)
        #expect(message.header.flags == .initiator && message.header.exchange == .informational)
        #expect(message.payloads == [.notify(NotifyPayload(.invalidSPI, data: [1, 2, 3, 4]))])
        // An address that no connection has is told nothing, and nobody answers the message.
        pair.event(.unknownSPI(spi, from: Endpoint(IKEPair.address(9), port: 4500)), 1)
        #expect(pair.nodes[1].sent.count == 1)
        pair.run(5)
        #expect(pair.nodes[0].sent.isEmpty)
    }

    @Test("a live peer survives every forged INVALID_SPI and INVALID_IKE_SPI (RFC 7296 §2.21.4)")
    func forgedHints() throws {
        let pair = IKEPair(seed: 802, Sides.pair()).connected()
        pair.run(3)
        let sa = try #require(pair.nodes[0].outbound("n"))
        let status = try #require(pair.nodes[0].endpoint.status()[0].ikeSA)
        let invalidSPI = IKEMessage(
            header: IKEHeader(
                initiatorSPI: .zero, responderSPI: .zero, exchange: .informational, flags: .initiator, messageID: 0),
            payloads: [.notify(NotifyPayload(.invalidSPI, data: sa.outboundSPI.bytes))])
        let invalidIKESPI = IKEMessage(
            header: IKEHeader(
                initiatorSPI: IKESPI(rawValue: status.initiatorSPI),
                responderSPI: IKESPI(rawValue: status.responderSPI), exchange: .informational, flags: .response,
                messageID: 3), payloads: [.notify(NotifyPayload(.invalidIKESPI))])
        let sent = pair.nodes[0].sent.count
        for _ in 0..<300 {
            pair.inject(invalidSPI.serialize(), to: 0)
            pair.inject(invalidIKESPI.serialize(), to: 0)
            pair.run(0.1)
        }
        #expect(pair.nodes.allSatisfy { $0.established() && $0.failures.isEmpty })
        #expect((10...16).contains(pair.nodes[0].sent.count - sent))
        // A foreign SPI or a foreign address is no hint at all.
        let count = pair.nodes[0].sent.count
        pair.run(3)
        let other = IKEMessage(
            header: invalidSPI.header, payloads: [.notify(NotifyPayload(.invalidSPI, data: [9, 9, 9, 9]))])
        pair.inject(other.serialize(), to: 0)
        let local = Endpoint(pair.nodes[0].address, port: 4500)
        let foreign = Endpoint(IKEPair.address(9), port: 4500)
        pair.event(.datagram(invalidSPI.serialize(), local: local, remote: foreign), 0)
        #expect(pair.nodes[0].sent.count == count)
    }

    @Test("a child that the data plane cannot take is deleted at the peer and reported")
    func installationFailed() throws {
        let pair = IKEPair(seed: 803, Sides.pair()).connected()
        for node in 0..<2 {
            if node == 1 { #expect(pair.connect()) }
            let spi = try #require(pair.nodes[node].children.keys.first)
            pair.event(.installationFailed(inboundSPI: spi, reason: "the table is full"), node)
            #expect(pair.codes(node).last == .limitReached)
            #expect(pair.nodes[node].failures.last?.message.contains("the table is full") == true)
            #expect(pair.nodes[node].endpoint.status()[0].children.first?.phase == .deleting)
            #expect(pair.run(10) { pair.nodes.allSatisfy { $0.children.isEmpty } }, "\(pair.story)")
            #expect(pair.nodes.allSatisfy { $0.established() })
        }
        #expect(pair.problems == [])
        pair.event(.installationFailed(inboundSPI: SPI(rawValue: 4096), reason: "unknown"), 0)
    }
}
