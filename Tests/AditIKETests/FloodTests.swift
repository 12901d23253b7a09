// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Testing

@testable import AditIKE

@Suite struct FloodTests {
    /// First messages of `count` machines that are configured as A, and could as well be forged in its name.
    private func firstMessages(_ count: Int, _ sides: [[ConnectionConfiguration]]) -> [[UInt8]] {
        (0..<count).compactMap { index in
            let pair = IKEPair(seed: 9000 + UInt64(index), [sides[0]])
            pair.command(.initiate(connection: "c", child: nil), 0)
            return pair.nodes[0].sent.first
        }
    }

    @Test("first messages in a peer's name do not shut it out: it is asked for a cookie (RFC 7296 §2.6)")
    func spoofedFirstMessages() {
        let sides = Sides.pair()
        let pair = IKEPair(seed: 810, sides)
        for bytes in firstMessages(60, sides) { pair.inject(bytes, to: 1, port: 500) }
        #expect(pair.nodes[1].endpoint.halfOpen.count == 8)
        #expect(pair.nodes[1].endpoint.counters[.cookieRequired] == 52)
        #expect(pair.connect(), "\(pair.story)")
    }

    @Test("whoever has not returned a cookie is sent no more than it sent", arguments: [16, 20, 32, 48, 64])
    func noAmplification(nonceLength: Int) throws {
        let sides = Sides.pair {
            let suites = [
                try? Proposal(parsing: "aes256gcm16-prfsha384-x25519", for: .ike, allowLegacy: false)
            ].compactMap { $0 }
            $0.proposals = suites
            $1.proposals = suites
        }
        let pair = IKEPair(seed: 813, sides)
        let first = try #require(firstMessages(1, sides).first)
        let message = try IKEMessage(parsing: first)
        let kept = message.payloads.compactMap { payload -> Payload? in
            switch payload {
            case .securityAssociation, .keyExchange: payload
            case .nonce: .nonce(NoncePayload([UInt8](repeating: 7, count: nonceLength)))
            default: nil
            }
        }
        let request = IKEMessage(header: message.header, payloads: kept).serialize()
        pair.inject(request, to: 1, port: 500)
        let answer = try #require(pair.nodes[1].sent.last)
        #expect(answer.count <= request.count)
        let cookie = try IKEMessage(parsing: answer).payloads.compactMap { payload -> NotifyPayload? in
            if case .notify(let notify) = payload, notify.type == .cookie { notify } else { nil }
        }
        #expect(cookie.isEmpty == (nonceLength >= 32) && cookie.isEmpty == (pair.nodes[1].endpoint.halfOpen.count == 1))
        guard let demanded = cookie.first else { return }
        pair.inject(
            IKEMessage(header: message.header, payloads: [.notify(demanded)] + kept).serialize(), to: 1, port: 500)
        #expect(pair.nodes[1].endpoint.halfOpen.count == 1)
        #expect(pair.nodes[1].sent.last.map { $0.count > request.count } == true)
    }

    @Test("garbage does not keep INVALID_KE_PAYLOAD nor another source's answers back")
    func answersUnderGarbage() throws {
        let sides = Sides.pair {
            $0.proposals = [
                try? Proposal(parsing: "aes128gcm16-prfsha256-ecp256-x25519", for: .ike, allowLegacy: false)
            ].compactMap { $0 }
            $1.proposals = [try? Proposal(parsing: "aes128gcm16-prfsha256-x25519", for: .ike, allowLegacy: false)]
                .compactMap { $0 }
        }
        let pair = IKEPair(seed: 811, sides)
        let header = IKEHeader(
            initiatorSPI: IKESPI(rawValue: 1), responderSPI: IKESPI(rawValue: 2), exchange: .informational,
            flags: .initiator, messageID: 5)
        let garbage = IKEMessage(header: header, payloads: []).serialize()
        for _ in 0..<100 { pair.inject(garbage, to: 1) }
        let sent = pair.nodes[1].sent.count
        #expect(sent == 20)
        let local = Endpoint(pair.nodes[1].address, port: 4500)
        let other = Endpoint(IKEPair.address(9), port: 4500)
        pair.event(.datagram(garbage, local: local, remote: other), 1)
        #expect(pair.nodes[1].sent.count == sent + 1)
        pair.command(.initiate(connection: "c", child: nil), 0)
        #expect(pair.run(0.5) { pair.nodes.allSatisfy { $0.established() } }, "\(pair.story)")
    }

    @Test("a refused IKE_AUTH stays counted as half open until it is forgotten")
    func refusedAuth() {
        let sides = Sides.pair {
            $1.authentication = .preSharedKey(SecretBytes(Array("other".utf8))); _ = $0
        }
        let pair = IKEPair(seed: 812, sides)
        pair.command(.initiate(connection: "c", child: nil), 0)
        #expect(pair.run(5) { !pair.codes(1).isEmpty })
        #expect(pair.nodes[1].endpoint.halfOpen.count == 1 && pair.nodes[1].endpoint.ikeSACount == 1)
        pair.run(11)
        #expect(pair.nodes[1].endpoint.halfOpen.count == 0 && pair.nodes[1].endpoint.ikeSACount == 0)
    }
}
