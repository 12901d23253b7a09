// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Testing

@testable import AditIKE

@Suite struct ContactTests {
    /// How many of A's IKE_AUTH requests that B can open carry INITIAL_CONTACT.
    private func initialContacts(_ pair: IKEPair) -> (with: Int, without: Int) {
        let endpoint = pair.nodes[1].endpoint
        let openers = endpoint.ikeSAs.spis.compactMap { endpoint.ikeSAs[$0]?.keying?.opener }
        var counts = (with: 0, without: 0)
        for bytes in pair.nodes[0].sent where bytes[18] == ExchangeType.ikeAuth.rawValue {
            for opener in openers {
                guard let opened = try? opener.open(bytes), case .payloads(let payloads) = opened.content else {
                    continue
                }
                if PayloadContents(payloads).notify(.initialContact) != nil {
                    counts.with += 1
                } else {
                    counts.without += 1
                }
            }
        }
        return counts
    }

    @Test(
        "INITIAL_CONTACT once for two connections with the same identities (RFC 7296 §2.4)",
        arguments: [true, false], [true, false])
    func sharedIdentities(named: Bool, atOnce: Bool) {
        var sides = Sides.pair()
        if !named { sides[0][0].remoteID = nil }
        for node in 0..<2 {
            var second = sides[node][0]
            second.name = "d"
            let network = Sides.selector(node == 0 ? "10.7.0.0/16" : "10.8.0.0/16")
            let other = Sides.selector(node == 0 ? "10.8.0.0/16" : "10.7.0.0/16")
            second.children[0].localSelectors = [network]
            second.children[0].remoteSelectors = [other]
            sides[node].append(second)
        }
        // B finds both children in one connection, as A's two connections are the same peer to it.
        sides[1] = [sides[1][0]]
        sides[1][0].children.append(sides[0][1].children[0])
        sides[1][0].children[1].name = "m"
        sides[1][0].children[1].localSelectors = [Sides.selector("10.8.0.0/16")]
        sides[1][0].children[1].remoteSelectors = [Sides.selector("10.7.0.0/16")]
        let pair = IKEPair(seed: 820, network: Network(delay: 5...5), sides)
        pair.command(.initiate(connection: "c", child: nil), 0)
        if !atOnce { pair.run(0.5) }
        pair.command(.initiate(connection: "d", child: nil), 0)
        pair.run(0.2)
        #expect(pair.nodes[0].established("c") && pair.nodes[0].established("d"), "\(pair.story)")
        #expect(initialContacts(pair) == (1, 1))
        // When the only IKE SAs are gone, the next contact is the first again.
        for name in ["c", "d"] { pair.command(.terminate(connection: name), 0) }
        pair.run(60)
        #expect(pair.nodes[0].endpoint.contacts.isEmpty)
    }

    @Test("the SPIs of all IKE SAs that begin at one address of the peer share their low byte")
    func steeringOfSeveral() {
        var sides = Sides.pair()
        for node in 0..<2 {
            var second = sides[node][0]
            second.name = "d"
            second.localID = .fqdn(node == 0 ? "c.example" : "d.example")
            second.remoteID = .fqdn(node == 0 ? "d.example" : "c.example")
            sides[node].append(second)
        }
        let pair = IKEPair(seed: 829, sides).connected()
        pair.command(.initiate(connection: "d", child: nil), 0)
        pair.run(10)
        for node in pair.nodes {
            #expect(node.established("c") && node.established("d"), "\(pair.story)")
            #expect(node.usedSPIs.count >= 2 && Set(node.usedSPIs.map { $0.rawValue & 0xff }).count == 1)
        }
    }

    @Test("the SPIs of an IKE SA and of its successors share their low byte, those of others do not")
    func steering() {
        var bytes: Set<UInt32> = []
        for seed in 0..<8 as Range<UInt64> {
            let pair = IKEPair(seed: 830 + seed, Sides.pair()).connected()
            for node in 0..<2 {
                pair.command(.rekeyChildren(connection: "c"), node)
                pair.run(10)
                pair.command(.rekeyIKE(connection: "c"), node)
                pair.run(10)
            }
            pair.command(.rekeyChildren(connection: "c"), 0)
            pair.run(10)
            for node in pair.nodes {
                #expect(node.usedSPIs.count >= 4)
                let lows = Set(node.usedSPIs.map { $0.rawValue & 0xff })
                #expect(lows.count == 1)
                bytes.formUnion(lows)
            }
        }
        #expect(bytes.count > 8)
    }

    @Test("an answer to IKE_SA_INIT that does not fit is ignored, and explains the failure when no other comes")
    func unacceptableAnswers() throws {
        for fault in 0..<3 {
            // B's answer is made for a request of the same SPI with another proposal, or is damaged.
            let pair = IKEPair(seed: 840, Sides.pair())
            pair.nodes[1].isAlive = false
            pair.command(.initiate(connection: "c", child: nil), 0)
            let request = try IKEMessage(parsing: try #require(pair.nodes[0].sent.first))
            let contents = PayloadContents(request.payloads)
            let share = try #require(contents.keyExchange)
            let spi = request.header.initiatorSPI
            let header = IKEHeader(
                initiatorSPI: spi, responderSPI: IKESPI(rawValue: 7), exchange: .ikeSAInit, flags: .response,
                messageID: 0)
            let keyword = fault == 0 ? "aes128-sha256-modp2048" : "aes256gcm16-prfsha384-x25519"
            let proposal = try Proposal(parsing: keyword, for: .ike, allowLegacy: false)
            let group = fault == 1 ? 19 : share.group
            let value = Array(repeating: UInt8(0), count: share.value.count)
            let answer = IKEMessage(
                header: header,
                payloads: [
                    .securityAssociation(SecurityAssociationPayload(offering: [proposal], spi: [])),
                    .keyExchange(KeyExchangePayload(group: group, value: value)),
                    .nonce(NoncePayload(Array(repeating: 1, count: 32))),
                ])
            pair.inject(answer.serialize(), to: 0, port: 500)
            #expect(pair.codes(0).isEmpty)
            pair.run(60)
            #expect(pair.codes(0) == [fault == 0 ? .noProposalChosen : .invalidKeyExchange])
            #expect(pair.nodes[0].failures.first?.comparison.contains { $0.mismatch } == true)
        }
    }
}
