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
}
