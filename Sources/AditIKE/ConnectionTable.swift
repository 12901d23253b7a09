// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

/// A peer as a connection knows it: the identity that it proved.
struct PeerKey: Hashable, Sendable {
    let connection: ConnectionID
    let identity: Identity
}

/// A pair of peers as INITIAL_CONTACT means it (RFC 7296 §2.4): who we are, and who or where the peer is.
struct Contact: Hashable, Sendable {
    let local: Identity
    let remote: Remote

    /// The identity that the peer proved or has to have; where any will do, its address.
    enum Remote: Hashable, Sendable {
        case identity(Identity)
        case address(IPAddress)
    }
}

/// The configured connections, found by name, by the peer's address, and by the peer's identity.
struct ConnectionTable: Sendable {
    private var entries: [ConnectionID: Connection] = [:]
    private var names: [String: ConnectionID] = [:]
    private var order: [ConnectionID] = []
    private var nextID: UInt32 = 0
    // Connections with remote addresses, by each of them.
    private var byAddress: [IPAddress: [ConnectionID]] = [:]
    // Connections that accept any address, by the identity that they want; nil: any, or a pattern.
    private var anyAddress: [Identity?: [ConnectionID]] = [:]
    // One connection that accepts any address for each set of proposals: enough to answer IKE_SA_INIT.
    private var representatives: [[Proposal]: [ConnectionID]] = [:]
    // Connections that were taken down by command.
    private var down: Set<ConnectionID> = []

    /// The connections in configuration order.
    var ids: [ConnectionID] { order }

    /// One connection; nil when it is no longer configured.
    subscript(id: ConnectionID) -> Connection? {
        get { entries[id] }
        _modify { yield &entries[id] }
    }

    /// The connection called `name`.
    func id(named name: String) -> ConnectionID? { names[name] }

    /// Adds a connection at the end of the order.
    mutating func add(_ configuration: ConnectionConfiguration) -> ConnectionID {
        let id = ConnectionID(rawValue: nextID)
        nextID += 1
        entries[id] = Connection(id: id, configuration: configuration)
        names[configuration.name] = id
        order.append(id)
        insertIntoIndex(id, configuration)
        return id
    }

    /// Removes connections.
    mutating func remove(_ removed: [ConnectionID]) {
        for id in removed {
            guard let connection = entries.removeValue(forKey: id) else { continue }
            down.remove(id)
            if names[connection.configuration.name] == id { names[connection.configuration.name] = nil }
        }
    }

    /// Puts the connections into the order of `wanted`.
    mutating func arrange(_ wanted: [String]) {
        order = wanted.compactMap { names[$0] }
        rebuildIndex()
    }

    /// Takes a connection down, or lets it come up again.
    mutating func setHeld(_ held: Bool, _ id: ConnectionID) {
        guard let connection = entries[id], connection.held != held else { return }
        entries[id]?.held = held
        entries[id]?.afterDeath = nil
        if held { down.insert(id) } else { down.remove(id) }
        rebuildIndex()
    }

    /// Connections that may answer a first message, those with the peer's address first.
    func candidates(local: IPAddress, remote: IPAddress) -> [Connection] {
        let any = representatives.values.flatMap { $0 }.sorted()
        return fitting((byAddress[remote] ?? []) + any, local: local)
    }

    /// Connections that a peer with this identity may mean: those that name the identity first, by address first.
    func candidates(local: IPAddress, remote: IPAddress, identity: Identity) -> [Connection] {
        let exact = fitting((byAddress[remote] ?? []) + (anyAddress[Self.indexed(identity)] ?? []), local: local)
        let loose = fitting(anyAddress[Identity?.none] ?? [], local: local)
        let named = (exact + loose).filter { $0.configuration.remoteID?.matches(identity) ?? false }
        return named + (exact + loose).filter { $0.configuration.remoteID == nil }
    }

    /// Some connections that a peer at this address could have meant, for reports.
    func expected(local: IPAddress, remote: IPAddress) -> [Connection] {
        let known = fitting(byAddress[remote] ?? [], local: local)
        return known.isEmpty ? Array(candidates(local: local, remote: remote).prefix(Self.shownLimit)) : known
    }

    /// The connection that a peer at this address, and with this identity if it is known, means, when that was taken
    /// down: for reports.
    func takenDown(local: IPAddress, remote: IPAddress, identity: Identity? = nil) -> Connection? {
        down.sorted().lazy.compactMap { entries[$0] }.first { connection in
            let configuration = connection.configuration
            return configuration.accepts(local: local)
                && (configuration.remoteAddresses.isEmpty || !configuration.remoteNames.isEmpty
                    || configuration.remoteAddresses.contains(remote))
                && identity.map { configuration.remoteID?.matches($0) ?? true } ?? true
        }
    }

    private mutating func rebuildIndex() {
        byAddress = [:]
        anyAddress = [:]
        representatives = [:]
        for id in order {
            guard let connection = entries[id], !connection.held else { continue }
            insertIntoIndex(id, connection.configuration)
        }
    }

    /// The identity by which a configured one is found; nil for one that stands for several.
    private static func indexed(_ identity: Identity) -> Identity? {
        switch identity {
        case .fqdn(let name): identity.isPattern ? nil : .fqdn(name.lowercased())
        case .email(let name): identity.isPattern ? nil : .email(name.lowercased())
        case .distinguishedName(let name):
            .distinguishedName(DistinguishedName(der: name)?.canonical.der ?? name)
        case .address, .keyID: identity
        }
    }

    private func fitting(_ ids: [ConnectionID], local: IPAddress) -> [Connection] {
        ids.compactMap { entries[$0] }.filter { !$0.held && $0.configuration.accepts(local: local) }
    }

    private mutating func insertIntoIndex(_ id: ConnectionID, _ configuration: ConnectionConfiguration) {
        for address in Set(configuration.remoteAddresses) { byAddress[address, default: []].append(id) }
        guard configuration.remoteAddresses.isEmpty || !configuration.remoteNames.isEmpty else { return }
        anyAddress[configuration.remoteID.flatMap(Self.indexed), default: []].append(id)
        let same = representatives[configuration.proposals] ?? []
        // Connections on different local addresses, with other NAT or fragmentation wishes, are not the same.
        guard !same.contains(where: { entries[$0].map { answersAlike($0.configuration, configuration) } ?? false })
        else { return }
        representatives[configuration.proposals, default: []].append(id)
    }

    private func answersAlike(_ left: ConnectionConfiguration, _ right: ConnectionConfiguration) -> Bool {
        left.localAddresses == right.localAddresses
            && left.authentication.authorities == right.authentication.authorities && left.encap == right.encap
            && left.fragmentation == right.fragmentation && left.allowLegacy == right.allowLegacy
            && left.childless == right.childless
    }

    private static let shownLimit = 4
}

extension ConnectionConfiguration {
    /// Whether a message to this address of ours may be for the connection.
    fileprivate func accepts(local: IPAddress) -> Bool {
        localAddresses.isEmpty || local.isUnspecified || localAddresses.contains(local)
    }
}
