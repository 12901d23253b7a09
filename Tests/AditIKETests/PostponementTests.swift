// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditWire
import Testing

@testable import AditIKE

/// A peer that answers TEMPORARY_FAILURE (RFC 7296 §2.25).
@Suite struct PostponementTests {
    /// B is about to delete what it has, so it puts off rekeys; or it has thought better of it.
    private func setBusy(_ isBusy: Bool, _ pair: IKEPair) {
        let spi = pair.nodes[1].endpoint.ikeSAs.spis[0]
        pair.nodes[1].endpoint.withIKESA(spi) { _, sa in
            for index in sa.session?.children.indices ?? 0..<0 {
                sa.session?.children[index].phase = isBusy ? .deleting : .installed
            }
        }
    }

    private func isPutOff(_ pair: IKEPair) -> Bool {
        let endpoint = pair.nodes[0].endpoint
        return endpoint.ikeSAs.spis.contains { endpoint.ikeSAs[$0]?.session?.postponed.isEmpty == false }
    }

    /// A's rekey of the child was put off, and B rekeyed it instead.
    private func overtaken(_ seed: UInt64) -> IKEPair {
        let pair = IKEPair(seed: seed, Sides.pair()).connected()
        pair.run(5)
        let before = Set(pair.nodes[0].children.keys)
        setBusy(true, pair)
        pair.command(.rekeyChildren(connection: "c"), 0)
        #expect(pair.run(1) { isPutOff(pair) }, "\(pair.story)")
        setBusy(false, pair)
        pair.command(.rekeyChildren(connection: "c"), 1)
        #expect(pair.run(1) { !isPutOff(pair) }, "\(pair.story)")
        pair.run(600)
        #expect(before.isDisjoint(with: pair.nodes[0].children.keys) && pair.mirrored() == nil, "\(pair.story)")
        return pair
    }

    @Test("what was put off long ago and came about in another way does not count: the next is asked again")
    func stale() {
        let pair = overtaken(970)
        let ike = pair.nodes[0].endpoint.ikeSAs.spis
        let before = Set(pair.nodes[0].children.keys)
        setBusy(true, pair)
        pair.command(.rekeyChildren(connection: "c"), 0)
        pair.run(2)
        #expect(isPutOff(pair), "\(pair.story)")
        setBusy(false, pair)
        pair.run(10)
        #expect(before.isDisjoint(with: pair.nodes[0].children.keys) && pair.mirrored() == nil, "\(pair.story)")
        #expect(pair.nodes[0].endpoint.ikeSAs.spis == ike)
        #expect(pair.nodes.allSatisfy { $0.failures.isEmpty } && pair.problems == [])
    }

    @Test("a peer that puts everything off has three minutes from when it began, and no more")
    func withoutEnd() {
        let pair = overtaken(971)
        setBusy(true, pair)
        pair.command(.rekeyChildren(connection: "c"), 0)
        pair.run(175)
        #expect(isPutOff(pair) && pair.nodes[0].established() && pair.nodes[0].failures.isEmpty, "\(pair.story)")
        pair.run(15)
        #expect(pair.codes(0) == [.peerNotify] && !pair.nodes[0].established(), "\(pair.story)")
    }
}
