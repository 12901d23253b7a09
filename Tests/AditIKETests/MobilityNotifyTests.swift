// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Simulation
import Testing

@testable import AditIKE

/// The notifications of MOBIKE, good and bad (RFC 4555 §3.5 to §3.9, §4).
@Suite struct MobilityNotifyTests {
    private typealias Both = MobilityTests

    private func notify(_ type: NotifyType, _ data: [UInt8] = []) -> Payload {
        .notify(NotifyPayload(type, data: data))
    }

    /// Sends a request of `from` to the other node; the payloads of the answer.
    private func ask(
        _ pair: IKEPair, _ payloads: [Payload], from: Int = 0, local: Endpoint? = nil, remote: Endpoint? = nil
    ) -> [Payload]? {
        guard let request = pair.forge(from, .informational, payloads) else { return nil }
        let to = 1 - from
        let before = pair.nodes[to].sent.count
        pair.event(
            .datagram(
                request, local: local ?? Endpoint(pair.nodes[to].address, port: 4500),
                remote: remote ?? Endpoint(pair.nodes[from].address, port: 4500)), to)
        let endpoint = pair.nodes[from].endpoint
        guard pair.nodes[to].sent.count > before, let spi = endpoint.ikeSAs.spis.last,
            let opened = try? endpoint.ikeSAs[spi]?.keying?.opener.open(pair.nodes[to].sent[before]),
            case .payloads(let payloads) = opened.content
        else { return nil }
        return payloads
    }

    /// Hands the peer's answer to the outstanding request of node 0 to it.
    private func respond(_ pair: IKEPair, _ payloads: [Payload]) {
        let endpoint = pair.nodes[1].endpoint
        guard let spi = endpoint.ikeSAs.spis.last, let sa = endpoint.ikeSAs[spi], let keying = sa.keying,
            let ours = pair.nodes[0].endpoint.ikeSAs.spis.last,
            let id = pair.nodes[0].endpoint.ikeSAs[ours]?.window.outstanding?.id,
            let path = pair.nodes[0].endpoint.ikeSAs[ours]?.path,
            let bytes = keying.sealer.seal(endpoint.header(.informational, response: true, id: id, sa), payloads)
        else { return }
        pair.event(.datagram(bytes, local: path.local, remote: path.remote), 0)
    }

    private func newest(_ pair: IKEPair, _ node: Int) -> IKESA? {
        pair.nodes[node].endpoint.ikeSAs.spis.last.flatMap { pair.nodes[node].endpoint.ikeSAs[$0] }
    }

    private func mobility(_ pair: IKEPair, _ node: Int) -> Mobility? {
        pair.nodes[node].endpoint.ikeSAs.spis.last.flatMap { pair.nodes[node].endpoint.ikeSAs[$0]?.mobility }
    }

    private func remote(_ pair: IKEPair, _ node: Int) -> Endpoint? {
        pair.nodes[node].endpoint.status()[0].ikeSA?.remote
    }

    @Test("addresses of wrong lengths and kinds are as if not there; more than the limit are left out (§4.2.2)")
    func listsOfAddresses() {
        let contents = { (payloads: [Payload]) in PayloadContents(payloads).additionalAddresses }
        #expect(contents([]) == nil)
        #expect(contents([notify(.noAdditionalAddresses)]) == [])
        let good = Array(repeating: UInt8(0), count: 12) + [0, 0, 0, 9]
        let bad: [Payload] = [
            notify(.additionalIPv4Address), notify(.additionalIPv4Address, [1, 2, 3]),
            notify(.additionalIPv4Address, [1, 2, 3, 4, 5]), notify(.additionalIPv4Address, good),
            notify(.additionalIPv4Address, [224, 0, 0, 1]), notify(.additionalIPv4Address, [0, 0, 0, 0]),
            notify(.additionalIPv4Address, [127, 0, 0, 1]), notify(.additionalIPv4Address, [255, 255, 255, 255]),
            notify(.additionalIPv6Address, [192, 0, 2, 1]), notify(.additionalIPv6Address, Array(good.dropLast())),
            notify(.additionalIPv6Address, [0xff] + good.dropFirst()),
            notify(.additionalIPv6Address, Array(good.dropLast()) + [1]),
        ]
        for payload in bad { #expect(contents([payload]) == []) }
        #expect(contents(bad + [notify(.additionalIPv6Address, good)])?.count == 1)
        let twice = notify(.additionalIPv4Address, [192, 0, 2, 77])
        #expect(contents([twice, twice]) == [IPAddress(v4: 0xc000_024d)])
        let many = (0..<200).map { notify(.additionalIPv4Address, [10, 9, 8, UInt8($0)]) }
        for count in [Mobility.peerAddressLimit - 1, Mobility.peerAddressLimit, Mobility.peerAddressLimit + 1, 200] {
            #expect(contents(Array(many.prefix(count)))?.count == min(count, Mobility.peerAddressLimit))
        }
    }

    @Test("any contents: no trap, never more than the limits")
    func randomNotifies() {
        var random = SplitMix(77)
        for _ in 0..<2000 {
            let payloads = (0..<Int(random.next() % 40)).map { _ in
                let data = (0..<Int(random.next() % 70)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                return notify(NotifyType(rawValue: 16396 + UInt16(random.next() % 7)), data)
            }
            let contents = PayloadContents(payloads)
            #expect((contents.additionalAddresses?.count ?? 0) <= Mobility.peerAddressLimit)
            #expect((8...64).contains(contents.routabilityCookie?.count ?? 8))
            _ = contents.isTranslated(local: Endpoint(Both.a1, port: 1), remote: Endpoint(Both.b1, port: 2))
        }
    }

    @Test("what is written is what is read")
    func roundTrips() {
        let addresses = [MobilityTests.a1, IPAddress(v6High: 0x2001_0db8_0000_0000, low: 7)]
        #expect(
            PayloadContents(MobilityNotifies.addresses(addresses, complete: true)).additionalAddresses == addresses)
        #expect(PayloadContents(MobilityNotifies.addresses([], complete: true)).additionalAddresses == [])
        #expect(MobilityNotifies.addresses([], complete: false).isEmpty)
        for address in addresses {
            let path = Path(local: Endpoint(address, port: 4500), remote: Endpoint(address, port: 61_234))
            let contents = PayloadContents([MobilityNotifies.noNATs(path)])
            // RFC 4555 §4.2.6: 12 or 36 octets.
            #expect(contents.notify(.noNATsAllowed)?.data.count == 2 * address.bytes.count + 4)
            #expect(!contents.isTranslated(local: path.remote, remote: path.local))
            #expect(contents.isTranslated(local: path.local, remote: path.remote))
        }
    }

    @Test("COOKIE2 of 8 to 64 octets comes back as it was, other lengths do not (§4.2.5)")
    func cookies() {
        let pair = Both.pair(700).connected()
        for (length, comesBack) in [(0, false), (7, false), (8, true), (64, true), (65, false), (200, false)] {
            let cookie = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
            for node in [0, 1] {
                let answer = ask(pair, [notify(.cookie2, cookie)], from: node)
                #expect(answer == (comesBack ? [notify(.cookie2, cookie)] : []))
                // The forged request used a Message ID that its machine does not know of.
                #expect(answer != nil)
                skip(pair, node)
            }
        }
    }

    /// Counts a request that was forged as sent and answered.
    private func skip(_ pair: IKEPair, _ node: Int) {
        guard let spi = pair.nodes[node].endpoint.ikeSAs.spis.last else { return }
        pair.nodes[node].endpoint.withIKESA(spi) { _, sa in
            sa.window.send([], wait: .zero)
            sa.window.settle()
        }
    }

    @Test("without MOBIKE its notifications mean nothing")
    func notNegotiated() {
        let pair = Both.pair(701) {
            $0.mobike = false; _ = $1
        }
        #expect(pair.connect())
        let before = remote(pair, 1)
        let payloads = [
            notify(.updateSAAddresses), notify(.cookie2, Array(repeating: 1, count: 16)),
            notify(.noNATsAllowed, [1]), notify(.noAdditionalAddresses),
        ]
        #expect(ask(pair, payloads, from: 0) == [])
        #expect(remote(pair, 1) == before)
    }

    @Test("only the side that began may move the SAs (§2.1)")
    func updateOfTheResponder() {
        let pair = Both.pair(702).connected()
        let before = remote(pair, 0)
        let answer = ask(
            pair, [notify(.updateSAAddresses)], from: 1, remote: Endpoint(IKEPair.address(30), port: 4500))
        #expect(answer == [])
        #expect(remote(pair, 0) == before)
    }

    @Test("an address that is not to be used is refused (§3.5)")
    func unacceptableAddresses() {
        let pair = Both.pair(703, second: [Both.b1, Both.b2]) {
            $1.localAddresses = [Both.b1]; _ = $0
        }
        #expect(pair.connect())
        let before = remote(pair, 1)
        let cookie = notify(.cookie2, Array(repeating: 7, count: 8))
        let elsewhere = ask(
            pair, [notify(.updateSAAddresses), cookie], local: Endpoint(Both.b2, port: 4500))
        #expect(elsewhere == [notify(.unacceptableAddresses), cookie])
        skip(pair, 0)
        let group = Endpoint(IPAddress(v4: 0xe000_0001), port: 4500)
        #expect(ask(pair, [notify(.updateSAAddresses)], remote: group) == [notify(.unacceptableAddresses)])
        #expect(remote(pair, 1) == before && mobility(pair, 1)?.isUnverified == false)
    }

    @Test("addresses changed on their way where no NAT is allowed: refused and nothing else (§3.9)")
    func unexpectedNAT() {
        let pair = Both.pair(704).connected()
        let before = remote(pair, 1)
        let moved = Endpoint(Both.a2, port: 4500)
        let told = MobilityNotifies.noNATs(
            Path(local: Endpoint(Both.a1, port: 4500), remote: Endpoint(Both.b1, port: 4500)))
        for type in [NotifyType.updateSAAddresses, .noAdditionalAddresses] {
            #expect(ask(pair, [notify(type), told], remote: moved) == [notify(.unexpectedNATDetected)])
            skip(pair, 0)
        }
        #expect(remote(pair, 1) == before)
        for length in [0, 11, 13, 35, 36, 37] {
            let malformed = notify(.noNATsAllowed, Array(repeating: 0, count: length))
            #expect(ask(pair, [notify(.updateSAAddresses), malformed]) == [notify(.unexpectedNATDetected)])
            skip(pair, 0)
        }
        // In a message that changes nothing it is not looked at.
        #expect(ask(pair, [told], remote: moved) == [])
        skip(pair, 0)
        #expect(ask(pair, [notify(.updateSAAddresses), told]) == [])
    }

    @Test("IKE_AUTH over a translated path where no NAT is allowed: refused by the responder, without an SA (§3.9)")
    func unexpectedNATWithAuthentication() throws {
        let pair = Both.pair(709)
        pair.command(.initiate(connection: "c", child: nil), 0)
        #expect(pair.run(5) { pair.nodes[0].sent.last?[18] == ExchangeType.ikeAuth.rawValue })
        let (ours, theirs) = (newest(pair, 0), newest(pair, 1))
        let question = try #require(pair.nodes[0].sent.last)
        guard let ours, let keying = ours.keying, let opened = try theirs?.keying?.opener.open(question),
            case .payloads(let payloads) = opened.content
        else {
            Issue.record("the request cannot be opened")
            return
        }
        let told = MobilityNotifies.noNATs(
            Path(local: Endpoint(Both.a1, port: 4500), remote: Endpoint(Both.b1, port: 4500)))
        let header = pair.nodes[0].endpoint.header(.ikeAuth, response: false, id: 1, ours)
        let request = try #require(keying.sealer.seal(header, payloads + [told]))
        let before = pair.nodes[1].sent.count
        pair.event(
            .datagram(
                request, local: Endpoint(Both.b1, port: 4500), remote: Endpoint(Both.a1, port: 30_000)), 1)
        #expect(pair.nodes[1].sent.count == before + 1)
        let response = try #require(pair.nodes[1].sent.last)
        guard case .payloads(let answered) = try keying.opener.open(response).content else {
            Issue.record("the answer cannot be opened")
            return
        }
        #expect(answered == [notify(.unexpectedNATDetected)])
        #expect(!pair.nodes[1].established() && pair.nodes[1].children.isEmpty)
        // The initiator begins again (§3.9), and comes through where nothing is changed on the way.
        pair.event(
            .datagram(response, local: Endpoint(Both.a1, port: 4500), remote: Endpoint(Both.b1, port: 4500)), 0)
        #expect(pair.nodes[0].failures.first?.message.contains("UNEXPECTED_NAT_DETECTED") == true, "\(pair.story)")
        #expect(pair.nodes[0].children.isEmpty)
        pair.command(.initiate(connection: "c", child: nil), 0)
        #expect(pair.run(10) { pair.nodes.allSatisfy { $0.established() } }, "\(pair.story)")
        #expect(pair.mirrored() == nil && pair.problems == [])
    }

    @Test("NAT detection is answered with NAT detection of the path that the request took (§3.8)")
    func natDetection() {
        let pair = Both.pair(705).connected()
        let seen = Endpoint(Both.a2, port: 30_000)
        let hash = Array(repeating: UInt8(3), count: 20)
        let answer = ask(
            pair, [notify(.natDetectionSourceIP, hash), notify(.natDetectionDestinationIP, hash)], remote: seen)
        let sa = pair.nodes[1].endpoint.status()[0].ikeSA
        let expected = NATDetection.hash(
            initiatorSPI: IKESPI(rawValue: sa?.initiatorSPI ?? 0),
            responderSPI: IKESPI(rawValue: sa?.responderSPI ?? 0),
            endpoint: seen)
        #expect(PayloadContents(answer ?? []).notify(.natDetectionDestinationIP)?.data == expected)
        #expect(PayloadContents(answer ?? []).notify(.natDetectionSourceIP) != nil)
        // A test of a path, which changes nothing.
        #expect(sa?.remote.address == Both.a1)
    }

    @Test("the answer to an update: what comes back decides (§3.5, §3.7, §3.9)")
    func answersToAnUpdate() {
        let wrong = Array(repeating: UInt8(9), count: 16)
        for (payloads, closes) in [
            ([Payload](), true), ([notify(.cookie2, wrong)], true), ([notify(.cookie2)], true),
            ([notify(.unacceptableAddresses), notify(.cookie2, wrong)], true),
            ([notify(.unexpectedNATDetected)], false),
        ] {
            let pair = Both.pair(706).connected()
            pair.readdress(0, [Both.a2])
            respond(pair, payloads)
            let isClosed = pair.reports(0).contains { $0.hasPrefix("closed") }
            #expect(isClosed == closes, "\(payloads)")
        }
    }

    @Test("a path that the peer refuses is left for another one, then for the one before")
    func refusedPaths() {
        let third = IKEPair.address(9)
        let pair = Both.pair(707, first: [Both.a1, Both.a2]).connected()
        // The route prefers another address; the first one is still there.
        pair.readdress(0, [third, Both.a1])
        #expect(pair.nodes[0].endpoint.status()[0].ikeSA?.local.address == third)
        respond(pair, [notify(.unacceptableAddresses)])
        #expect(pair.nodes[0].endpoint.status()[0].ikeSA?.local.address == Both.a1)
        #expect(mobility(pair, 0)?.refused.map(\.local.address) == [third])
        pair.run(20)
        #expect(pair.nodes[0].established() && Both.isAt(pair, Both.a1, Both.b1), "\(pair.story)")
        // Nothing else is left: the IKE SA ends, and its connection with it.
        pair.readdress(0, [third])
        respond(pair, [notify(.unacceptableAddresses)])
        #expect(pair.codes(0) == [.peerNotify])
    }

    @Test("UNEXPECTED_NAT_DETECTED is not believed at once, and not for ever asked again (§3.9)")
    func translatedUpdates() {
        let pair = Both.pair(708).connected()
        for node in pair.nodes {
            for spi in node.endpoint.ikeSAs.spis { node.endpoint.withIKESA(spi) { $1.natTraversal = false } }
        }
        pair.nodes[0].natAddress = IPAddress(v4: 0xcb00_7109)
        pair.readdress(0, [Both.a2])
        pair.run(30)
        let refusals = pair.nodes[0].reports.count { if case .failed = $0 { true } else { false } }
        #expect(refusals == 1 && pair.codes(0) == [.peerNotify], "\(pair.story)")
        #expect(pair.nodes[1].children.values.allSatisfy { $0.sa.remote.address == Both.a1 })
        // Without a NAT the same is accepted.
        let other = Both.pair(709)
        #expect(other.connect())
        for node in other.nodes {
            for spi in node.endpoint.ikeSAs.spis { node.endpoint.withIKESA(spi) { $1.natTraversal = false } }
        }
        other.readdress(0, [Both.a2])
        #expect(other.run(3) { Both.isAt(other, Both.a2, Both.b1) }, "\(other.story)")
    }

    @Test("a NAT changes its mapping: the next liveness check tells, and an update follows (§3.8)")
    func natMapping() {
        let pair = Both.pair(710) {
            $0.encap = false
            $1.encap = false
            $1.remoteAddresses = []
            $0.dpdDelay = .seconds(5)
        }
        pair.nodes[0].natAddress = IPAddress(v4: 0xcb00_7105)
        #expect(pair.connect(), "\(pair.story)")
        pair.run(12)
        let before = pair.nodes.map(Both.spis)
        let sent = pair.nodes[0].sent.count
        pair.run(20)
        let quiet = pair.nodes[0].sent.count - sent
        pair.nodes[0].natPorts[4500] = 33_333
        #expect(
            pair.run(12) { pair.nodes[1].children.values.allSatisfy { $0.sa.remote.port == 33_333 } }, "\(pair.story)")
        #expect(remote(pair, 1)?.port == 33_333 && pair.nodes.map(Both.spis) == before)
        // While nothing changes there are liveness checks, and no updates.
        #expect(quiet <= 5, "\(pair.story)")
        // Authenticated ESP tells sooner, and is followed (§3.8).
        pair.nodes[0].natPorts[4500] = 44_444
        let moved = Endpoint(IPAddress(v4: 0xcb00_7105), port: 44_444)
        for spi in before[1] { pair.event(.peerMoved(inboundSPI: spi, to: moved), 1) }
        #expect(remote(pair, 1) == moved && pair.nodes[1].children.values.allSatisfy { $0.sa.remote == moved })
        pair.run(30)
        #expect(remote(pair, 1) == moved && pair.problems == [] && pair.codes(1) == [])
        #expect(pair.nodes[0].keepalives > 0)
    }

    @Test("what was under way when the peer moved does not move it back; the side that decides follows nobody")
    func stragglers() {
        let pair = Both.pair(711).connected()
        pair.readdress(0, [Both.a2])
        #expect(pair.run(3) { Both.isAt(pair, Both.a2, Both.b1) })
        let spis = pair.nodes.map(Both.spis)
        for spi in spis[1] {
            pair.event(.peerMoved(inboundSPI: spi, to: Endpoint(Both.a1, port: 4500)), 1)
        }
        #expect(Both.isAt(pair, Both.a2, Both.b1))
        let sent = pair.nodes[0].sent.count
        for _ in 0..<5 {
            for spi in spis[0] {
                pair.event(.peerMoved(inboundSPI: spi, to: Endpoint(Both.b2, port: 4500)), 0)
            }
        }
        #expect(Both.isAt(pair, Both.a2, Both.b1))
        // It asks whether its path works, once (§3.12).
        #expect(pair.nodes[0].sent.count == sent + 1)
    }

    @Test("old and unauthenticated messages from elsewhere move nobody", arguments: [true, false])
    func replays(mobike: Bool) throws {
        let pair = Both.pair(712) {
            $0.mobike = mobike; $1.remoteAddresses = []
        }
        #expect(pair.connect())
        pair.command(.rekeyChildren(connection: "c"), 0)
        pair.run(10)
        let before = remote(pair, 1)
        let elsewhere = Endpoint(IKEPair.address(50), port: 1111)
        for bytes in pair.nodes[0].sent {
            pair.event(.datagram(bytes, local: Endpoint(Both.b1, port: 4500), remote: elsewhere), 1)
            var forged = bytes
            forged[forged.count - 1] ^= 1
            pair.event(.datagram(forged, local: Endpoint(Both.b1, port: 4500), remote: elsewhere), 1)
        }
        #expect(remote(pair, 1) == before)
        #expect(pair.nodes[1].children.values.allSatisfy { $0.sa.remote == before })
        // A new authenticated request moves it only without MOBIKE (RFC 7296 §2.23, RFC 4555 §3.8).
        _ = ask(pair, [], remote: elsewhere)
        #expect(remote(pair, 1) == (mobike ? before : elsewhere))
    }
}
