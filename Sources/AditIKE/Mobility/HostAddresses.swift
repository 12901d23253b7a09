// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditWire

/// An address of this host.
public struct HostAddress: Hashable, Sendable {
    /// The address.
    public var address: IPAddress
    /// Whether peers may reach us there without being told so by the configuration: an address of global scope that is
    /// listened on, of an interface that is up and neither the loopback nor the tunnel itself.
    public var isOuter: Bool

    /// An address of this host.
    public init(_ address: IPAddress, isOuter: Bool) {
        self.address = address
        self.isOuter = isOuter
    }
}

/// What the routing table says: the local address from which a remote one is reached, nil when it cannot be reached.
public struct RouteLookup: Sendable {
    let localAddress: @Sendable (IPAddress) -> IPAddress?

    /// A lookup that asks `localAddress` whenever addresses or routes have changed.
    public init(_ localAddress: @escaping @Sendable (IPAddress) -> IPAddress?) { self.localAddress = localAddress }
}

extension IKEEndpoint {
    /// Our addresses that a connection may use, the preferred first; the host has them all.
    func usableAddresses(_ configuration: ConnectionConfiguration, _ family: IPAddress.Family) -> [IPAddress] {
        guard configuration.localAddresses.isEmpty else {
            return configuration.localAddresses.filter { local in
                local.family == family && hostAddresses.contains { $0.address == local }
            }
        }
        return hostAddresses.lazy.filter { $0.isOuter && $0.address.family == family }.map(\.address)
    }

    /// Our address for datagrams to `remote`: the one that the route has, if the connection may use it, else the first
    /// of those that it is configured with; nil when `remote` cannot be reached.
    func localAddress(to remote: IPAddress, _ configuration: ConnectionConfiguration) -> IPAddress? {
        guard let route = routes.localAddress(remote) else { return nil }
        let usable = usableAddresses(configuration, remote.family)
        if usable.contains(route) { return route }
        return configuration.localAddresses.isEmpty ? nil : usable.first
    }

    /// Whether the host has an address.
    func hasAddress(_ address: IPAddress) -> Bool { hostAddresses.contains { $0.address == address } }

    /// Our addresses that the peer is told beside the one in use (RFC 4555 §3.4): none that it is to reach through the
    /// tunnel, as nobody outside needs to know them (RFC 4555 §5.5).
    func additionalAddresses(_ configuration: ConnectionConfiguration, _ sa: IKESA) -> [IPAddress] {
        let usable = usableAddresses(configuration, .v4) + usableAddresses(configuration, .v6)
        let others = usable.filter { address in
            address != sa.local.address && address.isUnicast
                && !isInside(address, configuration.children.flatMap(\.localSelectors), beside: sa.local.address)
        }
        return Array(others.prefix(Mobility.announcementLimit))
    }

    /// The peer's addresses that may be tried, beside the one in use: told by it, or configured.
    func otherAddresses(_ configuration: ConnectionConfiguration, _ sa: IKESA) -> [IPAddress] {
        var addresses: [IPAddress] = []
        let configured = sa.connection.flatMap { connections[$0]?.remotes } ?? []
        for address in (sa.mobility?.peerAddresses ?? []) + configured
        where address != sa.remote.address && !addresses.contains(address)
            && !isInside(address, configuration.children.flatMap(\.remoteSelectors), beside: sa.remote.address)
        {
            addresses.append(address)
        }
        return addresses
    }

    /// Whether an address lies in what a tunnel protects; a selector that has the outer address `used`, too, tells
    /// nothing.
    private func isInside(_ address: IPAddress, _ selectors: [TrafficSelector], beside used: IPAddress) -> Bool {
        selectors.contains { $0.contains(address) && !$0.contains(used) }
    }
}

extension TrafficSelector {
    fileprivate func contains(_ address: IPAddress) -> Bool {
        address.family == family && first <= address && address <= last
    }
}
