// SPDX-License-Identifier: Apache-2.0
// Adit: Fuzz

import AditCrypto
import AditIKE
import AditWire

extension FuzzSubject {
    /// Two IKE endpoints and a network that does what the input says: deliver, repeat, lose, bend, invent, wait.
    public static let ikeSequence = FuzzSubject(
        name: "IKESequence",
        run: { bytes in
            var choices = Choices(bytes)
            var network = FuzzNetwork()
            for _ in 0..<400 where !choices.isEmpty { network.step(&choices) }
        },
        seeds: {
            // Initiate, then deliver; then what an evil network would do in between.
            let handshake: [UInt8] = [7, 0, 0, 0, 0, 0]
            // Both sides are configured otherwise: the bits of FuzzNetwork.connection.
            func shape(_ bits: UInt8) -> [UInt8] { [7, 4 + 5 * bits, 8, 4 + 5 * bits] }
            return [
                ("handshake", handshake), ("rekey_child", handshake + [7, 2, 0, 0]),
                ("rekey_ike", handshake + [7, 3, 0, 0, 0, 0, 7, 2, 0, 0]), ("delete", handshake + [7, 1, 0, 0]),
                ("both_initiate", [7, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
                ("childless", shape(2) + handshake + [0, 0, 0]),
                ("both_start", shape(16) + [0, 10, 0, 10, 0, 0, 0, 10, 0, 0, 6, 11, 0, 0, 0, 0, 6, 12, 0, 0, 0, 0]),
                ("both_start_childless", shape(18) + [6, 1] + [UInt8](repeating: 0, count: 24) + [6, 13, 0, 0, 0, 0]),
                ("both_stay", shape(24) + [UInt8](repeating: 0, count: 20)),
                (
                    "authenticate_anew",
                    shape(4) + handshake + [6, 15, 0, 0, 0, 0, 0, 0, 6, 11, 0, 0, 6, 13, 0, 0, 0, 0]
                ),
                ("both_rekey", handshake + [7, 2, 8, 2, 0, 0, 0, 0, 0, 0]),
                ("loss_and_wait", [7, 0, 2, 6, 12, 0, 0, 2, 6, 12, 0, 0, 0]),
                ("duplicates", [7, 0, 1, 0, 1, 0, 1, 0, 1, 0]),
                ("roam", [11, 2, 11, 3] + handshake + [11, 4, 0, 0, 0, 0, 11, 9, 0, 0, 0, 0, 0, 0]),
                ("roam_and_rekey", handshake + [11, 4, 2, 8, 3, 6, 12, 11, 7, 0, 0, 0, 0, 6, 13, 0, 0, 0, 0]),
                ("bent", [7, 0, 0, 3, 0, 40, 0, 0, 0, 3, 0, 60, 1, 0, 0]), ("acquire", [9, 0, 0, 0, 0, 9, 0]),
                (
                    "invented",
                    [7, 0, 5, 0, 28] + [UInt8](repeating: 0x11, count: 16) + [33, 0x20, 34, 8, 0, 0, 0, 0, 0, 0, 0, 28]
                ),
            ]
        })
}

/// The addresses of one side; everything is reached from the first of a family.
private final class FuzzHost: @unchecked Sendable {
    // Used by one thread at a time: a subject's run is sequential.
    var addresses: [IPAddress]

    init(_ address: IPAddress) { addresses = [address] }

    @Sendable func route(_ remote: IPAddress) -> IPAddress? { addresses.first { $0.family == remote.family } }
}

/// The two endpoints, what is under way between them, and the time.
struct FuzzNetwork {
    private struct Letter {
        var bytes: [UInt8]
        var to: Int
        var from: Endpoint
        var at: Endpoint
    }

    private var endpoints: [IKEEndpoint]
    private let hosts = (0..<2).map { FuzzHost(Self.outer($0, 500).address) }
    private var letters: [Letter] = []
    private var now = Timestamp(nanoseconds: 1_000_000_000)
    private var usedKeys: [Set<[UInt8]>] = [[], []]

    /// Letters under way at the most; more are lost.
    private static let letterLimit = 64

    init() {
        let hosts = hosts
        endpoints = (0..<2).map { side in
            let generator = SeededBytes(seed: UInt64(side) + 1)
            return IKEEndpoint(
                connections: [Self.connection(side)], entropy: EntropySource { generator.bytes($0) },
                routes: RouteLookup(hosts[side].route))
        }
    }

    /// Takes one decision and carries it out.
    mutating func step(_ choices: inout Choices) {
        switch choices.byte() % 12 {
        case 0: if !letters.isEmpty { deliver(letters.removeFirst()) }
        case 1: if let letter = letters.first { deliver(letter) }
        case 2: if !letters.isEmpty { letters.removeFirst() }
        case 3:
            guard var letter = letters.first else { return }
            let place = choices.word()
            letter.bytes[place % letter.bytes.count] ^= max(choices.byte(), 1)
            deliver(letter)
        case 4:
            guard var letter = letters.first else { return }
            letter.bytes = Array(letter.bytes.prefix(choices.word()))
            deliver(letter)
        case 5:
            let count = choices.word()
            let letter = Letter(bytes: choices.bytes(count), to: 1, from: Self.outer(0, 500), at: Self.outer(1, 500))
            deliver(letter)
        case 6:
            now = now + .milliseconds(1 << Int(choices.byte() % 20))
            for side in 0..<2 { passDeadlines(of: side) }
        case 7: command(choices.byte(), at: 0)
        case 8: command(choices.byte(), at: 1)
        case 9: handle(.acquire(connection: "peer", child: "peer"), at: Int(choices.byte() % 2))
        case 10: if letters.count > 1 { letters.append(letters.removeFirst()) }
        default: readdress(choices.byte())
        }
    }

    /// A side has other addresses: none, some of three IPv4 ones, or an IPv6 one.
    private mutating func readdress(_ choice: UInt8) {
        let side = Int(choice % 2)
        let candidates = (0..<3).compactMap { IPAddress(bytes: [192, 0, 2, UInt8(side + 1 + 10 * $0)]) }
        hosts[side].addresses = candidates.enumerated().filter { choice >> (1 + $0.offset) & 1 == 1 }.map(\.element)
        if choice & 0x80 != 0 { hosts[side].addresses += [IPAddress(v6High: 0x2001_0db8 << 32, low: UInt64(side))] }
        handle(.addressesChanged(hosts[side].addresses.map { HostAddress($0, isOuter: choice & 0x40 == 0) }), at: side)
    }

    private mutating func command(_ choice: UInt8, at side: Int) {
        switch choice % 5 {
        case 0: handle(.command(.initiate(connection: "peer", child: nil)), at: side)
        case 1: handle(.command(.terminate(connection: "peer")), at: side)
        case 2: handle(.command(.rekeyChildren(connection: "peer")), at: side)
        case 3: handle(.command(.rekeyIKE(connection: "peer")), at: side)
        default: handle(.command(.configure([Self.connection(side, shape: choice / 5)])), at: side)
        }
    }

    private mutating func deliver(_ letter: Letter) {
        handle(.datagram(letter.bytes, local: letter.at, remote: letter.from), at: letter.to)
    }

    private mutating func passDeadlines(of side: Int) {
        for _ in 0..<1000 {
            guard let due = endpoints[side].nextDeadline, due <= now else { return }
            handle(.deadline, at: side)
        }
        preconditionFailure("a deadline that is passed is not set again to the same moment")
    }

    private mutating func handle(_ event: IKEEvent, at side: Int) {
        var effects: [IKEEffect] = []
        endpoints[side].handle(event, now: now, into: &effects)
        precondition(effects.count < 1000, "one event has few effects")
        for effect in effects {
            switch effect {
            case .send(let bytes, let local, let remote):
                precondition(!bytes.isEmpty)
                guard letters.count < Self.letterLimit else { continue }
                let from = local.address.isUnspecified ? Self.outer(side, local.port) : local
                letters.append(Letter(bytes: bytes, to: 1 - side, from: from, at: remote))
            case .installChild(let child):
                let key = child.outboundKey.withUnsafeBytes { Array($0) }
                precondition(usedKeys[side].insert(key).inserted, "a key is never installed twice")
                precondition(!child.localSelectors.isEmpty && !child.remoteSelectors.isEmpty)
            default: break
            }
        }
        _ = endpoints[side].status()
    }

    private static func outer(_ side: Int, _ port: UInt16) -> Endpoint {
        guard let address = IPAddress(bytes: [192, 0, 2, UInt8(side + 1)]) else { preconditionFailure("four bytes") }
        return Endpoint(address, port: port)
    }

    /// One side's connection; the bits of `shape` say how IKE SAs begin (RFC 6023), whether the peers authenticate
    /// anew, whether several IKE SAs may stay, whether two children start by themselves, and whether MOBIKE is spoken.
    private static func connection(_ side: Int, shape: UInt8 = 0) -> ConnectionConfiguration {
        let starts = shape & 16 != 0
        var connection = ConnectionConfiguration(
            name: "peer", authentication: .preSharedKey(SecretBytes(Array("fuzz".utf8))),
            children: (starts ? ["peer", "other"] : ["peer"]).enumerated().map { number, name in
                let nets = ["10.\(1 + 2 * number).0.0/16", "10.\(2 + 2 * number).0.0/16"].compactMap {
                    TrafficSelector($0)
                }
                var child = ChildConfiguration(
                    name: name, localSelectors: [nets[side]], remoteSelectors: [nets[1 - side]])
                child.startAction = starts ? .start : .trap
                return child
            })
        let policies = ConnectionConfiguration.ChildlessPolicy.allCases
        connection.childless = policies[Int(shape & 3)]
        if shape & 4 != 0 { connection.reauthTime = .seconds(30) }
        if shape & 8 != 0 { connection.unique = .never }
        connection.mobike = shape & 32 == 0
        connection.localID = .fqdn(side == 0 ? "a" : "b")
        connection.remoteID = .fqdn(side == 0 ? "b" : "a")
        connection.remoteAddresses = [outer(1 - side, 500).address]
        return connection
    }
}
