// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditWire
import Testing

@testable import AditIKE

/// Messages that cannot leave the host: nobody waits for an answer to them.
@Suite struct UnsendableTests {
    private static let other = IPAddress("198.51.100.7")!

    /// Tells the first node that what it sent last cannot leave.
    private func refuse(_ pair: IKEPair, _ reason: SendFailure, remote: IPAddress, local: IPAddress) {
        guard let bytes = pair.nodes[0].sent.last else { return }
        pair.event(
            .unsendable(bytes, local: Endpoint(local, port: 500), remote: Endpoint(remote, port: 500), reason: reason),
            0)
    }

    private func targets(_ pair: IKEPair) -> [IPAddress] {
        pair.nodes[0].reports.compactMap {
            guard case .connecting(_, let remote, _) = $0 else { return nil }
            return remote.address
        }
    }

    @Test func theNextAddressIsTriedAtOnce() {
        let pair = IKEPair(seed: 3, Sides.pair { left, _ in left.remoteAddresses.insert(Self.other, at: 0) })
        pair.command(.initiate(connection: "c", child: nil), 0)
        #expect(targets(pair) == [Self.other])
        let began = pair.now
        refuse(pair, .unreachable, remote: Self.other, local: IKEPair.address(0))
        #expect(targets(pair) == [Self.other, IKEPair.address(1)] && pair.now == began)
        #expect(pair.codes(0) == [.peerUnreachable])
        let failure = pair.nodes[0].failures.first
        #expect(failure?.message == "this machine has no route to 198.51.100.7 from 192.0.2.1")
        #expect(failure?.suggestion.contains("remote_addrs") == true)
        #expect(pair.run(5) { pair.nodes.allSatisfy { $0.established() } }, "\(pair.story)")
    }

    @Test func anAddressThatIsNotOursIsNamed() {
        let pair = IKEPair(seed: 3, Sides.pair { left, _ in left.localAddresses = [Self.other] })
        pair.event(.addressesChanged([HostAddress(IKEPair.address(0), isOuter: true)]), 0)
        pair.command(.initiate(connection: "c", child: nil), 0)
        refuse(pair, .unreachable, remote: IKEPair.address(1), local: Self.other)
        #expect(pair.codes(0) == [.peerUnreachable])
        let failure = pair.nodes[0].failures.first
        #expect(failure?.message == "198.51.100.7 is not an address of this machine")
        #expect(failure?.suggestion.contains("local_addrs") == true)
        #expect(pair.nodes[0].endpoint.ikeSACount == 0)
    }

    @Test func aMissingFamilyIsNamed() {
        let peer = IPAddress("2001:db8::7")!
        let pair = IKEPair(
            seed: 3,
            Sides.pair { left, _ in
                left.remoteAddresses = [peer]
                left.localAddresses = []
            })
        pair.command(.initiate(connection: "c", child: nil), 0)
        refuse(pair, .family, remote: peer, local: IPAddress("::")!)
        #expect(pair.nodes[0].failures.first?.suggestion.contains("IPv6 address to listen") == true)
    }

    /// A change of addresses or routes may help, but they can come without end.
    @Test func changesDoNotVoidTheBackOff() {
        let pair = IKEPair(seed: 3, Sides.pair { left, _ in left.children[0].startAction = .start })
        let refuseAll = { () -> Void in
            var seen = -1
            while self.targets(pair).count != seen {
                seen = self.targets(pair).count
                refuse(pair, .unreachable, remote: IKEPair.address(1), local: IKEPair.address(0))
            }
        }
        pair.command(.initiate(connection: "c", child: nil), 0)
        refuseAll()
        let before = targets(pair).count
        #expect(before > 0)
        for _ in 0..<300 {
            pair.readdress(0, [IKEPair.address(0)])
            pair.run(0.1)
            refuseAll()
        }
        let attempts = targets(pair).count - before
        #expect(attempts >= 2 && attempts <= 30 / 5 + 3, "\(attempts) in 30 s")
    }

    /// The network may come back: what is established is given up no sooner than when its messages are lost.
    @Test func whatIsEstablishedStays() {
        let pair = IKEPair(seed: 3, Sides.pair()).connected()
        pair.command(.rekeyIKE(connection: "c"), 0)
        guard let bytes = pair.nodes[0].sent.last, let sa = pair.nodes[0].endpoint.ikeSAs.spis.first else { return }
        guard let path = pair.nodes[0].endpoint.ikeSAs[sa]?.path else { return }
        pair.event(.unsendable(bytes, local: path.local, remote: path.remote, reason: .unreachable), 0)
        pair.run(5)
        #expect(pair.nodes[0].failures.isEmpty && pair.nodes.allSatisfy { $0.established() }, "\(pair.story)")
        // Neither do bytes that are no message of ours matter.
        for bytes in [[], [1, 2, 3], [UInt8](repeating: 0xff, count: 28)] as [[UInt8]] {
            pair.event(.unsendable(bytes, local: path.local, remote: path.remote, reason: .unreachable), 0)
        }
        #expect(pair.nodes.allSatisfy { $0.established() })
    }
}
