// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditWire
import Testing

@testable import AditIKE

/// RFC 7296 §2.23.
@Suite struct NATDetectionTests {
    private let local = Endpoint(IPAddress(v4: 0xc000_0201), port: 500)
    private let remote = Endpoint(IPAddress(v4: 0xc000_0202), port: 500)
    private let header = IKEHeader(
        initiatorSPI: IKESPI(rawValue: 0x46ec_b0e4_094e_d62d), responderSPI: .zero, exchange: .ikeSAInit,
        flags: .initiator, messageID: 0)

    /// The value that strongSwan logged for the same input.
    @Test func hashAsAPeerComputesIt() {
        let hash = NATDetection.hash(initiatorSPI: header.initiatorSPI, responderSPI: .zero, endpoint: remote)
        #expect(hash == hex("d8d321da1bb2ea612696540ea886d5538a2f1f2e"))
    }

    private func payloads(pretendNAT: Bool = false) -> [Payload] {
        // What the peer at `remote` sends to us at `local`.
        NATDetection.payloads(
            initiatorSPI: header.initiatorSPI, responderSPI: .zero, local: remote, remote: local, pretendNAT: pretendNAT
        )
    }

    @Test func withoutNAT() {
        let detection = NATDetection(header: header, payloads: payloads(), local: local, remote: remote)
        #expect(detection.supported && !detection.localBehindNAT && !detection.remoteBehindNAT)
    }

    @Test func behindEitherNAT() {
        let moved = Endpoint(remote.address, port: 1024)
        let far = NATDetection(header: header, payloads: payloads(), local: local, remote: moved)
        #expect(far.supported && !far.localBehindNAT && far.remoteBehindNAT)
        let inside = Endpoint(IPAddress(v4: 0x0a00_0001), port: 500)
        let near = NATDetection(header: header, payloads: payloads(), local: inside, remote: remote)
        #expect(near.supported && near.localBehindNAT && !near.remoteBehindNAT)
    }

    @Test func pretendedNATAndPeersWithoutSupport() {
        let pretended = NATDetection(header: header, payloads: payloads(pretendNAT: true), local: local, remote: remote)
        #expect(pretended.remoteBehindNAT && pretended.remotePretends && !pretended.localBehindNAT)
        for some in [[], Array(payloads().prefix(1)), Array(payloads().suffix(1))] {
            let none = NATDetection(header: header, payloads: some, local: local, remote: remote)
            #expect(!none.supported && !none.localBehindNAT && !none.remoteBehindNAT)
        }
    }

    @Test func whoPretendsCanBeTold() {
        func pretends(_ hash: [UInt8]) -> Bool {
            let all = [Payload.notify(NotifyPayload(.natDetectionSourceIP, data: hash))] + payloads().suffix(1)
            let detection = NATDetection(header: header, payloads: all, local: local, remote: remote)
            #expect(detection.remoteBehindNAT)
            return detection.remotePretends
        }
        func hash(_ endpoint: Endpoint) -> [UInt8] {
            NATDetection.hash(initiatorSPI: header.initiatorSPI, responderSPI: .zero, endpoint: endpoint)
        }
        #expect(pretends(hash(Endpoint(remote.address, port: 0))))
        #expect(!pretends(hash(Endpoint(IPAddress(v4: 0x0a00_0001), port: 500))))
        #expect(!pretends([UInt8](repeating: 7, count: 20)))
        let honest = NATDetection(header: header, payloads: payloads(), local: local, remote: remote)
        #expect(!honest.remotePretends)
    }

    @Test("a NAT that the peer pretends is shown as such, over rekeys, too", arguments: [true, false])
    func shown(encap: Bool) {
        let pair = IKEPair(
            seed: 860,
            Sides.pair {
                $0.encap = encap
                _ = $1
            }
        ).connected()
        let statuses = { pair.nodes.map { $0.endpoint.status()[0].ikeSA?.remoteFakesNAT } }
        #expect(statuses() == [true, encap])
        pair.command(.rekeyIKE(connection: "c"), 0)
        pair.run(5)
        #expect(statuses() == [true, encap])
    }

    @Test func oneOfSeveralSourcesIsEnough() {
        let extra = Payload.notify(NotifyPayload(.natDetectionSourceIP, data: Array(repeating: 0, count: 20)))
        let detection = NATDetection(header: header, payloads: [extra] + payloads(), local: local, remote: remote)
        #expect(!detection.remoteBehindNAT)
    }

    @Test(.enabled(if: SharedCaptures.available, "../shared is absent"))
    func recordedNAT() throws {
        let messages = try Conversation.load("nat-t-keepalive").messages
        let first = messages[0]
        let message = try IKEMessage(parsing: first.bytes)
        let detection = NATDetection(
            header: message.header, payloads: message.payloads, local: first.destination, remote: first.source)
        #expect(detection.supported && detection.remoteBehindNAT && !detection.localBehindNAT)
    }
}
