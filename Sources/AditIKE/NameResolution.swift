// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditWire

// Host names among a connection's remote addresses: asked for before each attempt, outside the machine, as that may
// take seconds; the attempt waits for the answer, and nothing else does.

/// A host name among the remote addresses of a connection.
public struct RemoteName: Sendable, Hashable {
    /// The name.
    public var name: String
    /// How many of ``ConnectionConfiguration/remoteAddresses`` are tried before its addresses.
    public var position: Int

    /// A name that stands after the first `position` addresses.
    public init(_ name: String, position: Int = 0) {
        self.name = name
        self.position = position
    }
}

/// What became of one host name.
public struct NameResolution: Sendable, Hashable {
    /// The name.
    public var name: String
    /// Its addresses, in the order in which they are to be tried; empty after a failure.
    public var addresses: [IPAddress]
    /// Why there are none, in words for people.
    public var failure: String?

    /// The outcome for `name`.
    public init(name: String, addresses: [IPAddress], failure: String? = nil) {
        self.name = name
        self.addresses = addresses
        self.failure = failure
    }
}

extension IKEEndpoint {
    /// The address that an attempt for `children` goes to; nil when its names are asked for first.
    mutating func remoteForAttempt(_ id: ConnectionID, _ children: [ChildID], isResolved: Bool) -> IPAddress? {
        guard let connection = connections[id] else { return nil }
        if !connection.configuration.remoteNames.isEmpty, !isResolved {
            ask(id, connection, children)
            return nil
        }
        guard let remote = connection.nextRemote else { return nil }
        // Attempts that are given up, not failed, come here with the same address again.
        if !connection.tried.contains(remote), connection.tried.count < Connection.triedLimit {
            connections[id]?.tried.append(remote)
        }
        return remote
    }

    private mutating func ask(_ id: ConnectionID, _ connection: Connection, _ children: [ChildID]) {
        if let waiting = connection.resolving {
            connections[id]?.resolving = Array(Set(waiting + children)).sorted()
            return
        }
        connections[id]?.resolving = children
        timers.set(.resolution(id), at: now + limits.resolutionTimeout)
        effects.append(
            .resolve(
                connection: connection.configuration.name, names: connection.configuration.remoteNames.map(\.name),
                token: id.rawValue))
    }

    /// The names of a connection were looked up: the attempt that waits for them begins.
    mutating func resolved(_ token: UInt32, _ answers: [NameResolution]) {
        let id = ConnectionID(rawValue: token)
        guard let connection = connections[id], let children = connection.resolving else { return }
        timers.cancel(.resolution(id))
        connections[id]?.resolving = nil
        for answer in answers where connection.configuration.remoteNames.contains(where: { $0.name == answer.name }) {
            // A name that cannot be looked up just now keeps the addresses it had: its server may be behind the tunnel.
            guard !answer.addresses.isEmpty else { continue }
            connections[id]?.resolved[answer.name] = Array(answer.addresses.prefix(Connection.addressesPerName))
        }
        guard let remotes = connections[id]?.remotes, !remotes.isEmpty else {
            attemptFailed(id, children: children, unresolved(connection.configuration, answers))
            return
        }
        if connection.attempt != nil || connection.newest != nil {
            // The peer was quicker.
            bring(id, children)
        } else {
            initiate(id, children: children, isResolved: true)
        }
    }

    /// Nobody answered in time.
    mutating func expireResolution(_ id: ConnectionID) {
        let names = connections[id]?.configuration.remoteNames ?? []
        let failure = "no answer within \(limits.resolutionTimeout.components.seconds) s"
        resolved(id.rawValue, names.map { NameResolution(name: $0.name, addresses: [], failure: failure) })
    }

    /// None of the names has an address.
    private func unresolved(
        _ configuration: ConnectionConfiguration, _ answers: [NameResolution]
    ) -> FailureReport {
        let reasons = answers.map { "\($0.name) (\($0.failure ?? "no address"))" }.joined(separator: ", ")
        return FailureReport(
            connection: configuration.name, code: .nameResolutionFailed, stage: .resolve,
            message: "cannot look up \(reasons)",
            suggestion: "Correct the name in remote_addrs, check this machine's name servers "
                + "(getent hosts \(answers.first?.name ?? "NAME")), or put the peer's address into remote_addrs.",
            comparison: [
                FailureReport.Comparison(
                    subject: "remote_addrs", ours: configuration.remoteNames.map(\.name), theirs: [], mismatch: true)
            ])
    }
}

extension Connection {
    /// Every address of the peer that is known, in the order of the configuration.
    var remotes: [IPAddress] {
        let (literals, names) = (configuration.remoteAddresses, configuration.remoteNames)
        guard !names.isEmpty else { return literals }
        var all: [IPAddress] = []
        for position in 0...literals.count {
            let here = names.filter { min(max($0.position, 0), literals.count) == position }
            for address in here.flatMap({ resolved[$0.name] ?? [] }) + literals[position...].prefix(1)
            where !all.contains(address) { all.append(address) }
        }
        return all
    }

    /// The first address that was not tried in this round; after a round the first one.
    var nextRemote: IPAddress? {
        let remotes = remotes
        return remotes.first { !tried.contains($0) } ?? remotes.first
    }

    /// Whether an address is left in this round.
    var hasUntriedRemote: Bool { tried.count < Self.triedLimit && remotes.contains { !tried.contains($0) } }

    /// Addresses of one name at the most.
    static let addressesPerName = 16
    /// Addresses tried in one round at the most, should a name have others each time.
    static let triedLimit = 64
}
