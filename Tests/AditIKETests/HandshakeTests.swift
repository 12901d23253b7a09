// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Testing

@testable import AditIKE

@Suite struct HandshakeTests {
    @Test("two machines agree on one child, keys and selectors (RFC 7296 §1.2)")
    func plain() {
        let pair = IKEPair(seed: 1, Sides.pair()).connected()
        #expect(pair.mirrored() == nil)
        #expect(pair.problems == [])
        let status = pair.nodes[0].endpoint.status()[0]
        #expect(status.ikeSA?.role == .initiator)
        #expect(status.ikeSA?.remoteID == .fqdn("b.example"))
        #expect(status.ikeSA?.local.port == 4500 && status.ikeSA?.remote.port == 4500)
        #expect(status.children.first?.esn == true)
        #expect(pair.reports(0) == ["connecting", "established", "childInstalled"])
        #expect(pair.reports(1) == ["connecting", "established", "childInstalled"])
    }

    @Test("the responder installs the child before it answers, and tells afterwards (effect order)")
    func effectOrder() {
        let pair = IKEPair(seed: 2, Sides.pair())
        pair.command(.initiate(connection: "c", child: nil), 0)
        #expect(pair.run(5) { pair.nodes[1].established() })
        let lines = pair.trace.filter { $0.contains(" B ") }
        let install = lines.firstIndex { $0.contains("installs") }
        let answer = lines.firstIndex { $0.contains("sends IKE_AUTH response") }
        let report = lines.firstIndex { $0.contains("reports established") }
        #expect(install ?? .max < answer ?? 0)
        #expect(answer ?? .max < report ?? 0)
    }

    @Test("a wrong pre-shared key is refused and told on both sides, and leaves nothing (RFC 7296 §2.21.2)")
    func wrongSecret() {
        let pair = IKEPair(
            seed: 3,
            Sides.pair {
                $0.authentication = .preSharedKey(SecretBytes(Array("another secret".utf8))); _ = $1
            })
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(120)
        #expect(pair.codes(0) == [.authenticationFailed])
        #expect(pair.codes(1) == [.authenticationFailed])
        #expect(pair.nodes[0].failures.first?.suggestion.contains("pre-shared keys differ") == true)
        #expect(pair.nodes.allSatisfy { $0.endpoint.ikeSACount == 0 && $0.endpoint.childSACount == 0 })
        #expect(pair.nodes[0].endpoint.status()[0].state == .failed)
        for failure in pair.nodes.flatMap(\.failures) { #expect(!"\(failure)".contains("another secret")) }
    }

    @Test("an initiator that cannot accept the responder says so, and both drop the IKE SA (RFC 7296 §2.21.2)")
    func wrongResponder() {
        // Without IDr in the request the responder does not know whom the initiator wants.
        let pair = IKEPair(
            seed: 4,
            Sides.pair {
                $0.remoteID = .fqdn("*.other.example"); _ = $1
            })
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(120)
        #expect(pair.codes(0) == [.invalidIdentity])
        #expect(pair.codes(1) == [.authenticationFailed])
        #expect(pair.nodes.allSatisfy { $0.endpoint.ikeSACount == 0 && $0.children.isEmpty })
        #expect(pair.problems == [])
    }

    @Test("a peer whose identity no connection takes is refused (RFC 7296 §2.21.2)")
    func wrongInitiator() {
        let pair = IKEPair(
            seed: 5,
            Sides.pair {
                $0.localID = .fqdn("stranger.example"); _ = $1
            })
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(120)
        #expect(pair.codes(0) == [.authenticationFailed])
        #expect(pair.codes(1) == [.invalidIdentity])
        let line = pair.nodes[1].failures.first?.comparison.first
        #expect(line?.ours == ["a.example"] && line?.theirs == ["stranger.example"])
    }

    @Test("no common IKE proposal: told on both sides with what each brought (RFC 7296 §2.21.1)")
    func noIKEProposal() throws {
        let ours = try Proposal(parsing: "aes256gcm16-prfsha384-ecp384", for: .ike, allowLegacy: false)
        let theirs = try Proposal(parsing: "aes128gcm16-prfsha256-x25519", for: .ike, allowLegacy: false)
        let pair = IKEPair(
            seed: 6,
            Sides.pair {
                $0.proposals = [ours]; $1.proposals = [theirs]
            })
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(30)
        #expect(pair.codes(0) == [.noProposalChosen])
        #expect(pair.codes(1).first == .noProposalChosen)
        #expect(pair.nodes[1].failures.first?.comparison.contains { $0.mismatch } == true)
        #expect(pair.nodes[0].failures.first?.stage == .ikeSAInit)
    }

    @Test(
        "both ends with 3DES, MD5 and MODP 1024, for IKE and for ESP",
        arguments: [
            ("3des-md5-modp1024", "3des-md5"), ("aes128-md5-modp2048", "aes128-md5"),
            ("3des-sha1-modp2048", "3des-sha1"),
        ])
    func legacy(_ ike: String, _ esp: String) throws {
        let (ike, esp) = (
            try Proposal(parsing: ike, for: .ike, allowLegacy: true),
            try Proposal(parsing: esp, for: .esp, allowLegacy: true)
        )
        let pair = IKEPair(
            seed: 41,
            Sides.pair {
                $0.proposals = [ike]; $1.proposals = [ike]
                $0.children[0].proposals = [esp]; $1.children[0].proposals = [esp]
                $0.allowLegacy = true; $1.allowLegacy = true
            })
        #expect(pair.connect())
        #expect(pair.nodes.allSatisfy { $0.established() && $0.children.count == 1 })
        #expect(pair.problems == [])
    }

    @Test("legacy algorithms find no taker without allow_legacy, who is told what it would take")
    func legacyIsRefused() throws {
        let weak = try Proposal(parsing: "3des-md5-modp1024", for: .ike, allowLegacy: true)
        for configured in [Proposal.defaultIKE, [weak]] {
            let pair = IKEPair(
                seed: 42,
                Sides.pair {
                    $0.proposals = [weak]; $1.proposals = configured
                    $0.allowLegacy = true
                })
            pair.command(.initiate(connection: "c", child: nil), 0)
            pair.run(30)
            #expect(pair.codes(0) == [.noProposalChosen])
            #expect(pair.codes(1).first == .noProposalChosen)
            let told = pair.nodes[1].failures.first
            #expect(told?.comparison.contains { $0.mismatch && $0.theirs == ["3des"] } == true)
            #expect(told?.suggestion.contains("allow_legacy = true") == true, "\(told?.suggestion ?? "")")
        }
    }

    @Test("a child without common proposal or selectors fails alone; the IKE SA stands (RFC 7296 §1.2)")
    func childFailures() throws {
        let esp = try Proposal(parsing: "chacha20poly1305", for: .esp, allowLegacy: false)
        let other = try Proposal(parsing: "aes256gcm16", for: .esp, allowLegacy: false)
        let proposals = IKEPair(
            seed: 7,
            Sides.pair {
                $0.children[0].proposals = [esp]; $1.children[0].proposals = [other]
            })
        proposals.command(.initiate(connection: "c", child: nil), 0)
        proposals.run(10)
        #expect(proposals.codes(0) == [.noProposalChosen] && proposals.codes(1) == [.noProposalChosen])
        #expect(proposals.nodes.allSatisfy { $0.established() && $0.children.isEmpty })
        let selectors = IKEPair(
            seed: 8,
            Sides.pair {
                $0.children[0].remoteSelectors = [Sides.selector("10.9.0.0/16")]
                _ = $1
            })
        selectors.command(.initiate(connection: "c", child: nil), 0)
        selectors.run(10)
        #expect(selectors.codes(0) == [.trafficSelectorsUnacceptable])
        #expect(selectors.codes(1) == [.trafficSelectorsUnacceptable])
        #expect(selectors.nodes.allSatisfy { $0.established() && $0.endpoint.childSACount == 0 })
    }

    @Test("selectors are narrowed to what both allow (RFC 7296 §2.9)")
    func narrowing() {
        let pair = IKEPair(
            seed: 9,
            Sides.pair {
                $0.children[0].remoteSelectors = [Sides.selector("0.0.0.0/0")]
                $1.children[0].remoteSelectors = [Sides.selector("10.1.2.0/24")]
            }
        ).connected()
        #expect(pair.mirrored() == nil)
        let child = pair.nodes[0].outbound("n")
        #expect(child?.localSelectors == [Sides.selector("10.1.2.0/24")])
        #expect(child?.remoteSelectors == [Sides.selector("10.2.0.0/16")])
    }

    @Test("INVALID_KE_PAYLOAD leads to the group that the responder wants (RFC 7296 §1.2, §2.7)")
    func invalidKE() throws {
        let both = try Proposal(parsing: "aes128gcm16-prfsha256-x25519-ecp256", for: .ike, allowLegacy: false)
        let one = try Proposal(parsing: "aes128gcm16-prfsha256-ecp256", for: .ike, allowLegacy: false)
        let pair = IKEPair(
            seed: 10,
            Sides.pair {
                $0.proposals = [both]; $1.proposals = [one]
            }
        ).connected()
        #expect(pair.nodes[0].endpoint.status()[0].ikeSA?.proposal == "aes128gcm16-prfsha256-ecp256")
        // Together with a cookie (RFC 7296 §2.6.1).
        var limits = IKELimits()
        limits.halfOpenBeforeCookie = 0
        let cookies = IKEPair(
            seed: 11,
            Sides.pair {
                $0.proposals = [both]; $1.proposals = [one]
            }, limits: limits)
        #expect(cookies.connect(), "\(cookies.story)")
    }

    @Test("cookies are demanded above the limit, without state (RFC 7296 §2.6)")
    func cookie() {
        var limits = IKELimits()
        limits.halfOpenBeforeCookie = 0
        let pair = IKEPair(seed: 12, Sides.pair(), limits: limits)
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(1) { pair.nodes[1].endpoint.counters[.cookieRequired] == 1 }
        #expect(pair.nodes[1].endpoint.ikeSACount == 0)
        #expect(pair.run(5) { pair.nodes.allSatisfy { $0.established() } }, "\(pair.story)")
        #expect(pair.nodes[1].endpoint.counters[.cookieRequired] == 1)
    }

    @Test("half-open IKE SAs are limited per source and in total, and expire")
    func halfOpenLimits() throws {
        var limits = IKELimits()
        limits.halfOpenPerSource = 3
        limits.halfOpenMaximum = 5
        let pair = IKEPair(
            seed: 13,
            Sides.pair {
                $1.remoteAddresses = []; _ = $0
            }, limits: limits)
        // First messages of other initiators, from two sources.
        for index in 0..<8 {
            let other = IKEPair(seed: 100 + UInt64(index), Sides.pair())
            other.command(.initiate(connection: "c", child: nil), 0)
            let first = try #require(other.nodes[0].sent.first)
            let source = Endpoint(IKEPair.address(index < 5 ? 20 : 21), port: 500)
            pair.event(.datagram(first, local: Endpoint(IKEPair.address(1), port: 500), remote: source), 1)
        }
        #expect(pair.nodes[1].endpoint.ikeSACount == 5)
        // The first source's own limit, and then room for the second one at its expense.
        #expect(pair.nodes[1].endpoint.counters[.limitReached] == 2)
        #expect(pair.nodes[1].endpoint.counters[.halfOpenDropped] == 1)
        #expect(pair.nodes[1].endpoint.halfOpen.count(from: IKEPair.address(21)) == 3)
        pair.run(31)
        #expect(pair.nodes[1].endpoint.ikeSACount == 0)
        #expect(pair.nodes[1].endpoint.nextDeadline == nil)
    }

    @Test("several connections on one listener are told apart by identity and secret")
    func severalConnections() {
        let sides = Sides.pair()
        var others: [ConnectionConfiguration] = (0..<5).map { index in
            var other = sides[1][0]
            other.name = "other\(index)"
            other.remoteAddresses = []
            other.remoteID = .fqdn("peer\(index).example")
            other.authentication = .preSharedKey(SecretBytes(Array("secret \(index)".utf8)))
            return other
        }
        var wanted = sides[1][0]
        wanted.remoteAddresses = []
        wanted.remoteID = .fqdn("A.example")
        others.insert(wanted, at: 3)
        let pair = IKEPair(seed: 14, [sides[0], others]).connected()
        #expect(pair.nodes[1].outbound("n")?.connection == "c")
        // Without identities the secret decides.
        let open = others.map { other in
            var other = other
            other.remoteID = nil
            return other
        }
        let bySecret = IKEPair(seed: 15, [sides[0], open])
        #expect(bySecret.connect(), "\(bySecret.story)")
        #expect(bySecret.nodes[1].outbound("n")?.connection == "c")
    }

    @Test("a large IKE_AUTH goes in fragments and comes together again (RFC 7383)")
    func fragmentation() {
        let many = (0..<100).map { Sides.selector("10.1.\($0).0/25") }
        let pair = IKEPair(
            seed: 16, network: Network(loss: 0.2, duplication: 0.3),
            Sides.pair {
                $0.children[0].localSelectors = many
                $1.children[0].remoteSelectors = many
            }
        ).connected()
        #expect(pair.nodes.allSatisfy { $0.sent.allSatisfy { $0.count <= 1228 } })
        #expect(pair.nodes[1].outbound("n")?.remoteSelectors.count == 100)
        let plain = IKEPair(
            seed: 17,
            Sides.pair {
                $0.children[0].localSelectors = many
                $1.children[0].remoteSelectors = many
                $1.fragmentation = false
            })
        #expect(plain.connect(), "\(plain.story)")
        #expect(plain.nodes[0].sent.contains { $0.count > 1228 })
    }

    @Test("several children: the first in IKE_AUTH, the others by CREATE_CHILD_SA, also without PFS")
    func severalChildren() throws {
        let plain = try Proposal(parsing: "aes128gcm16", for: .esp, allowLegacy: false)
        let pair = IKEPair(
            seed: 18,
            Sides.pair {
                for index in 1..<4 {
                    $0.children.append(Sides.child("n\(index)", "10.1.0.0/16", "10.2\(index).0.0/16"))
                    $1.children.append(Sides.child("n\(index)", "10.2\(index).0.0/16", "10.1.0.0/16"))
                }
                $0.children[3].proposals = [plain]
                $1.children[3].esn = false
            }
        ).connected(children: 4)
        #expect(pair.mirrored() == nil)
        #expect(pair.nodes[0].outbound("n3")?.esn == false)
    }
}
