// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditWire
import Testing

@testable import AditIKE

/// Several Child SAs of one configured child (RFC 7296 §2.9).
@Suite struct FurtherChildrenTests {
    /// A's trap is 10.1.0.0/16 to 10.2.0.0/16; B has two hosts of it, with other suites.
    private func narrowing(
        seed: UInt64, _ change: (inout ConnectionConfiguration, inout ConnectionConfiguration) -> Void = { _, _ in }
    ) -> IKEPair {
        IKEPair(
            seed: seed,
            Sides.pair {
                $0.children[0].startAction = .trap
                $0.children[0].proposals = ["aes128gcm16-x25519", "aes256gcm16-x25519"].map { Self.proposal($0) }
                $1.children = ["10.2.0.10/32", "10.2.0.20/32"].enumerated().map { index, host in
                    var child = Sides.child("h\(index)", host, "10.1.0.0/16")
                    child.proposals = [Self.proposal(index == 0 ? "aes128gcm16-x25519" : "aes256gcm16-x25519")]
                    child.startAction = .none
                    return child
                }
                change(&$0, &$1)
            })
    }

    private static func proposal(_ text: String) -> Proposal {
        do throws(ProposalSyntaxError) {
            return try Proposal(parsing: text, for: .esp, allowLegacy: false)
        } catch { preconditionFailure("\(text): \(error)") }
    }

    private static func packet(_ to: String, port: UInt16 = 80) -> FlowKey {
        FlowKey(
            source: IPAddress("10.1.0.5")!, destination: IPAddress(to)!, ipProtocol: 6, sourcePort: 40_000,
            destinationPort: port)
    }

    private func acquire(_ pair: IKEPair, _ to: String, port: UInt16 = 80) {
        pair.event(.acquire(connection: "c", child: "n", packet: Self.packet(to, port: port)), 0)
    }

    /// What node A sends to, and with which suite.
    private func reached(_ pair: IKEPair) -> Set<String> {
        Set(
            pair.nodes[0].children.values.filter(\.active).map {
                "\($0.sa.remoteSelectors.map(\.description).joined(separator: ",")) \($0.sa.suite)"
            })
    }

    private let both: Set<String> = [
        "10.2.0.10/32 \(CipherSuiteName.small)", "10.2.0.20/32 \(CipherSuiteName.large)",
    ]

    private enum CipherSuiteName {
        static let small = "\(FurtherChildrenTests.proposal("aes128gcm16").cipherSuite!)"
        static let large = "\(FurtherChildrenTests.proposal("aes256gcm16").cipherSuite!)"
    }

    @Test("two narrowings of one trap are two Child SAs with two suites; both live on over rekeys by either side")
    func twoNarrowings() {
        let pair = narrowing(seed: 1201)
        acquire(pair, "10.2.0.10")
        pair.run(5)
        #expect(pair.nodes[0].children.count == 1, "\(pair.story)")
        acquire(pair, "10.2.0.20")
        pair.run(5)
        #expect(reached(pair) == both, "\(pair.story)")
        #expect(pair.mirrored() == nil)
        // What is asked for is told as the configuration has it, without the packet.
        let status = pair.nodes[0].endpoint.status()[0].children
        #expect(status.map(\.name) == ["n", "n"] && status.allSatisfy(\.isNarrowed))
        #expect(status.allSatisfy { $0.askedRemoteSelectors == [Sides.selector("10.2.0.0/16")] })
        for node in [0, 1, 0] {
            let before = Set(pair.nodes[0].children.keys)
            pair.command(.rekeyChildren(connection: "c"), node)
            pair.run(30)
            #expect(reached(pair) == both && pair.nodes[0].children.count == 2, "\(pair.story)")
            #expect(before.isDisjoint(with: pair.nodes[0].children.keys))
            #expect(pair.mirrored() == nil)
        }
        pair.command(.rekeyIKE(connection: "c"), 0)
        pair.run(30)
        #expect(reached(pair) == both && pair.mirrored() == nil, "\(pair.story)")
        #expect(pair.problems == [])
        #expect(pair.nodes[0].failures.isEmpty && pair.nodes[1].failures.isEmpty)
    }

    @Test("packets that come while the first exchange is under way get their Child SAs one after the other")
    func atOnce() {
        let pair = narrowing(seed: 1202)
        acquire(pair, "10.2.0.20")
        acquire(pair, "10.2.0.10")
        acquire(pair, "10.2.0.10", port: 443)
        pair.run(5)
        #expect(reached(pair) == both && pair.nodes[0].children.count == 2, "\(pair.story)")
        #expect(pair.mirrored() == nil && pair.problems == [])
    }

    @Test("a packet that is let through by what is there asks for nothing")
    func covered() {
        let pair = narrowing(seed: 1203)
        acquire(pair, "10.2.0.10")
        pair.run(5)
        let sent = pair.nodes[0].sent.count
        acquire(pair, "10.2.0.10", port: 22)
        pair.event(.acquire(connection: "c", child: "n"), 0)
        pair.run(5)
        #expect(pair.nodes[0].sent.count == sent && pair.nodes[0].children.count == 1, "\(pair.story)")
    }

    @Test("what the peer has nothing for is asked for once a minute, told once, and leaves no Child SA behind")
    func nothingFurther() {
        let pair = narrowing(seed: 1204)
        acquire(pair, "10.2.0.10")
        pair.run(5)
        let exchanges = { pair.nodes[0].sent.count { $0[18] == ExchangeType.createChildSA.rawValue } }
        for _ in 0..<30 {
            acquire(pair, "10.2.0.99")
            pair.run(1)
        }
        #expect(exchanges() == 1, "\(pair.story)")
        #expect(pair.codes(0) == [.trafficSelectorsUnacceptable])
        #expect(pair.nodes.allSatisfy { $0.children.count == 1 } && pair.mirrored() == nil, "\(pair.story)")
        // Meanwhile the other host is reached.
        acquire(pair, "10.2.0.20")
        pair.run(5)
        #expect(reached(pair) == both)
        pair.run(60)
        acquire(pair, "10.2.0.99")
        pair.run(5)
        #expect(exchanges() == 3 && pair.nodes[0].established() && pair.problems == [])
        // A scan asks once a second at the most, and does not end the connection.
        let before = exchanges()
        for host in 100..<200 {
            acquire(pair, "10.2.0.\(host)")
            pair.run(0.1)
        }
        #expect((1...11).contains(exchanges() - before), "\(exchanges() - before)")
        #expect(reached(pair) == both && pair.mirrored() == nil)
    }

    @Test("both survive an authentication anew, by make before break", arguments: [1205, 1206, 1207] as [UInt64])
    func reauthentication(seed: UInt64) {
        let pair = narrowing(seed: seed) { ours, _ in ours.reauthTime = .seconds(60) }
        acquire(pair, "10.2.0.10")
        acquire(pair, "10.2.0.20")
        pair.run(5)
        let before = Set(pair.nodes[0].children.keys)
        // At every moment both hosts are reached.
        for _ in 0..<80 {
            pair.run(1)
            #expect(reached(pair).isSuperset(of: both), "\(pair.story)")
        }
        #expect(before.isDisjoint(with: pair.nodes[0].children.keys), "\(pair.story)")
        #expect(pair.nodes[0].children.values.filter(\.active).count == 2 && pair.problems == [])
        #expect(pair.nodes[0].failures.isEmpty)
    }

    @Test("a peer may open two narrowed Child SAs of one configured child: both live, rekeyed by either side")
    func asResponder() {
        let pair = narrowing(seed: 1208) { _, theirs in
            for index in theirs.children.indices { theirs.children[index].startAction = .start }
        }
        #expect(pair.run(20) { pair.nodes[0].children.count == 2 }, "\(pair.story)")
        #expect(reached(pair) == both)
        for node in 0..<2 {
            pair.command(.rekeyChildren(connection: "c"), node)
            pair.run(30)
            #expect(reached(pair) == both && pair.nodes[0].children.count == 2, "\(pair.story)")
        }
        #expect(pair.mirrored() == nil && pair.problems == [])
    }

    @Test("one that the peer deletes leaves the other, and comes back with its next packet")
    func oneDeleted() throws {
        let pair = narrowing(seed: 1209)
        acquire(pair, "10.2.0.10")
        acquire(pair, "10.2.0.20")
        pair.run(5)
        let second = try #require(pair.nodes[1].children.values.first { $0.sa.child == "h1" }?.sa.inboundSPI)
        pair.event(.installationFailed(inboundSPI: second, reason: "test"), 1)
        pair.run(5)
        #expect(pair.nodes[0].children.count == 1, "\(pair.story)")
        acquire(pair, "10.2.0.20")
        pair.run(5)
        #expect(reached(pair) == both && pair.mirrored() == nil, "\(pair.story)")
    }

    @Test("peers that take one pair of selectors are asked for that alone (per-pair, any-to-any)")
    func onePair() {
        for anyToAny in [true, false] {
            let pair = IKEPair(
                seed: 1210,
                Sides.pair {
                    $0.children[0].startAction = .trap
                    $0.children[0].anyToAny = anyToAny
                    $1.children[0].anyToAny = anyToAny
                    if !anyToAny { $0.children = $0.children.flatMap(\.perPair) }
                })
            acquire(pair, "10.2.0.10")
            pair.run(5)
            let offered = pair.nodes[0].endpoint.status()[0].children[0]
            #expect(offered.remoteSelectors == [Sides.selector(anyToAny ? "0.0.0.0/0" : "10.2.0.0/16")])
            #expect(pair.nodes[1].endpoint.status()[0].children[0].askedRemoteSelectors.count == 1)
        }
    }
}
