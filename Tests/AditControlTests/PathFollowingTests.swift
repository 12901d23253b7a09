// SPDX-License-Identifier: Apache-2.0
// Adit: AditControlTests

import AditCrypto
import AditESP
import AditWire
import Synchronization
import Testing

@testable import AditControl
@testable import AditIKE
@testable import AditLinux

/// What the paths to the peers, and the kernel's answers, do to the tunnel.
@Suite(.enabled(if: canUseNamespaces, "needs root, namespaces and /dev/net/tun")) struct PathFollowingTests {
    /// A gateway on a host with two ways out, to one peer each.
    private final class Site {
        final class Log: Sendable {
            let limits = Mutex<[Int]>([])
            let warnings = Mutex<[String]>([])
        }

        static let peers = [IPAddress(v4: 0xc000_0202), IPAddress(v4: 0xcb00_7102)]
        let netlink: Netlink
        let ways: [TUNDevice]
        let tunnel: TUNDevice
        let log = Log()
        let applier: EffectApplier
        var limits: [Int] { log.limits.withLock { $0 } }
        var warnings: [String] { log.warnings.withLock { $0 } }

        init(mtu: Int? = nil, connections: [ConnectionConfiguration] = []) throws {
            netlink = try Netlink()
            ways = try ["way0", "way1"].map { try TUNDevice(.init(name: $0)) }
            tunnel = try TUNDevice(.init(name: "tun7"))
            for (way, text) in zip(ways, ["192.0.2.1/24", "203.0.113.1/24"]) {
                try netlink.addAddress(try #require(IPPrefix(text)), link: way.index)
                try netlink.setUp(true, link: way.index)
            }
            let table = SATable(workers: 1)
            let log = log
            let directory = ChildDirectory(table: table, warn: { _ in })
            directory.publish(connections)
            let parts = ControlParts(
                endpoint: IKEEndpoint(
                    connections: [], entropy: EntropySource { [UInt8](repeating: 1, count: $0) }, limits: IKELimits(),
                    wallClock: WallClock { 0 }),
                connections: connections, table: table, mailbox: try Mailbox(producers: 1),
                ikeSocket: try IKESocket(UDPOptions(port: 500)), natSocket: try IKESocket(UDPOptions(port: 4500)),
                listened: [], link: tunnel.index, addresses: [], fixedMTU: mtu, installRoutes: true,
                innerMTU: { _, _, path in path - 62 },
                mtuChanged: { limit in log.limits.withLock { $0.append(limit) } },
                childInstalled: {}, report: { _ in }, warn: { text in log.warnings.withLock { $0.append(text) } })
            applier = try EffectApplier(parts, policies: directory)
            try applier.start(connections: connections)
        }

        /// A child to a peer comes up.
        func connect(_ peer: Int) {
            let selectors = [TrafficSelector("10.\(peer + 1).0.0/16")].compactMap { $0 }
            let child = ChildConfiguration(name: "net\(peer)", localSelectors: selectors, remoteSelectors: selectors)
            let key = SecretBytes([UInt8](repeating: 7, count: 20))
            let remote = Endpoint(Self.peers[peer], port: 4500)
            applier.apply([
                .installChild(
                    ChildSAInstallation(
                        connection: "c\(peer)", child: child.name, inboundSPI: spi(peer),
                        outboundSPI: SPI(rawValue: 0x1234_5678), suite: .aesGCM16(.bits128), esn: true, inboundKey: key,
                        outboundKey: key, localSelectors: selectors, remoteSelectors: selectors, local: remote,
                        remote: remote, replaces: nil, outboundActive: true, configuration: child))
            ])
        }

        func spi(_ peer: Int) -> SPI { SPI(rawValue: 0x1000_0001 + UInt32(peer)) }

        /// Time passes, second by second.
        func sweep(_ seconds: ClosedRange<UInt64>) {
            for second in seconds { applier.sweepPaths(Timestamp(nanoseconds: second * 1_000_000_000)) }
        }

        /// Whether there is a route of ours to `text`.
        func routes(_ text: String) throws -> Bool {
            try netlink.routes().contains { $0.destination.description == text && $0.link == tunnel.index }
        }
    }

    @Test func theMTURisesWithTheSmallestOfSeveralPaths() throws {
        try inNamespace {
            let site = try Site()
            try site.netlink.setMTU(1400, link: site.ways[1].index)
            site.connect(0)
            site.connect(1)
            #expect(site.limits.last == 1338 && site.applier.mtu == 1338)
            site.sweep(0...60)
            #expect(site.limits.last == 1338)
            // As when the kernel forgets what an ICMP message said.
            try site.netlink.setMTU(1450, link: site.ways[1].index)
            site.sweep(61...90)
            #expect(site.limits.last == 1338, "not before it is time")
            site.sweep(91...125)
            #expect(site.limits.last == 1388 && site.applier.mtu == 1388)
            // The one with the smallest path goes.
            site.applier.apply([.removeChild(inboundSPI: site.spi(1))])
            site.sweep(126...190)
            #expect(site.limits.last == 1438 && site.applier.mtu == 1438)
            #expect(site.warnings == [])
            site.applier.finish()
        }
    }

    @Test func aFixedMTUIsTheDevicesAndThePathTheLimit() throws {
        try inNamespace {
            let site = try Site(mtu: 1500)
            #expect(site.limits == [1500])
            site.connect(0)
            #expect(site.limits == [1500, 1438] && site.applier.mtu == 1500)
            #expect(try site.netlink.links().first { $0.index == site.tunnel.index }?.mtu == 1500)
            #expect(site.warnings.count == 1 && site.warnings[0].contains("set mtu to 1438 at the most"))
            // Once is enough.
            try site.netlink.setMTU(1400, link: site.ways[0].index)
            site.applier.pathChanged(to: Endpoint(Site.peers[0], port: 4500))
            #expect(site.limits.last == 1338 && site.warnings.count == 1)
            // Where the path takes more, it is what was asked for and no more.
            try site.netlink.setMTU(9000, link: site.ways[0].index)
            site.sweep(0...61)
            #expect(site.limits.last == 1500 && site.applier.mtu == 1500)
            site.applier.finish()
        }
    }

    /// Without an SA packets are dropped, and not sent in the clear by another route.
    @Test func routesOfChildrenThatNothingStartsStay() throws {
        try inNamespace {
            let site = try Site(
                connections: try [
                    connection("literal", "10.1.0.0/16") { $0.remoteAddresses = [Site.peers[0]] },
                    connection("default", "0.0.0.0/0") { $0.remoteAddresses = [Site.peers[0]] },
                    connection("named", "10.3.0.0/16") { $0.remoteNames = [RemoteName("b.example")] },
                    connection("defaultNamed", "::/0") { $0.remoteNames = [RemoteName("b.example")] },
                    connection("any", "10.4.0.0/16") { _ in },
                ])
            #expect(try site.routes("10.1.0.0/16") && site.routes("0.0.0.0/1") && site.routes("10.3.0.0/16"))
            #expect(
                try !site.routes("::/1") && !site.routes("10.4.0.0/16"), "it is not known where the peer calls from")
            site.connect(0)
            site.applier.apply([.removeChild(inboundSPI: site.spi(0))])
            #expect(try site.routes("10.1.0.0/16"))
            // The peer itself lies in what is routed, and is reached as before.
            #expect(PathQuery.localAddress(to: Site.peers[0]) == IPAddress("192.0.2.1"))
            site.applier.reconfigure([])
            #expect(try site.netlink.routes() == [])
            #expect(site.warnings == [])
            site.applier.finish()
        }
    }

    private func connection(
        _ name: String, _ remote: String, _ change: (inout ConnectionConfiguration) -> Void
    ) throws -> ConnectionConfiguration {
        var child = ChildConfiguration(
            name: "net", localSelectors: [try #require(TrafficSelector("10.9.0.0/16"))],
            remoteSelectors: [try #require(TrafficSelector(remote))])
        child.startAction = .none
        var connection = ConnectionConfiguration(
            name: name, authentication: .preSharedKey(SecretBytes([1, 2, 3])), children: [child])
        change(&connection)
        return connection
    }

    /// What the kernel refuses to send is told to the IKE machine, with what is wrong.
    @Test func messagesThatCannotLeaveAreTold() throws {
        try inNamespace {
            let site = try Site()
            let (here, peer) = (Endpoint(IPAddress("192.0.2.1")!, port: 500), Endpoint(Site.peers[0], port: 500))
            let nowhere = Endpoint(IPAddress("198.51.100.7")!, port: 500)
            let notOurs = Endpoint(IPAddress("192.0.2.99")!, port: 500)
            let any = Endpoint(IPAddress(v4: 0), port: 500)
            site.applier.apply([
                .send([1], local: here, remote: peer), .send([2], local: any, remote: peer),
                .send([3], local: notOurs, remote: peer), .send([4], local: any, remote: nowhere),
                .send([5], local: here, remote: nowhere),
            ])
            let told = site.applier.takeUnsendable().map { event in
                guard case .unsendable(let bytes, _, _, let reason) = event else { return "" }
                return "\(bytes) \(reason)"
            }
            #expect(told == ["[3] unreachable", "[4] unreachable", "[5] unreachable"])
            #expect(site.applier.takeUnsendable().isEmpty)
            site.applier.finish()
        }
    }
}
