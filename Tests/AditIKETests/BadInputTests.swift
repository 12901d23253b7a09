// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Simulation
import Testing

@testable import AditIKE

@Suite struct BadInputTests {
    private func connected(_ seed: UInt64) -> IKEPair {
        let pair = IKEPair(seed: seed, Sides.pair()).connected()
        return pair
    }

    @Test("a retransmitted request gets the byte-identical answer and changes nothing (RFC 7296 §2.1)")
    func answerCache() throws {
        let pair = connected(50)
        let request = try #require(pair.forge(0, .informational, []))
        pair.inject(request, to: 1)
        let answer = try #require(pair.nodes[1].sent.last)
        for _ in 0..<3 { pair.inject(request, to: 1) }
        #expect(pair.nodes[1].sent.suffix(4).allSatisfy { $0 == answer })
        #expect(pair.nodes[1].endpoint.counters[.retransmission] == 3)
        // The IKE_SA_INIT before it is long past: ignored.
        let count = pair.nodes[1].sent.count
        pair.inject(pair.nodes[0].sent[0], to: 1, port: 500)
        #expect(pair.nodes[1].sent.count == count && pair.nodes[1].endpoint.ikeSACount == 1)
    }

    @Test("a repeated first message gets the same response while half open (RFC 7296 §2.1)")
    func repeatedInit() throws {
        let pair = IKEPair(seed: 51, Sides.pair())
        pair.command(.initiate(connection: "c", child: nil), 0)
        let first = try #require(pair.nodes[0].sent.first)
        for _ in 0..<3 { pair.inject(first, to: 1, port: 500) }
        #expect(Set(pair.nodes[1].sent).count == 1 && pair.nodes[1].sent.count == 3)
        #expect(pair.nodes[1].endpoint.ikeSACount == 1)
    }

    @Test("an unknown critical payload is refused by name; the IKE SA stands (RFC 7296 §2.5)")
    func criticalPayload() throws {
        let pair = connected(52)
        let payload = Payload.unknown(UnknownPayload(type: PayloadType(rawValue: 200), critical: true, bytes: [1]))
        pair.inject(try #require(pair.forge(0, .informational, [payload])), to: 1)
        let sa = try #require(pair.nodes[0].endpoint.ikeSAs.spis.first.flatMap { pair.nodes[0].endpoint.ikeSAs[$0] })
        let opened = try #require(sa.keying?.opener).open(try #require(pair.nodes[1].sent.last))
        #expect(opened.content == .payloads([.notify(NotifyPayload(.unsupportedCriticalPayload, data: [200]))]))
        #expect(pair.nodes[1].established())
        // Not critical: skipped.
        let harmless = connected(53)
        let other = Payload.unknown(UnknownPayload(type: PayloadType(rawValue: 200), critical: false, bytes: [1]))
        harmless.inject(try #require(harmless.forge(0, .informational, [other])), to: 1)
        #expect(harmless.nodes[1].established())
    }

    @Test("a malformed authenticated request is INVALID_SYNTAX and ends the IKE SA (RFC 7296 §2.21.3)")
    func invalidSyntax() throws {
        let pair = connected(54)
        // CREATE_CHILD_SA without any payload.
        pair.inject(try #require(pair.forge(0, .createChildSA, [])), to: 1)
        #expect(pair.nodes[1].children.isEmpty)
        #expect(pair.codes(1) == [.invalidSyntax])
        // A payload whose content is malformed: a nonce of 300 bytes.
        let other = connected(55)
        let payload = Payload.unknown(
            UnknownPayload(type: .nonce, critical: false, bytes: Array(repeating: 0, count: 300)))
        other.inject(try #require(other.forge(0, .informational, [payload])), to: 1)
        #expect(other.nodes[1].children.isEmpty && other.codes(1) == [.invalidSyntax])
        #expect(other.nodes[1].endpoint.counters[.invalidSyntax] == 1)
    }

    @Test("unauthenticated and replayed messages change nothing and are counted")
    func ignored() throws {
        let pair = connected(56)
        let before = pair.nodes[1].sent.count
        var damaged = try #require(pair.forge(0, .informational, [.delete(.ikeSA)]))
        damaged[damaged.count - 1] ^= 1
        pair.inject(damaged, to: 1)
        #expect(pair.nodes[1].endpoint.counters[.unauthenticated] == 1)
        // An old request: outside the window.
        pair.inject(try #require(pair.nodes[0].sent.first { $0[18] == 35 }), to: 1)
        pair.inject([], to: 1)
        pair.inject(Array(repeating: 0, count: 28), to: 1)
        pair.inject(Array(damaged.prefix(40)), to: 1)
        #expect(pair.nodes[1].endpoint.counters[.malformed] == 3)
        #expect(pair.nodes[1].established())
        // Only the retransmitted IKE_AUTH was answered, with the same answer.
        #expect(pair.nodes[1].sent.count <= before + 1)
    }

    @Test(
        "unknown SPIs and versions: one short answer to a request, none to a response, rate-limited (RFC 7296 §2.21.4)"
    )
    func outsideAnyIKESA() throws {
        let pair = IKEPair(seed: 57, Sides.pair())
        func message(_ flags: IKEHeader.Flags, major: UInt8 = 2) -> [UInt8] {
            var header = IKEHeader(
                initiatorSPI: IKESPI(rawValue: 1), responderSPI: IKESPI(rawValue: 2), exchange: .informational,
                flags: flags, messageID: 5)
            header.majorVersion = major
            return IKEMessage(header: header, payloads: []).serialize()
        }
        pair.inject(message(.initiator), to: 1)
        let answer = try IKEMessage(parsing: try #require(pair.nodes[1].sent.last))
        #expect(answer.payloads == [.notify(NotifyPayload(.invalidIKESPI))])
        #expect(answer.header.messageID == 5 && answer.header.isResponse)
        #expect(answer.header.initiatorSPI.rawValue == 1 && answer.header.responderSPI.rawValue == 2)
        pair.inject(message([.initiator, .response]), to: 1)
        #expect(pair.nodes[1].sent.count == 1)
        pair.inject(message(.initiator, major: 3), to: 1)
        let version = try IKEMessage(parsing: try #require(pair.nodes[1].sent.last))
        #expect(version.payloads == [.notify(NotifyPayload(.invalidMajorVersion))])
        pair.inject(message(.initiator, major: 1), to: 1)
        #expect(pair.nodes[1].sent.count == 2)
        for _ in 0..<500 { pair.inject(message(.initiator), to: 1) }
        #expect(pair.nodes[1].sent.count <= 22)
        #expect(pair.nodes[1].endpoint.counters[.rateLimited] > 400)
    }

    @Test("an unprotected INVALID_IKE_SPI is a hint: a liveness check, nothing more (RFC 7296 §2.21.4)")
    func unprotectedHint() throws {
        let pair = connected(58)
        let status = try #require(pair.nodes[0].endpoint.status()[0].ikeSA)
        let header = IKEHeader(
            initiatorSPI: IKESPI(rawValue: status.initiatorSPI), responderSPI: IKESPI(rawValue: status.responderSPI),
            exchange: .informational, flags: .response, messageID: 9)
        let count = pair.nodes[0].sent.count
        for _ in 0..<100 {
            pair.inject(
                IKEMessage(header: header, payloads: [.notify(NotifyPayload(.invalidIKESPI))]).serialize(), to: 0)
        }
        #expect(pair.nodes[0].sent.count == count + 1)
        pair.run(10)
        #expect(pair.nodes.allSatisfy { $0.established() })
    }

    @Test("an unauthenticated refusal of IKE_SA_INIT is not believed when a good answer follows (RFC 7296 §2.21.1)")
    func forgedRefusal() throws {
        let pair = IKEPair(seed: 59, Sides.pair())
        pair.command(.initiate(connection: "c", child: nil), 0)
        var reader = ByteReader(try #require(pair.nodes[0].sent.first))
        let request = try IKEHeader(parsing: &reader)
        let header = IKEHeader(
            initiatorSPI: request.initiatorSPI, responderSPI: .zero, exchange: .ikeSAInit, flags: .response,
            messageID: 0)
        for type in [NotifyType.noProposalChosen, .authenticationFailed, .invalidSyntax] {
            let forged = IKEMessage(header: header, payloads: [.notify(NotifyPayload(type))])
            pair.inject(forged.serialize(), to: 0, port: 500)
        }
        #expect(pair.run(5) { pair.nodes.allSatisfy { $0.established() } })
        #expect(pair.codes(0).isEmpty)
    }

    @Test("an address that no connection has gets NO_PROPOSAL_CHOSEN and a report")
    func noConnection() throws {
        let pair = IKEPair(
            seed: 60,
            Sides.pair {
                $1.remoteAddresses = [IKEPair.address(7)]; _ = $0
            })
        pair.command(.initiate(connection: "c", child: nil), 0)
        pair.run(10)
        #expect(pair.codes(1).first == .noMatchingConnection)
        #expect(pair.nodes[1].failures.first?.connection == nil)
        #expect(pair.nodes[1].endpoint.counters[.noConnection] > 0)
        #expect(pair.codes(0) == [.noProposalChosen])
    }

    @Test("random and mutated datagrams never trap, hang or grow a machine", arguments: 0..<4)
    func mutations(part: UInt64) {
        for seed in part * 25..<part * 25 + 25 {
            var random = SplitMix(seed)
            let pair = IKEPair(seed: 600 + seed, network: Network(delay: 1...5), Sides.pair())
            pair.traced = false
            pair.command(.initiate(connection: "c", child: nil), 0)
            for _ in 0..<60 {
                pair.run(0.002)
                for node in 0..<2 {
                    guard let base = pair.nodes[1 - node].sent.randomElement(using: &random) else { continue }
                    pair.inject(Self.mutate(base, &random), to: node, port: random.chance(0.5) ? 500 : 4500)
                }
            }
            #expect(pair.nodes.allSatisfy { $0.endpoint.ikeSACount < 100 })
            // A forged IKE_SA_INIT may spoil one attempt, never the machine.
            pair.run(120)
            pair.command(.initiate(connection: "c", child: nil), 0)
            #expect(pair.run(60) { pair.nodes.allSatisfy { $0.established() } })
            #expect(pair.problems == [])
        }
    }

    private static func mutate(_ bytes: [UInt8], _ random: inout SplitMix) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<(1 + random.next() % 4) {
            guard !bytes.isEmpty else { return bytes }
            let place = Int(random.next() % UInt64(bytes.count))
            switch random.next() % 5 {
            case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
            case 1: bytes.removeSubrange(place...)
            case 2: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
            case 3: bytes += bytes[place...]
            default: bytes[place] ^= 1 << UInt8(random.next() % 8)
            }
        }
        // A right length lets more of them past the header.
        if random.chance(0.7), bytes.count >= 28 {
            for index in 0..<4 { bytes[24 + index] = UInt8(truncatingIfNeeded: bytes.count >> (24 - 8 * index)) }
        }
        return bytes
    }
}
