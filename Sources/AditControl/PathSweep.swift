// SPDX-License-Identifier: Apache-2.0
// Adit: AditControl

internal import AditCrypto
internal import AditWire

/// Asks again, now and then and a few at a time, what the paths to all peers take.
struct PathSweep {
    /// What an MTU follows from.
    struct Path: Hashable {
        let peer: IPAddress
        let suite: CipherSuite
    }

    /// When the next round begins; nil before the first.
    private var due: Timestamp?
    private var rest: [Path] = []
    /// The smallest MTU of the round that is under way.
    private var smallest: Int?

    /// What a path was found to take meanwhile.
    mutating func note(_ mtu: Int) {
        if let smallest { self.smallest = min(smallest, mtu) }
    }

    /// Asks for some of `paths`; the smallest MTU of all of them when the round is complete.
    mutating func turn(_ now: Timestamp, _ paths: () -> Set<Path>, ask: (Path) -> Int) -> Int? {
        if rest.isEmpty {
            guard let due, due <= now else {
                self.due = due ?? now + Self.interval
                return nil
            }
            rest = Array(paths())
        }
        for path in rest.suffix(Self.pathsPerTurn) { smallest = min(smallest ?? .max, ask(path)) }
        rest.removeLast(min(Self.pathsPerTurn, rest.count))
        guard rest.isEmpty else { return nil }
        due = now + Self.interval
        defer { smallest = nil }
        return smallest
    }

    /// Between rounds. The kernel believes an ICMP message for 600 s (mtu_expires), as RFC 8201 §4 recommends, however
    /// often it is asked.
    static let interval: Duration = .seconds(60)
    /// Paths of one turn, each four system calls.
    static let pathsPerTurn = 64
}
