// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditWire
import Testing

@testable import AditIKE

/// Host names among the remote addresses: asked for before each attempt, their addresses tried in turn.
@Suite struct NameResolutionTests {
    private static let dead = IPAddress("192.0.2.99")!
    private static let dead6 = IPAddress("2001:db8::99")!

    /// A pair of which A knows B by name, after `before` literal addresses.
    private func pair(_ before: [IPAddress] = [], names: [String] = ["b.example"]) -> IKEPair {
        IKEPair(
            seed: 7,
            Sides.pair { left, _ in
                left.children[0].startAction = .trap
                left.children[0].startAction = .trap
                left.remoteAddresses = before
                left.remoteNames = names.map { RemoteName($0, position: before.count) }
            })
    }

    private func answer(_ pair: IKEPair, _ addresses: [IPAddress], failure: String? = nil) {
        guard let (names, token) = pair.nodes[0].questions.popLast() else {
            Issue.record("nothing was asked\n\(pair.story)")
            return
        }
        let answers = names.map { NameResolution(name: $0, addresses: addresses, failure: failure) }
        pair.event(.resolved(token: token, answers), 0)
    }

    private func targets(_ pair: IKEPair) -> [IPAddress] {
        pair.nodes[0].reports.compactMap {
            guard case .connecting(_, let remote, _) = $0 else { return nil }
            return remote.address
        }
    }

    @Test func anAttemptWaitsForTheAnswer() {
        let pair = pair()
        pair.command(.initiate(connection: "c", child: nil), 0)
        #expect(pair.nodes[0].questions.map(\.names) == [["b.example"]])
        #expect(pair.nodes[0].sent.isEmpty && pair.nodes[0].endpoint.status()[0].state == .connecting)
        // Whoever asks again meanwhile waits for the same answer.
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.event(.acquire(connection: "c", child: "n"), 0)
        #expect(pair.nodes[0].questions.count == 1)
        answer(pair, [IKEPair.address(1)])
        #expect(pair.run(5) { pair.nodes.allSatisfy { $0.established() } }, "\(pair.story)")
        #expect(pair.nodes[0].endpoint.nextDeadline != nil && pair.nodes[0].failures.isEmpty)
    }

    @Test func everyAttemptAsksAgain() {
        let pair = pair()
        pair.command(.initiate(connection: "c", child: nil), 0)
        answer(pair, [IKEPair.address(1)])
        #expect(pair.run(5) { pair.nodes.allSatisfy { $0.established() } })
        pair.command(.terminate(connection: "c"), 0)
        pair.run(1)
        pair.command(.initiate(connection: "c", child: nil), 0)
        #expect(pair.nodes[0].questions.count == 1, "the name may mean another address by now")
        answer(pair, [IKEPair.address(1)])
        #expect(pair.run(5) { pair.nodes.allSatisfy { $0.established() } })
    }

    /// IPv6 and IPv4 results, and the addresses beside the name, in their order; then a pause.
    @Test func allAddressesAreTriedInTurn() {
        let pair = pair([Self.dead])
        pair.command(.initiate(connection: "c", child: nil), 0)
        for _ in 0..<3 {
            answer(pair, [Self.dead6, IKEPair.address(1), Self.dead])
            if pair.run(60, until: { !pair.nodes[0].questions.isEmpty || pair.nodes[0].established() }),
                pair.nodes[0].established()
            {
                break
            }
        }
        #expect(targets(pair) == [Self.dead, Self.dead6, IKEPair.address(1)], "\(pair.story)")
        #expect(pair.nodes[0].established())
        #expect(pair.codes(0) == [.peerUnreachable, .peerUnreachable])
        // When it is lost, the address that worked is the first one.
        pair.command(.terminate(connection: "c"), 1)
        pair.run(1)
        pair.event(.acquire(connection: "c", child: "n"), 0)
        answer(pair, [Self.dead6, IKEPair.address(1), Self.dead])
        #expect(targets(pair).last == IKEPair.address(1))
    }

    @Test func aNameWithoutAddressIsAFailureThatSaysSo() throws {
        let pair = pair()
        pair.command(.initiate(connection: "c", child: nil), 0)
        answer(pair, [], failure: "Name or service not known")
        let report = try #require(pair.nodes[0].failures.first)
        #expect(report.code == .nameResolutionFailed && report.stage == .resolve)
        #expect(report.message == "cannot look up b.example (Name or service not known)")
        #expect(report.suggestion.contains("remote_addrs") && report.suggestion.contains("getent hosts b.example"))
        let status = pair.nodes[0].endpoint.status()[0]
        #expect(status.state == .failed && status.lastFailure == report)
    }

    /// The resolver is no part of the machine: should it never answer, the attempt ends all the same.
    @Test func silenceEndsTheAttempt() throws {
        let pair = pair()
        pair.command(.initiate(connection: "c", child: nil), 0)
        #expect(pair.run(11) { !pair.nodes[0].failures.isEmpty })
        #expect(pair.nodes[0].failures.first?.message == "cannot look up b.example (no answer within 10 s)")
        // The answer comes when nobody waits for it: nothing happens.
        answer(pair, [IKEPair.address(1)])
        pair.run(1)
        #expect(pair.nodes[0].sent.isEmpty)
    }

    /// A name server behind the tunnel: while it is away, what was known is tried.
    @Test func theAddressesKnownBeforeServeWhileTheNameCannotBeLookedUp() {
        let pair = pair()
        pair.command(.initiate(connection: "c", child: nil), 0)
        answer(pair, [IKEPair.address(1)])
        #expect(pair.run(5) { pair.nodes[0].established() })
        pair.command(.terminate(connection: "c"), 0)
        pair.run(1)
        pair.command(.initiate(connection: "c", child: nil), 0)
        answer(pair, [], failure: "Temporary failure in name resolution")
        #expect(pair.run(5) { pair.nodes.allSatisfy { $0.established() } }, "\(pair.story)")
    }

    @Test func takingTheConnectionDownForgetsTheQuestion() {
        let pair = pair()
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.command(.terminate(connection: "c"), 0)
        answer(pair, [IKEPair.address(1)])
        pair.run(60)
        #expect(pair.nodes[0].sent.isEmpty && pair.nodes[0].endpoint.status()[0].state == .down)
    }

    /// Its address cannot be known in advance: who it is, is all that counts.
    @Test func aPeerWithANameMayCallFromAnywhere() {
        let pair = pair()
        pair.command(.initiate(connection: "c", child: nil), 1)
        #expect(pair.run(5) { pair.nodes.allSatisfy { $0.established() } }, "\(pair.story)")
        #expect(pair.nodes[0].questions.isEmpty)
    }

    @Test func theCandidatesAreInTheOrderOfTheConfiguration() {
        var configuration = Sides.pair()[0][0]
        let (one, two, three) = (IKEPair.address(1), IKEPair.address(2), IKEPair.address(3))
        configuration.remoteAddresses = [one, two]
        configuration.remoteNames = [
            RemoteName("first", position: 0), RemoteName("between", position: 1), RemoteName("last", position: 9),
        ]
        var connection = Connection(id: ConnectionID(rawValue: 1), configuration: configuration)
        #expect(connection.remotes == [one, two])
        connection.resolved = ["first": [three], "between": [Self.dead, two], "last": [Self.dead6, three]]
        #expect(connection.remotes == [three, one, Self.dead, two, Self.dead6])
        connection.tried = [three, one]
        #expect(connection.nextRemote == Self.dead && connection.hasUntriedRemote)
        connection.tried = connection.remotes
        #expect(connection.nextRemote == three && !connection.hasUntriedRemote)
    }
}
