// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditWire
import Testing

@testable import AditIKE

/// As many children as an IKE SA may have.
@Suite struct ChildLimitTests {
    /// Both sides with so many children.
    private func many(_ count: Int, _ seed: UInt64, limits: IKELimits = IKELimits()) -> IKEPair {
        let pair = IKEPair(
            seed: seed, network: Network(delay: 1...3),
            Sides.pair { ours, theirs in
                ours.children = (0..<count).map { Sides.child("n\($0)", "10.1.\($0).0/24", "10.2.\($0).0/24") }
                theirs.children = (0..<count).map { Sides.child("n\($0)", "10.2.\($0).0/24", "10.1.\($0).0/24") }
                for index in 0..<count {
                    ours.children[index].startAction = .none
                    theirs.children[index].startAction = .none
                }
            }, limits: limits)
        pair.traced = false
        return pair.connected(children: count)
    }

    @Test("as many children as are allowed are rekeyed by either side, also twice without a pause")
    func rekeyOfMany() {
        let pair = many(256, 852)
        for node in 0..<2 {
            let before = Set(pair.nodes[0].children.keys)
            pair.run(61)
            pair.command(.rekeyChildren(connection: "c"), node)
            pair.run(3)
            if node == 0 { pair.command(.rekeyChildren(connection: "c"), node) }
            pair.run(60)
            #expect(before.isDisjoint(with: pair.nodes[0].children.keys))
            #expect(pair.nodes[0].children.count == 256 && pair.mirrored() == nil)
            #expect(pair.nodes.allSatisfy { $0.failures.isEmpty && $0.established() })
        }
        let most = pair.nodes.map(\.usedSPIs.count)
        #expect(most.allSatisfy { $0 == 4 * 256 }, "\(most)")
        #expect(pair.problems == [])
    }

    @Test("beyond the limit for every state a rekey waits for room")
    func noRoom() {
        var limits = IKELimits()
        limits.childrenPerIKESA = 2
        let pair = many(2, 853, limits: limits)
        var most = 0
        for _ in 0..<200 {
            pair.command(.rekeyChildren(connection: "c"), 0)
            pair.run(0.05)
            most = max(most, pair.nodes[0].children.count)
        }
        #expect(most == limits.allChildrenPerIKESA)
        pair.run(70)
        #expect(pair.nodes.allSatisfy { $0.failures.isEmpty && $0.established() && $0.children.count == 2 })
        #expect(pair.mirrored() == nil && pair.problems == [])
    }

    @Test("one child more than is allowed is refused")
    func oneMore() {
        var limits = IKELimits()
        limits.childrenPerIKESA = 1
        let pair = IKEPair(
            seed: 854,
            Sides.pair {
                $0.children.append(Sides.child("two", "10.3.0.0/16", "10.4.0.0/16"))
                $1.children.append(Sides.child("two", "10.4.0.0/16", "10.3.0.0/16"))
                $0.children[1].startAction = .none
                $1.children[1].startAction = .none
            }, limits: limits
        ).connected()
        pair.run(5)
        #expect(pair.codes(0) == [.limitReached] && pair.nodes[0].children.count == 1)
        pair.command(.rekeyChildren(connection: "c"), 0)
        pair.run(20)
        #expect(pair.nodes[0].usedSPIs.count == 2 && pair.nodes.allSatisfy { $0.established() }, "\(pair.story)")
    }
}
