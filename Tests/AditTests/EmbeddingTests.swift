// SPDX-License-Identifier: Apache-2.0
// Adit: AditTests

import Adit
import AditCrypto
import AditESP
import AditIKE
import AditWire
import Testing

// The examples of EMBEDDING.md, by the public interface alone; TidyTests compares the two.

private let secret = Array("a secret of twenty bytes".utf8)

@Suite struct EmbeddingTests {
    @Test func aGatewayIsConfigured() throws {
        var child = ChildConfiguration(
            name: "net", localSelectors: [TrafficSelector("10.1.0.0/16")!],
            remoteSelectors: [TrafficSelector("10.2.0.0/16")!])
        child.startAction = .start
        var hq = ConnectionConfiguration(
            name: "hq", authentication: .preSharedKey(SecretBytes(secret)), children: [child])
        hq.remoteAddresses = [IPAddress("203.0.113.7")!]
        hq.localID = Identity("paris.example.com")
        hq.remoteID = Identity("hq.example.com")
        var configuration = GatewayConfiguration()
        configuration.connections = [hq]
        try configuration.check()
    }

    private func machine(_ index: Int) throws -> IKEEndpoint {
        let nets = [TrafficSelector("10.1.0.0/16")!, TrafficSelector("10.2.0.0/16")!]
        let hosts = [IPAddress("192.0.2.1")!, IPAddress("192.0.2.2")!]
        let child = ChildConfiguration(
            name: "net", localSelectors: [nets[index]], remoteSelectors: [nets[1 - index]])
        var connection = ConnectionConfiguration(
            name: "peer", authentication: .preSharedKey(SecretBytes(secret)), children: [child])
        connection.localAddresses = [hosts[index]]
        connection.remoteAddresses = [hosts[1 - index]]
        return IKEEndpoint(connections: [connection], entropy: EntropySource { SystemRandom.bytes($0) })
    }

    @Test func twoMachinesAreJoinedInMemory() throws {
        var machines = [try machine(0), try machine(1)]
        var now = Timestamp(nanoseconds: 0)
        var inbox: [(machine: Int, event: IKEEvent)] = [(0, .command(.initiate(connection: "peer", child: nil)))]
        var installed: [ChildSAInstallation] = []
        while !inbox.isEmpty {
            let (index, event) = inbox.removeFirst()
            var effects: [IKEEffect] = []
            machines[index].handle(event, now: now, into: &effects)
            now = now + .milliseconds(1)
            for effect in effects {
                switch effect {
                case .send(let bytes, let local, let remote):
                    inbox.append((1 - index, .datagram(bytes, local: remote, remote: local)))
                case .installChild(let child): installed.append(child)
                default: break
                }
            }
        }
        try #require(installed.count == 2)
        #expect(installed[0].inboundSPI == installed[1].outboundSPI)
        #expect(installed[0].inboundKey == installed[1].outboundKey)
        #expect(machines.allSatisfy { $0.status().first?.state == .established && $0.nextDeadline != nil })
    }

    private let keys = [SecretBytes(SystemRandom.bytes(20)), SecretBytes(SystemRandom.bytes(20))]
    private let nets = [TrafficSelector("10.1.0.0/16")!, TrafficSelector("10.2.0.0/16")!]
    private let ends = [
        Endpoint(IPAddress("192.0.2.1")!, port: 4500), Endpoint(IPAddress("192.0.2.2")!, port: 4500),
    ]

    private func table(_ index: Int) throws -> SATable {
        let table = SATable(workers: 1)
        try table.install(
            ChildSAParameters(
                connection: "peer", child: "net", inboundSPI: SPI(rawValue: 0x1000 + UInt32(index)),
                outboundSPI: SPI(rawValue: 0x1001 - UInt32(index)), suite: .aesGCM16(.bits128),
                inboundKey: keys[index], outboundKey: keys[1 - index], esn: true,
                localSelectors: [nets[index]], remoteSelectors: [nets[1 - index]], local: ends[index],
                remote: ends[1 - index]))
        return table
    }

    @Test func aPacketIsSealedAndOpened() throws {
        #expect(CipherSuite.aesGCM16(.bits128).keyLength == 20)
        // IPv4, 10.1.0.1 to 10.2.0.1, protocol 253, four bytes.
        let inner: [UInt8] = [
            0x45, 0, 0, 24, 0, 0, 0, 0, 64, 253, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1, 1, 2, 3, 4,
        ]
        let (left, right) = (try table(0), try table(1))
        let (out, into) = (left.reader(worker: 0), right.reader(worker: 0))
        out.leaveIdle()
        into.leaveIdle()
        #expect(carry(inner, out, into) == inner)
        out.quiescent()
        into.quiescent()
        #expect(right.counters(inboundSPI: SPI(rawValue: 0x1001))?.packetsIn == 1)
    }

    private func carry(_ inner: [UInt8], _ out: SAReader, _ into: SAReader) -> [UInt8]? {
        let room = [UInt8](repeating: 0, count: ESPSeal.headRoom)
        var buffer = room + inner + [UInt8](repeating: 0, count: ESPSeal.tailRoom)
        let length = inner.count
        // SAFETY: head-room, packet and tail-room are the buffer, which is lent for the closure.
        return buffer.withUnsafeMutableBytes { bytes -> [UInt8]? in
            guard let base = bytes.baseAddress else { return nil }
            let packet = base + ESPSeal.headRoom
            guard let flow = FlowKey(UnsafeRawPointer(packet), available: length) else { return nil }
            guard let (esp, sealed) = seal(packet, length, flow, out) else { return nil }
            return open(esp, sealed, into)
        }
    }

    private func seal(
        _ packet: UnsafeMutableRawPointer, _ length: Int, _ flow: FlowKey, _ out: SAReader
    ) -> (UnsafeMutableRawPointer, Int)? {
        guard case .protect(let sa) = out.outbound(for: flow) else { return nil }
        let numbers = sa.pointee.reserve(1, bytes: length, reader: out)
        guard numbers.count == 1 else { return nil }
        let sealed = ESPSeal.seal(packet, length: length, sequence: numbers.first, sa: sa, reader: out)
        let esp = packet - sa.pointee.headerLength
        return (esp, sealed)
    }

    private func open(_ esp: UnsafeMutableRawPointer, _ sealed: Int, _ into: SAReader) -> [UInt8]? {
        guard let header = ESPHeader(UnsafeRawPointer(esp), available: sealed),
            let sa = into.inbound(header.spi),
            case .packet(let opened) = ESPOpen.open(
                esp, length: sealed, outerTrafficClass: 0, sa: sa, reader: into)
        else { return nil }
        return Array(UnsafeRawBufferPointer(start: esp + opened.offset, count: opened.length))
    }
}

/// What a program of its own may get wrong is told before anything is opened.
@Suite struct GatewayConfigurationCheckTests {
    private func refusal(_ change: (inout GatewayConfiguration) -> Void) -> GatewayError? {
        let nets = [TrafficSelector("10.1.0.0/16")!, TrafficSelector("10.2.0.0/16")!]
        let child = ChildConfiguration(name: "net", localSelectors: [nets[0]], remoteSelectors: [nets[1]])
        var configuration = GatewayConfiguration()
        configuration.connections = [
            ConnectionConfiguration(
                name: "hq", authentication: .preSharedKey(SecretBytes(secret)), children: [child])
        ]
        change(&configuration)
        do throws(GatewayError) {
            try configuration.check()
            return nil
        } catch { return error }
    }

    private func expect(_ word: String, _ change: (inout GatewayConfiguration) -> Void) {
        let error = refusal(change)
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.description.contains(word) == true, "\(error?.description ?? "accepted")")
    }

    @Test func limitsAreTold() {
        #expect(refusal { _ in } == nil)
        expect("natPort") { $0.natPort = $0.ikePort }
        expect("workers") { $0.workers = 0 }
        expect("mtu") { $0.mtu = 575 }
        expect("niceness") { $0.niceness = 20 }
        expect("retransmitTries") { $0.retransmitTries = 13 }
        expect("retransmitTimeout") { $0.retransmitTimeout = .zero }
        expect("keepAlive") { $0.keepAlive = .seconds(3601) }
        expect("several of that name") { $0.connections += $0.connections }
        expect("without a name") { $0.connections[0].name = "" }
        expect("at least one is needed") { $0.connections[0].children = [] }
        expect("two children") { $0.connections[0].children += $0.connections[0].children }
        expect("number of proposals") { $0.connections[0].proposals = [] }
        expect("number of proposals") { $0.connections[0].children[0].proposals = [] }
        expect("other of IKE and ESP") { $0.connections[0].children[0].proposals = Proposal.defaultIKE }
        expect("number of transforms") { configuration in
            let transforms = (0..<129).map { Transform(.keyExchange, UInt16($0)) }
            configuration.connections[0].proposals = [Proposal(.ike, transforms)]
        }
        expect("remoteSelectors") { $0.connections[0].children[0].remoteSelectors = [] }
        expect("10000 pairs of address blocks") { configuration in
            let many = { (second: Int) in (0..<100).compactMap { TrafficSelector("10.\(second).\($0).0/24") } }
            configuration.connections[0].children[0].localSelectors = many(1)
            configuration.connections[0].children[0].remoteSelectors = many(2)
        }
        expect("replayWindow") { $0.connections[0].children[0].replayWindow = 63 }
        expect("reauthTime") { $0.connections[0].reauthTime = .seconds(-1) }
        expect("rekeyTime") { $0.connections[0].children[0].rekeyTime = .seconds(Int64.max) }
    }

    @Test func aGatewayNeedsDevices() {
        let error = #expect(throws: GatewayError.self) {
            try Gateway(GatewayConfiguration(), devices: [SilentDevice]())
        }
        #expect(error?.code == .invalidConfiguration)
    }
}
