// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Testing

@testable import AditIKE

/// What a stranger brings about never hides what happened to a connection.
@Suite struct UnprovenFailureTests {
    /// B asks for A in vain, then A, who is another one than B expects, asks for B.
    private func refused(
        seed: UInt64, _ change: (inout ConnectionConfiguration, inout ConnectionConfiguration) -> Void
    ) -> (IKEPair, own: FailureReport.Code?) {
        let pair = IKEPair(seed: seed, Sides.pair(change))
        pair.nodes[0].isAlive = false
        pair.command(.initiate(connection: "c", child: nil), 1)
        pair.run(300) { !pair.nodes[1].failures.isEmpty }
        let own = pair.nodes[1].endpoint.status()[0].lastFailure?.code
        pair.nodes[0].isAlive = true
        return (pair, own)
    }

    private func shown(_ pair: IKEPair) -> FailureReport.Code? { pair.nodes[1].endpoint.status()[0].lastFailure?.code }

    private func wrongSecret(_ ours: inout ConnectionConfiguration, _ theirs: inout ConnectionConfiguration) {
        ours.authentication = .preSharedKey(SecretBytes(Array("another secret".utf8)))
    }

    private func wrongProposal(_ ours: inout ConnectionConfiguration, _ theirs: inout ConnectionConfiguration) {
        do {
            ours.proposals = [try Proposal(parsing: "aes128-sha256-modp2048", for: .ike, allowLegacy: false)]
            theirs.proposals = [try Proposal(parsing: "aes256gcm16-prfsha384-x25519", for: .ike, allowLegacy: false)]
        } catch { preconditionFailure("\(error)") }
    }

    @Test("a failure of our own stays, whatever proposals or secrets strangers come with", arguments: [true, false])
    func ownFailureStays(secret: Bool) {
        let (pair, own) = refused(seed: 1301, secret ? wrongSecret : wrongProposal)
        #expect(own == .peerUnreachable)
        let before = pair.nodes[1].failures.count
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(30) { pair.nodes[1].failures.count > before }
        // It is told all the same.
        #expect(pair.codes(1).last == (secret ? .authenticationFailed : .noProposalChosen), "\(pair.story)")
        #expect(shown(pair) == own)
    }

    @Test("a connection taken down keeps its failure while peers ask for it")
    func takenDown() {
        let (pair, own) = refused(seed: 1302) { _, _ in }
        pair.command(.terminate(connection: "c"), 1)
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(30) { pair.codes(1).contains(.connectionDown) }
        #expect(pair.codes(1).contains(.connectionDown), "\(pair.story)")
        #expect(shown(pair) == own && own == .peerUnreachable)
    }

    @Test("where there is nothing else it is shown, and gone with the next success")
    func shownWhereNothingElseIs() {
        let pair = IKEPair(seed: 1303, Sides.pair(wrongSecret))
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(30) { shown(pair) != nil }
        #expect(shown(pair) == .authenticationFailed, "\(pair.story)")
        pair.command(.configure(Sides.pair()[0]), 0)
        #expect(pair.connect(), "\(pair.story)")
        #expect(shown(pair) == nil)
    }

    @Test("a peer whose IKE_AUTH never comes is explained where a connection waits for it, and nowhere else")
    func noAuth() {
        let pair = IKEPair(seed: 825, Sides.pair())
        pair.command(.initiate(connection: "c", child: nil), 0)
        #expect(pair.run(5) { pair.nodes[0].sent.count == 2 })
        // B's port 4500 is closed.
        let sent = pair.nodes[0].sent
        let blocked = IKEPair(seed: 826, [Sides.pair()[1]])
        blocked.event(
            .datagram(
                sent[0], local: Endpoint(IKEPair.address(1), port: 500),
                remote: Endpoint(IKEPair.address(0), port: 500)), 0)
        blocked.run(40)
        let shown = blocked.nodes[0].endpoint.status()[0].lastFailure
        #expect(shown?.code == .timeout && shown?.stage == .ikeAuth && shown?.suggestion.contains("4500") == true)
        #expect(blocked.codes(0) == [.timeout] && blocked.nodes[0].endpoint.ikeSACount == 0)

        let up = IKEPair(seed: 827, Sides.pair()).connected()
        up.inject(sent[0], to: 1, port: 500)
        up.run(40)
        #expect(up.codes(1).isEmpty && up.nodes[1].endpoint.status()[0].lastFailure == nil)
    }

    @Test("where more connections fit than are tried, the failure says so")
    func tooManySecrets() {
        let pair = IKEPair(
            seed: 828,
            Sides.pair {
                $0.authentication = .preSharedKey(SecretBytes(Array("the ninth secret".utf8)))
                _ = $1
            })
        let theirs = (0..<9).map { index in
            var one = Sides.pair()[1][0]
            one.name = "c\(index)"
            one.remoteID = nil
            one.authentication = .preSharedKey(SecretBytes(Array("secret \(index)".utf8)))
            return one
        }
        pair.command(.configure(theirs), 1)
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(5)
        #expect(pair.codes(1) == [.authenticationFailed])
        #expect(pair.nodes[1].failures.first?.suggestion.contains("remote_id") == true)
        #expect(pair.nodes[1].failures.first?.suggestion.contains("first 8") == true)
    }
}
