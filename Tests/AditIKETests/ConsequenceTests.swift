// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Testing

@testable import AditIKE

/// What a failure means for whoever waits for this side: whether it is over, goes on, or was a peer's affair.
@Suite struct ConsequenceTests {
    private static let dead = IPAddress("192.0.2.99")!

    private func consequences(_ pair: IKEPair, _ node: Int = 0) -> [FailureReport.Consequence] {
        pair.nodes[node].failures.map(\.consequence)
    }

    @Test("an address that does not answer ends nothing while another one is left")
    func theNextAddress() {
        let pair = IKEPair(seed: 1401, Sides.pair { left, _ in left.remoteAddresses.insert(Self.dead, at: 0) })
        pair.command(.initiate(connection: "c", child: nil), 0)
        #expect(pair.run(60) { pair.nodes.allSatisfy { $0.established() } }, "\(pair.story)")
        #expect(consequences(pair) == [.nextAddress])
        #expect(pair.nodes[0].failures[0].message.contains("192.0.2.99"))
    }

    @Test("the last address of a round ends the attempt")
    func theLastAddress() {
        let pair = IKEPair(seed: 1402, Sides.pair { left, _ in left.remoteAddresses.insert(Self.dead, at: 0) })
        pair.nodes[1].isAlive = false
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(300) { pair.nodes[0].failures.count == 2 }
        #expect(consequences(pair) == [.nextAddress, .ended], "\(pair.story)")
        #expect(pair.nodes[0].endpoint.status()[0].lastFailure?.consequence == .ended)
    }

    @Test("what strangers ask for in vain is no end of our own attempt", arguments: [true, false])
    func strangers(secret: Bool) {
        let pair = IKEPair(
            seed: 1403,
            Sides.pair { left, right in
                if secret {
                    left.authentication = .preSharedKey(SecretBytes(Array("another secret".utf8)))
                } else {
                    left.proposals = ExplanationTests.proposal("aes128-sha256-modp2048", .ike)
                    right.proposals = ExplanationTests.proposal("aes256gcm16-prfsha384-x25519", .ike)
                }
            })
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(60) { !pair.nodes[0].failures.isEmpty && !pair.nodes[1].failures.isEmpty }
        #expect(consequences(pair, 1).allSatisfy { $0 == .refused } && !consequences(pair, 1).isEmpty, "\(pair.story)")
        #expect(consequences(pair, 0) == [.ended])
    }

    @Test("a child that we refuse to a peer ends nothing of ours")
    func refusedChildren() {
        let pair = IKEPair(
            seed: 1404,
            Sides.pair { left, _ in left.children[0].remoteSelectors = [Sides.selector("10.99.0.0/16")] })
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(30) { !pair.nodes[0].failures.isEmpty && !pair.nodes[1].failures.isEmpty }
        #expect(consequences(pair, 1) == [.refused], "\(pair.story)")
        #expect(consequences(pair, 0) == [.ended])
    }

    @Test("a peer that dies during CREATE_CHILD_SA is told of first, and with that exchange")
    func deadDuringAnExchange() throws {
        let pair = IKEPair(seed: 1405, Sides.pair()).connected()
        pair.nodes[1].isAlive = false
        pair.nodes[0].reports = []
        pair.command(.rekeyChildren(connection: "c"), 0)
        pair.run(300) { !pair.nodes[0].failures.isEmpty }
        pair.run(1)
        let report = try #require(pair.nodes[0].failures.first)
        #expect(report.code == .deadPeer && report.stage == .createChildSA, "\(pair.story)")
        let names = pair.reports(0)
        let failed = try #require(names.firstIndex { $0.hasPrefix("failed ") })
        let closed = try #require(names.firstIndex { $0.hasPrefix("closed ") })
        #expect(failed < closed, "\(names)")
    }

    @Test("a limit is told of with the exchange in which it was reached")
    func limitOfChildren() {
        var limits = IKELimits()
        limits.childrenPerIKESA = 1
        let pair = IKEPair(
            seed: 1406,
            Sides.pair { left, right in
                left.children.append(Sides.child("m", "10.3.0.0/16", "10.4.0.0/16"))
                right.children.append(Sides.child("m", "10.4.0.0/16", "10.3.0.0/16"))
            }, limits: limits)
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(30) { !pair.nodes[0].failures.isEmpty }
        #expect(pair.codes(0).first == .limitReached && pair.nodes[0].failures.first?.stage == .createChildSA)
    }

    @Test("who began an IKE SA stays who began it, whoever rekeys it", arguments: [0, 1])
    func roles(side: Int) {
        let pair = IKEPair(seed: 1407, Sides.pair()).connected()
        pair.command(.rekeyIKE(connection: "c"), side)
        pair.run(10) { pair.nodes.allSatisfy { node in node.reports.contains { $0.name == "ikeRekeyed" } } }
        pair.run(1)
        let status = pair.nodes.map { $0.endpoint.status()[0] }
        #expect(status.map { $0.ikeSA?.originalRole } == [.initiator, .responder], "\(pair.story)")
    }

    @Test("a responder for several peers shows each of them and whose the children are")
    func severalPeers() throws {
        var sides = Sides.pair { _, right in
            right.remoteAddresses = []
            right.remoteID = nil
            right.children[0].remoteSelectors = ["10.1.0.0/16", "10.3.0.0/16"].map(Sides.selector)
        }
        var third = sides[0][0]
        third.localAddresses = [IKEPair.address(2)]
        third.localID = .fqdn("c.example")
        third.children[0].localSelectors = [Sides.selector("10.3.0.0/16")]
        sides.append([third])
        let pair = IKEPair(seed: 1408, sides)
        for node in [0, 2] { pair.command(.initiate(connection: "c", child: nil), node) }
        #expect(pair.run(20) { [0, 2].allSatisfy { pair.nodes[$0].children.count == 1 } }, "\(pair.story)")
        let status = pair.nodes[1].endpoint.status()[0]
        #expect(Set(status.ikeSAs.compactMap(\.remoteID)) == [.fqdn("a.example"), .fqdn("c.example")])
        #expect(status.ikeSAs.allSatisfy { !$0.isLeaving } && status.children.count == 2)
        for child in status.children {
            let owner = try #require(child.owner)
            let sa = try #require(status.ikeSAs.first { $0.initiatorSPI == owner.initiatorSPI })
            #expect(sa.responderSPI == owner.responderSPI && sa.remote == owner.remote && sa.remoteID == owner.remoteID)
            let isFirst = child.remoteSelectors == [Sides.selector("10.1.0.0/16")]
            #expect(owner.remoteID == .fqdn(isFirst ? "a.example" : "c.example"))
        }
    }

    @Test("certificates that fit no message end the attempt, on either side", arguments: [0, 1], [true, false])
    func tooManyCertificates(side: Int, fragmentation: Bool) throws {
        let pair = IKEPair(
            seed: 1409,
            try SignatureHandshakeTests.sides(TestKeys.ed25519, TestKeys.ed25519) { left, right in
                for index in 0..<2 {
                    var sides = [left, right]
                    sides[index].fragmentation = fragmentation
                    if index == side, case .signature(var credential) = sides[index].authentication.local {
                        credential.chain += Array(repeating: Array(repeating: 1, count: 16_000), count: 5)
                        sides[index].authentication.local = .signature(credential)
                    }
                    (left, right) = (sides[0], sides[1])
                }
            })
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(5) { !pair.nodes[side].failures.isEmpty }
        let report = try #require(pair.nodes[side].failures.first, "\(pair.story)")
        #expect(report.code == .limitReached && report.stage == .ikeAuth)
        #expect(report.suggestion.contains("cert_file") && report.suggestion.contains("local_ts"))
        #expect(pair.nodes[side].children.isEmpty && pair.problems == [])
    }
}
