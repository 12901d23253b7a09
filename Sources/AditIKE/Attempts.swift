// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// So many attempts to one address are under way at once, as a peer that has lost everything takes no more half-open
// IKE SAs of one source; the other connections wait for their turn, each in its place.

/// Attempts of ours by the peer's address: those under way, and the connections that wait for one to end.
struct AttemptTable: Sendable {
    private var addresses: [IKESPI: IPAddress] = [:]
    private var underWay: [IPAddress: Int] = [:]
    private var waiting: [IPAddress: ArrivalOrder<ConnectionID>] = [:]
    private var places: [ConnectionID: IPAddress] = [:]
    // Addresses that connections wait for, and of which an attempt has ended.
    private var released = ArrivalOrder<IPAddress>()

    /// Whether an attempt may begin, `limit` being allowed; not before those that wait already.
    func mayBegin(_ address: IPAddress, limit: Int) -> Bool {
        waiting[address] == nil && underWay[address] ?? 0 < max(limit, 1)
    }

    /// The address for which a connection waits; nil when it does not.
    func place(of connection: ConnectionID) -> IPAddress? { places[connection] }

    /// An attempt begins.
    mutating func begin(_ spi: IKESPI, _ address: IPAddress) {
        addresses[spi] = address
        underWay[address, default: 0] += 1
    }

    /// An attempt is over, if it was counted.
    mutating func end(_ spi: IKESPI) {
        guard let address = addresses.removeValue(forKey: spi), let count = underWay[address] else { return }
        underWay[address] = count > 1 ? count - 1 : nil
        if waiting[address] != nil { released.append(address) }
    }

    /// A connection waits for its turn.
    mutating func wait(_ connection: ConnectionID, for address: IPAddress) {
        withdraw(connection)
        places[connection] = address
        waiting[address, default: ArrivalOrder()].append(connection)
    }

    /// A connection no longer waits.
    mutating func withdraw(_ connection: ConnectionID) {
        guard let address = places.removeValue(forKey: connection) else { return }
        waiting[address]?.remove(connection)
        if waiting[address]?.isEmpty ?? false { waiting[address] = nil }
    }

    /// The connection whose turn it is, which no longer waits; nil when it is nobody's.
    mutating func next(limit: Int) -> ConnectionID? {
        while let address = released.first {
            if underWay[address] ?? 0 < max(limit, 1), let connection = waiting[address]?.first {
                withdraw(connection)
                return connection
            }
            released.remove(address)
        }
        return nil
    }
}

extension IKEEndpoint {
    /// Whether an attempt of a connection is under way, or about to be.
    func isAttempting(_ connection: Connection) -> Bool {
        connection.attempt != nil || connection.resolving != nil || attempts.place(of: connection.id) != nil
    }

    /// A connection waits for its turn at an address.
    mutating func queue(_ id: ConnectionID, _ children: [ChildID], for address: IPAddress) {
        attempts.wait(id, for: address)
        // It has not been tried yet.
        connections[id]?.tried.removeAll { $0 == address }
        want(id, children)
    }

    /// Children are asked for as soon as initiating is possible.
    mutating func want(_ id: ConnectionID, _ children: [ChildID]) {
        let known = connections[id]?.wanted ?? []
        connections[id]?.wanted += children.filter { !known.contains($0) }
    }

    /// Begins the attempts whose turn has come.
    mutating func startQueued() {
        while !isShutDown, let id = attempts.next(limit: limits.attemptsPerRemote) {
            guard let connection = connections[id], !connection.held else { continue }
            connections[id]?.wanted = []
            if connection.attempt != nil || connection.newest != nil {
                // The peer was quicker.
                bring(id, connection.wanted)
            } else {
                initiate(id, children: connection.wanted, isResolved: true, isNext: true)
            }
        }
    }
}
