// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditWire
import Testing

@testable import AditIKE

/// A new configuration while something waits for its turn: it is done as it is configured then, or not at all.
@Suite struct ReconfigurationQueueTests {
    /// With a third child, `k`, which stays as it is.
    private func site(seed: UInt64) -> Reloaded {
        Reloaded(seed: seed) { left, right in
            left.children.append(Sides.child("k", "10.5.0.0/16", "10.6.0.0/16"))
            right.children.append(Sides.child("k", "10.6.0.0/16", "10.5.0.0/16"))
            (left.children[2].startAction, right.children[2].startAction) = (.none, .none)
        }
    }

    /// Removes the child `m`, or changes what is agreed about it.
    private func change(_ connection: inout ConnectionConfiguration, removes: Bool) {
        if removes {
            connection.children.removeAll { $0.name == "m" }
        } else {
            for index in connection.children.indices where connection.children[index].name == "m" {
                connection.children[index].proposals = Reloaded.otherProposals
            }
        }
    }

    private func tasks(_ site: Reloaded) -> [IKETask] {
        let endpoint = site.pair.nodes[0].endpoint
        return endpoint.ikeSAs.spis.last.flatMap { endpoint.ikeSAs[$0]?.session?.tasks } ?? []
    }

    /// Of each child `m` that B has installed since it had told so many things, whether it took another's place.
    private func installedAtPeer(_ site: Reloaded, after count: Int) -> [Bool] {
        site.pair.nodes[1].reports.dropFirst(count).compactMap { report in
            if case .childInstalled(_, "m", _, let replaced) = report { replaced != nil } else { nil }
        }
    }

    @Test("children that wait to be asked for", arguments: [false, true])
    func creation(removes: Bool) {
        let site = site(seed: 82)
        site.pair.command(.initiate(connection: "c", child: "k"), 0)
        #expect(site.pair.run(5) { site.pair.nodes.allSatisfy { $0.children.count == 1 } }, "\(site.pair.story)")
        site.pair.run(5)
        site.confirm()
        site.remember()
        // While the rekey of k is under way, n and m wait.
        site.pair.network.loss = 1
        site.pair.command(.rekeyChildren(connection: "c"), 0)
        site.pair.command(.initiate(connection: "c", child: nil), 0)
        #expect(tasks(site).compactMap(\.created).count >= 2)
        site.reload(0) { change(&$0, removes: removes) }
        site.pair.network.loss = 0
        let count = site.pair.nodes[1].reports.count
        site.expect(kept: [], anew: removes ? ["n"] : ["n", "m"])
        #expect(installedAtPeer(site, after: count) == (removes ? [] : [false]), "\(site.pair.story)")
        if !removes { #expect(site.suite("m") == .aesGCM16(.bits256)) }
        #expect(site.pair.nodes.allSatisfy { $0.failures.isEmpty }, "\(site.pair.story)")
    }

    @Test("children that wait to be rekeyed", arguments: [false, true])
    func rekey(removes: Bool) {
        let site = site(seed: 83).connected()
        let before = site.pair.nodes[0].children.keys
        // While the rekey of n is under way, those of m and k wait.
        site.pair.network.loss = 1
        site.pair.command(.rekeyChildren(connection: "c"), 0)
        #expect(tasks(site).count == 2)
        site.reload(0) { change(&$0, removes: removes) }
        site.pair.network.loss = 0
        let count = site.pair.nodes[1].reports.count
        site.expect(kept: [], anew: removes ? ["n"] : ["n", "m"])
        #expect(Set(before).isDisjoint(with: site.pair.nodes[0].children.keys), "k, too: \(site.pair.story)")
        #expect(installedAtPeer(site, after: count) == (removes ? [] : [false]), "\(site.pair.story)")
        if !removes { #expect(site.suite("m") == .aesGCM16(.bits256)) }
        #expect(site.pair.nodes.allSatisfy { $0.failures.isEmpty }, "\(site.pair.story)")
    }

    @Test("a connection that waits for other attempts to the address", arguments: [false, true])
    func attempt(removes: Bool) {
        let configurations = site(seed: 84).configurations
        // From an address that A does not have, so nobody answers.
        var other = configurations[0]
        other.name = "d"
        other.localAddresses = [IKEPair.address(9)]
        var limits = IKELimits()
        limits.attemptsPerRemote = 1
        let pair = IKEPair(seed: 84, [[configurations[0], other], [configurations[1]]], limits: limits)
        pair.command(.initiate(connection: "d", child: "n"), 0)
        pair.command(.initiate(connection: "c", child: "m"), 0)
        #expect(pair.reports(0).last == "queued")
        var changed = configurations[0]
        change(&changed, removes: removes)
        pair.command(.configure([changed, other]), 0)
        // Who waits for the child hears at once that it is no more.
        #expect(pair.codes(0) == (removes ? [.cancelled] : []), "\(pair.story)")
        pair.run(10)
        #expect(pair.nodes[0].established() == !removes, "\(pair.story)")
        #expect(pair.nodes[0].endpoint.status()[0].state == (removes ? .waiting : .established))
        let suites = pair.nodes[1].children.values.map(\.sa.suite)
        #expect(suites == (removes ? [] : [.aesGCM16(.bits256)]), "\(pair.story)")
        #expect(pair.problems == [])
    }
}
