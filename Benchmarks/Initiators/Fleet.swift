// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks

import AditCrypto
import AditIKE
import AditLinux
import AditWire

/// Many initiators in one IKE machine, with real sockets.
final class Fleet {
    private static let firstInner: UInt32 = 0x0a40_0000  // 10.64.0.0
    private static let protected: UInt32 = 0x0a58_0000  // 10.88.0.0/16
    /// An attempt that made no progress for so long has failed.
    private static let patience: Duration = .seconds(30)

    private var endpoint: IKEEndpoint
    private var effects: [IKEEffect] = []
    /// By source address, then port 500 and port 4500.
    private var sockets: [IPAddress: [UInt16: IKESocket]] = [:]
    private var listening: [IKESocket] = []
    private let poll: EventPoll
    private let count: Int
    private let parallel: Int
    private var tunnels: [Int: PingedTunnel] = [:]
    private var established = 0
    private var failed = 0
    private var finished = Set<Int>()
    private var asked: [UInt8: Int] = [:]
    private var echoes = 0

    init(responder: IPAddress, first: IPAddress, sources: Int, count: Int, parallel: Int) throws {
        self.count = count
        self.parallel = parallel
        let locals = (0..<sources).map { IPAddress(v4: Self.number(first) + UInt32($0)) }
        endpoint = IKEEndpoint(
            connections: (0..<count).map { Self.connection($0, responder, locals[$0 % sources]) },
            entropy: EntropySource { SystemRandom.bytes($0) })
        poll = try EventPoll()
        for local in locals {
            for port: UInt16 in [500, 4500] {
                var options = UDPOptions(port: port)
                options.addresses = [local]
                let socket = try IKESocket(options)
                sockets[local, default: [:]][port] = socket
                for descriptor in socket.descriptors { try poll.add(descriptor, token: UInt64(listening.count)) }
                listening.append(socket)
            }
        }
    }

    /// Sets every tunnel up; a line of JSON.
    func connect() -> String {
        let began = MonotonicClock.now()
        var next = 0
        var progress = began
        var known = 0
        var slowest: [Double] = []
        while finished.count < count {
            while next < count, next - finished.count < parallel {
                handle(.command(.initiate(connection: "i\(next)", child: nil)))
                next += 1
            }
            turn(until: MonotonicClock.now() + .milliseconds(100))
            if finished.count > known {
                known = finished.count
                progress = MonotonicClock.now()
            } else if MonotonicClock.now() - progress > Self.patience {
                break
            }
            if slowest.count < (finished.count * 10) / count {
                slowest.append((MonotonicClock.now() - began) / .seconds(1))
            }
        }
        let seconds = (progress - began) / .seconds(1)
        return #"{"established": \#(established), "failed": \#(failed), "seconds": \#(seconds), "tenths": \#(slowest)}"#
    }

    /// An echo through each of the first `number` tunnels; a line of JSON.
    func ping(_ number: Int) -> String {
        echoes = 0
        let chosen = tunnels.values.sorted { $0.number < $1.number }.prefix(number)
        for tunnel in chosen {
            guard let packet = tunnel.echoRequest() else { continue }
            sockets[tunnel.local.address]?[4500]?
                .send(packet, nonESPMarker: false, local: tunnel.local.address, remote: tunnel.remote)
            turn(until: MonotonicClock.now())
        }
        let end = MonotonicClock.now() + .seconds(3)
        while echoes < chosen.count, MonotonicClock.now() < end { turn(until: end) }
        return #"{"sent": \#(chosen.count), "answered": \#(echoes)}"#
    }

    /// Answers for a while; what the responder asked for in each second, by exchange; a line of JSON.
    func serve(seconds: Int) -> String {
        var rows: [String] = []
        for _ in 0..<seconds {
            asked = [:]
            let end = MonotonicClock.now() + .seconds(1)
            while MonotonicClock.now() < end { turn(until: end) }
            rows.append("[\(asked[37] ?? 0), \(asked[36] ?? 0)]")
        }
        return #"{"informational_and_rekeys": [\#(rows.joined(separator: ", "))]}"#
    }

    // MARK: The loop

    private func turn(until deadline: Timestamp) {
        let due = min(endpoint.nextDeadline ?? deadline, deadline)
        for position in 0..<poll.wait(until: due) {
            let socket = listening[Int(poll[position].token)]
            while let datagram = socket.receive() { take(datagram, from: socket) }
        }
        if let deadline = endpoint.nextDeadline, deadline <= MonotonicClock.now() { handle(.deadline) }
    }

    private func take(_ datagram: ReceivedDatagram, from socket: IKESocket) {
        var bytes = datagram.bytes
        if socket.port == 4500 {
            guard bytes.count > 4 else { return }
            guard bytes.prefix(4).allSatisfy({ $0 == 0 }) else {
                let spi = bytes.prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
                if tunnels.values.first(where: { $0.inbound == spi })?.isEchoReply(bytes) == true { echoes += 1 }
                return
            }
            bytes.removeFirst(4)
        }
        // What the responder began: a request, by its exchange.
        if bytes.count >= 28, bytes[19] & 0x20 == 0 { asked[bytes[18], default: 0] += 1 }
        handle(.datagram(bytes, local: datagram.local, remote: datagram.remote))
    }

    private func handle(_ event: IKEEvent) {
        endpoint.handle(event, now: MonotonicClock.now(), into: &effects)
        let performed = effects
        effects.removeAll(keepingCapacity: true)
        for effect in performed { perform(effect) }
    }

    private func perform(_ effect: IKEEffect) {
        switch effect {
        case .send(let bytes, let local, let remote):
            sockets[local.address]?[local.port]?
                .send(bytes, nonESPMarker: local.port == 4500, local: local.address, remote: remote)
        case .sendKeepalive(let local, let remote):
            sockets[local.address]?[4500]?.send([0xff], nonESPMarker: false, local: local.address, remote: remote)
        case .installChild(let child):
            guard let number = Int(child.connection.dropFirst()), number % 50 == 0 else { return }
            tunnels[number] = PingedTunnel(number, child, source: Self.firstInner + UInt32(number))
        case .report(.childInstalled(let connection, _, _, nil)): finish(connection, succeeded: true)
        case .report(.failed(let failure)):
            if let connection = failure.connection { finish(connection, succeeded: false) }
        default: break
        }
    }

    private func finish(_ connection: String, succeeded: Bool) {
        guard let number = Int(connection.dropFirst()), finished.insert(number).inserted else { return }
        if succeeded { established += 1 } else { failed += 1 }
    }

    // MARK: Configuration

    private static func connection(_ number: Int, _ responder: IPAddress, _ local: IPAddress) -> ConnectionConfiguration
    {
        let inner = IPAddress(v4: firstInner + UInt32(number))
        let selectors = [IPPrefix(inner, length: 32), IPPrefix(IPAddress(v4: protected), length: 16)]
            .compactMap { $0.map { TrafficSelector($0) } }
        var child = ChildConfiguration(name: "c", localSelectors: [selectors[0]], remoteSelectors: [selectors[1]])
        child.startAction = .none
        child.rekeyTime = .zero
        child.esn = false
        child.proposals = ["aes128gcm16"].compactMap { try? Proposal(parsing: $0, for: .esp, allowLegacy: false) }
        var connection = ConnectionConfiguration(
            name: "i\(number)", authentication: .preSharedKey(SecretBytes(Array("a secret of the benchmark".utf8))),
            children: [child])
        connection.localAddresses = [local]
        connection.remoteAddresses = [responder]
        connection.localID = .fqdn("i\(number).scale.example")
        connection.remoteID = .fqdn("hub.scale.example")
        connection.proposals = ["aes128gcm16-prfsha256-x25519"]
            .compactMap { try? Proposal(parsing: $0, for: .ike, allowLegacy: false) }
        connection.dpdDelay = .zero
        connection.ikeRekeyTime = .zero
        return connection
    }

    private static func number(_ address: IPAddress) -> UInt32 {
        address.bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }
}
