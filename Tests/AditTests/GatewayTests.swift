// SPDX-License-Identifier: Apache-2.0
// Adit: AditTests

import AditCrypto
import AditIKE
import AditLinux
import AditWire
import Glibc
import Testing

@testable import Adit

/// Two gateways of one process, joined over loopback, with devices that carry nothing.
@Suite(.serialized) struct GatewayTests {
    /// Loopback addresses of this process and test, so that several runs share one machine.
    private static func address(_ number: UInt32) -> IPAddress {
        IPAddress(v4: 127 << 24 | (UInt32(getpid()) & 0x3fff) << 8 | number)
    }

    private func configuration(_ own: IPAddress, _ peer: IPAddress, initiator: Bool) -> GatewayConfiguration {
        let nets = [TrafficSelector("10.1.0.0/16"), TrafficSelector("10.2.0.0/16")].compactMap { $0 }
        var child = ChildConfiguration(
            name: "net", localSelectors: [nets[initiator ? 0 : 1]], remoteSelectors: [nets[initiator ? 1 : 0]])
        child.startAction = .none
        var connection = ConnectionConfiguration(
            name: "peer", authentication: .preSharedKey(SecretBytes(Array("a secret of a test".utf8))),
            children: [child])
        connection.localAddresses = [own]
        connection.remoteAddresses = [peer]
        connection.remotePort = 5500
        var gateway = GatewayConfiguration()
        gateway.listen = [own]
        gateway.ikePort = 5500
        gateway.connections = [connection]
        return gateway
    }

    private func pair(_ first: UInt32) throws -> (Gateway, Gateway) {
        let (a, b) = (Self.address(first), Self.address(first + 1))
        let one = try Gateway(configuration(a, b, initiator: true), devices: [SilentDevice()])
        return (one, try Gateway(configuration(b, a, initiator: false), devices: [SilentDevice()]))
    }

    private func isUp(_ gateway: Gateway) -> Bool {
        gateway.status().connections.first.map { $0.state == .established && !$0.children.isEmpty } ?? false
    }

    private func within(_ seconds: Int, _ condition: () -> Bool) async throws -> Bool {
        for _ in 0..<seconds * 50 where !condition() { try await Task.sleep(for: .milliseconds(20)) }
        return condition()
    }

    @Test func twoGatewaysAgreeAndPart() async throws {
        let (one, other) = try pair(1)
        #expect(one.perform(.initiate(connection: "peer", child: nil)))
        #expect(try await within(10) { isUp(one) && isUp(other) })
        let mine = try #require(one.status().connections.first?.children.first)
        let theirs = try #require(other.status().connections.first?.children.first)
        #expect(mine.inboundSPI == theirs.outboundSPI && mine.outboundSPI == theirs.inboundSPI)
        one.stop()
        #expect(try await within(5) { !isUp(other) }, "the peer was told")
        #expect(one.status().connections.isEmpty)
        #expect(!one.perform(.initiate(connection: "peer", child: nil)), "a stopped gateway takes nothing")
        other.stop()
    }

    @Test func aDeviceThatIsGoneIsAnEvent() async throws {
        let own = Self.address(21)
        let gateway = try Gateway(
            configuration(own, Self.address(22), initiator: true),
            devices: [SilentDevice(readError: EBADFD), SilentDevice(readError: EBADFD)])
        var failures: [GatewayError] = []
        let events = gateway.events()
        for await event in events {
            guard case .failed(let error) = event else { continue }
            failures.append(error)
            break
        }
        #expect(failures.map(\.code) == [.deviceUnavailable])
        #expect(failures.first?.description == "read a packet device: File descriptor in bad state")
        // Both workers told of it, and nothing comes a second time.
        gateway.stop()
        for await event in events { if case .failed(let error) = event { failures.append(error) } }
        #expect(failures.count == 1)
    }

    @Test func eachOffloadOfTheDeviceHasASwitch() {
        #expect(TUNOffloads(GatewayConfiguration.Offloads.all) == .all)
        #expect(TUNOffloads([.tun] as GatewayConfiguration.Offloads) == .all)
        #expect(TUNOffloads([.gso, .gro] as GatewayConfiguration.Offloads) == [])
        let tcp = TUNOffloads([.tso] as GatewayConfiguration.Offloads)
        let udp = TUNOffloads([.uso] as GatewayConfiguration.Offloads)
        #expect(tcp == [.checksum, .tcpV4, .tcpV6, .tcpECN] && udp == [.checksum, .udpV4, .udpV6])
        #expect(tcp.union(udp) == .all)
    }

    /// Every member may be called from any thread: snapshots are taken while SAs come and go.
    @Test func statusFromManyThreadsWhileRekeying() async throws {
        let (one, other) = try pair(11)
        one.perform(.initiate(connection: "peer", child: nil))
        #expect(try await within(10) { isUp(one) && isUp(other) })
        let first = one.status().connections.first?.children.first?.inboundSPI
        await withTaskGroup(of: Int.self) { group in
            for gateway in [one, other, one, other] {
                group.addTask {
                    for _ in 0..<200 { _ = gateway.status() }
                    return 200
                }
            }
            group.addTask {
                for turn in 0..<40 {
                    one.perform(turn % 8 == 7 ? .rekeyIKE(connection: "peer") : .rekeyChildren(connection: "peer"))
                    try? await Task.sleep(for: .milliseconds(15))
                }
                return 0
            }
            for await _ in group {}
        }
        #expect(isUp(one) && isUp(other))
        #expect(one.status().connections.first?.children.last?.inboundSPI != first, "it was rekeyed")
        one.stop()
        other.stop()
    }
}
