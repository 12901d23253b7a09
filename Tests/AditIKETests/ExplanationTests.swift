// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Testing

@testable import AditIKE

/// Every failure code, brought about, and that its explanation names what would cure it.
@Suite struct ExplanationTests {
    /// A failure: how the two sides differ, what happens, and what the report must say.
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let code: FailureReport.Code
        let stage: FailureReport.Stage
        /// Who is told: 0 the initiator, 1 the responder.
        var node = 0
        /// Configuration keys or commands that the suggestion names.
        let cures: [String]
        /// Words of the comparison: ours, theirs.
        var sides: (ours: String, theirs: String)?
        var limits = IKELimits()
        var change: @Sendable (inout ConnectionConfiguration, inout ConnectionConfiguration) -> Void = { _, _ in }
        /// What happens instead of bringing the connection up and waiting.
        var run: @Sendable (IKEPair) -> Void = ExplanationTests.bringUp

        var testDescription: String { name }
    }

    /// Codes that need more than two machines in memory, and where they are brought about.
    static let elsewhere: [FailureReport.Code: String] = [
        .certificateExpired: "AditPKITests/PathValidatorTests",
        .certificateUntrusted: "AditPKITests/PathValidatorTests",
        .nameResolutionFailed: "NameResolutionTests", .connectionDown: "UniquenessTests",
        .duplicatePeer: "UniquenessTests", .invalidSyntax: "BadInputTests",
        .unsupportedCriticalPayload: "BadInputTests",
    ]

    @Sendable static func bringUp(_ pair: IKEPair) {
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(90) { !pair.nodes[0].failures.isEmpty }
        pair.run(1)
    }

    /// The peer is gone as soon as it has heard `messages` messages.
    @Sendable static func silence(after messages: Int) -> @Sendable (IKEPair) -> Void {
        { pair in
            pair.command(.initiate(connection: "c", child: nil), 0)
            pair.run(5) { pair.nodes[0].sent.count >= messages }
            pair.nodes[1].isAlive = false
            pair.run(120) { !pair.nodes[0].failures.isEmpty }
        }
    }

    /// An answer to the first message that anybody could have sent, and nothing else.
    @Sendable static func refusal(_ notify: NotifyPayload) -> @Sendable (IKEPair) -> Void {
        { pair in
            pair.nodes[1].isAlive = false
            pair.command(.initiate(connection: "c", child: nil), 0)
            guard let bytes = pair.nodes[0].sent.first, let request = try? IKEMessage(parsing: bytes) else { return }
            let header = IKEHeader(
                initiatorSPI: request.header.initiatorSPI, responderSPI: .zero, exchange: .ikeSAInit, flags: .response,
                messageID: 0)
            pair.inject(IKEMessage(header: header, payloads: [.notify(notify)]).serialize(), to: 0, port: 500)
            pair.run(90) { !pair.nodes[0].failures.isEmpty }
        }
    }

    static func proposal(_ text: String, _ kind: SecurityProtocol) -> [Proposal] {
        (try? Proposal(parsing: text, for: kind, allowLegacy: false)).map { [$0] } ?? []
    }

    static let cases: [Case] = [
        Case(name: "PSK, initiator", code: .authenticationFailed, stage: .ikeAuth, cures: ["psk"]) {
            $1.authentication = .preSharedKey(SecretBytes(Array("another".utf8))); _ = $0
        },
        Case(name: "PSK, responder", code: .authenticationFailed, stage: .ikeAuth, node: 1, cures: ["psk"]) {
            $1.authentication = .preSharedKey(SecretBytes(Array("another".utf8))); _ = $0
        },
        Case(name: "IKE proposals, initiator", code: .noProposalChosen, stage: .ikeSAInit, cures: ["proposals"]) {
            $0.proposals = proposal("aes256gcm16-prfsha384-ecp384", .ike)
            $1.proposals = proposal("aes128gcm16-prfsha256-x25519", .ike)
        },
        Case(
            name: "IKE proposals, responder", code: .noProposalChosen, stage: .ikeSAInit, node: 1,
            cures: ["proposals", "ecp384"], sides: ("x25519", "ecp384")
        ) {
            $0.proposals = proposal("aes128gcm16-prfsha256-ecp384", .ike)
            $1.proposals = proposal("aes128gcm16-prfsha256-x25519", .ike)
        },
        Case(name: "ESP proposals, initiator", code: .noProposalChosen, stage: .ikeAuth, cures: ["esp_proposals"]) {
            $0.children[0].proposals = proposal("aes256gcm16", .esp)
            $1.children[0].proposals = proposal("aes128gcm16", .esp)
        },
        Case(
            name: "ESP proposals, responder", code: .noProposalChosen, stage: .ikeAuth, node: 1,
            cures: ["esp_proposals", "aes256gcm16"], sides: ("aes128gcm16", "aes256gcm16")
        ) {
            $0.children[0].proposals = proposal("aes256gcm16", .esp)
            $1.children[0].proposals = proposal("aes128gcm16", .esp)
        },
        Case(
            name: "selectors, initiator", code: .trafficSelectorsUnacceptable, stage: .ikeAuth,
            cures: ["local_ts", "remote_ts"]
        ) {
            $0.children[0].remoteSelectors = [Sides.selector("10.9.0.0/16")]; _ = $1
        },
        Case(
            name: "selectors, responder", code: .trafficSelectorsUnacceptable, stage: .ikeAuth, node: 1,
            cures: ["local_ts"], sides: ("10.2.0.0/16", "10.9.0.0/16")
        ) {
            $0.children[0].remoteSelectors = [Sides.selector("10.9.0.0/16")]; _ = $1
        },
        Case(
            name: "the responder is another", code: .invalidIdentity, stage: .ikeAuth, node: 1,
            cures: ["Set local_id = \"hq.example\"", "remote_id"], sides: ("b.example", "hq.example")
        ) {
            $0.remoteID = .fqdn("hq.example")
            _ = $1
        },
        Case(
            name: "the initiator is another", code: .invalidIdentity, stage: .ikeAuth, node: 1, cures: ["remote_id"],
            sides: ("a.example", "stranger.example")
        ) {
            $0.localID = .fqdn("stranger.example"); _ = $1
        },
        Case(
            name: "nobody answers", code: .peerUnreachable, stage: .ikeSAInit, cures: ["remote_addrs", "500", "4500"],
            run: silence(after: 0)),
        Case(
            name: "IKE_AUTH is not answered", code: .timeout, stage: .ikeAuth, cures: ["4500"], run: silence(after: 2)),
        Case(
            name: "a cookie in vain", code: .cookieRequired, stage: .ikeSAInit, cures: ["adit up", "local_addrs"],
            run: refusal(NotifyPayload(.cookie, data: [1, 2, 3]))),
        Case(
            name: "another group is wanted", code: .invalidKeyExchange, stage: .ikeSAInit, cures: ["proposals"],
            run: refusal(NotifyPayload(.invalidKEPayload, data: [0, 2]))),
        Case(
            name: "a notification", code: .peerNotify, stage: .ikeSAInit, cures: ["log"],
            run: refusal(NotifyPayload(.invalidSyntax))),
        Case(
            name: "the peer dies", code: .deadPeer, stage: .informational, cures: ["dpd_delay", "dpd_action"],
            run: { pair in
                #expect(pair.connect())
                pair.nodes[1].isAlive = false
                pair.run(200) { !pair.nodes[0].failures.isEmpty }
            }),
        Case(
            name: "no connection for the address", code: .noMatchingConnection, stage: .ikeSAInit, node: 1,
            cures: ["remote_addrs", "%any"]
        ) {
            $1.remoteAddresses = [IKEPair.address(7)]; _ = $0
        },
        Case(
            name: "the peer begins with a child, and must not", code: .childlessRequired, stage: .ikeAuth, node: 1,
            cures: ["childless"]
        ) {
            $1.childless = .force; _ = $0
        },
        Case(
            name: "our own limit", code: .limitReached, stage: .ikeSAInit, cures: ["connections"],
            limits: {
                var limits = IKELimits(); limits.ikeSAMaximum = 0; return limits
            }()),
        Case(name: "no algorithm", code: .cryptographicFailure, stage: .ikeSAInit, cures: ["proposals", "OpenSSL"]) {
            $0.proposals = []; _ = $1
        },
        Case(
            name: "taken down", code: .cancelled, stage: .ikeSAInit, cures: ["adit up c"],
            run: { pair in
                pair.nodes[1].isAlive = false
                pair.command(.initiate(connection: "c", child: nil), 0)
                pair.command(.terminate(connection: "c"), 0)
            }),
    ]

    @Test(arguments: cases) func namesItsCure(_ example: Case) throws {
        let pair = IKEPair(seed: 77, Sides.pair(example.change), limits: example.limits)
        example.run(pair)
        let report = try #require(
            pair.nodes[example.node].failures.first, "no failure\n\(pair.story)")
        #expect(report.code == example.code && report.stage == example.stage, "\(report)")
        #expect(!report.message.isEmpty && !report.message.contains("another") || example.code != .authenticationFailed)
        for cure in example.cures {
            #expect(report.suggestion.contains(cure), "\(cure) is not named: \(report.suggestion)")
        }
        if let sides = example.sides {
            let line = report.comparison.first { $0.mismatch }
            #expect(line?.ours.contains(sides.ours) == true && line?.theirs.contains(sides.theirs) == true, "\(report)")
        }
        // The status tells the same as the report, unless the peer belongs to no connection.
        if report.connection != nil {
            #expect(pair.nodes[example.node].endpoint.status()[0].lastFailure?.code == report.code)
        }
    }

    /// A code that nobody brings about would be a promise without a test.
    @Test func everyCodeIsBroughtAbout() {
        let here = Set(Self.cases.map(\.code))
        #expect(here.isDisjoint(with: Self.elsewhere.keys))
        #expect(here.union(Self.elsewhere.keys) == Set(FailureReport.Code.allCases))
    }
}
