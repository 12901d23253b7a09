// SPDX-License-Identifier: Apache-2.0
// Adit: Simulation

import AditWire

/// The addresses of the gateways, the NATs before some of them, and what happens to datagrams on the way.
package struct VirtualNetwork {
    /// What the network does to datagrams. Delays reorder, as each datagram has its own.
    package struct Conditions: Sendable {
        package var loss = 0.0
        package var duplication = 0.0
        package var corruption = 0.0
        /// In milliseconds.
        package var delay: ClosedRange<Int> = 1...20
        /// Nothing arrives.
        package var isCut = false

        package init() {}
    }

    /// A NAT with endpoint-independent mapping: one outside port for each inside endpoint.
    struct NAT {
        var outside: IPAddress
        /// Whether only addresses that were written to get in.
        var isFiltering = false
        var outsidePorts: [Endpoint: UInt16] = [:]
        var inside: [UInt16: Endpoint] = [:]
        var contacts: [UInt16: Set<IPAddress>] = [:]
        var nextPort: UInt16 = 20_000
        /// When the present mappings began, after others were forgotten.
        var reboundAt: Timestamp?

        /// Whether it knows an endpoint.
        func maps(_ endpoint: Endpoint) -> Bool { outside == endpoint.address && inside[endpoint.port] != nil }
    }

    package var conditions = Conditions()
    private var holders: [IPAddress: Int] = [:]
    /// Addresses that nothing leaves from or arrives at, though their gateways have them.
    package var deaf: Set<IPAddress> = []
    private(set) var nats: [Int: NAT] = [:]

    package init() {}

    /// Gives a gateway these addresses, and takes away those that it had.
    mutating func assign(_ addresses: [IPAddress], to gateway: Int) {
        holders = holders.filter { $0.value != gateway }
        for address in addresses { holders[address] = gateway }
    }

    /// Puts a gateway behind a NAT, which is another one than before, or behind none.
    mutating func placeNAT(
        before gateway: Int, outside: IPAddress?, isFiltering: Bool = false, at time: Timestamp? = nil
    ) {
        let nextPort = nats[gateway]?.nextPort
        nats[gateway] = outside.map { NAT(outside: $0, isFiltering: isFiltering, reboundAt: time) }
        if let nextPort { nats[gateway]?.nextPort = nextPort }
    }

    /// The NAT before a gateway forgets its mappings, and may get another address.
    mutating func rebind(_ gateway: Int, outside: IPAddress? = nil, at time: Timestamp) {
        guard let nat = nats[gateway] else { return }
        placeNAT(before: gateway, outside: outside ?? nat.outside, isFiltering: nat.isFiltering, at: time)
    }

    /// Since when a gateway behind a NAT could have told `sender` that it is not at this endpoint any more; nil when it
    /// is there, or could not.
    func left(_ endpoint: Endpoint, _ gateway: Int, sender: Int) -> Timestamp? {
        let isSeen = { side in holders.contains { $0.value == side } }
        guard let nat = nats[gateway], !nat.maps(endpoint), deaf.isEmpty, isSeen(gateway), isSeen(sender) else {
            return nil
        }
        return nat.reboundAt
    }

    /// Who was not to be found is, from now on, or is somewhere else.
    package mutating func reappear(at time: Timestamp) {
        for gateway in nats.keys where nats[gateway]?.reboundAt != nil { nats[gateway]?.reboundAt = time }
    }

    /// The source of a gateway's datagram as others see it; nil when it does not have the address.
    mutating func depart(_ gateway: Int, from local: Endpoint, to remote: Endpoint) -> Endpoint? {
        guard holders[local.address] == gateway else { return nil }
        guard var nat = nats[gateway] else { return local }
        defer { nats[gateway] = nat }
        let port = nat.outsidePorts[local] ?? nat.nextPort
        if nat.outsidePorts[local] == nil { nat.nextPort += 1 }
        nat.outsidePorts[local] = port
        nat.inside[port] = local
        nat.contacts[port, default: []].insert(remote.address)
        return Endpoint(nat.outside, port: port)
    }

    /// The gateway and its endpoint that a destination means at this moment.
    func arrive(at destination: Endpoint, from source: Endpoint) -> (gateway: Int, local: Endpoint)? {
        for (gateway, nat) in nats where nat.outside == destination.address {
            guard let local = nat.inside[destination.port], holders[local.address] == gateway,
                !nat.isFiltering || nat.contacts[destination.port]?.contains(source.address) ?? false
            else { return nil }
            return (gateway, local)
        }
        guard let gateway = holders[destination.address], nats[gateway] == nil else { return nil }
        return (gateway, destination)
    }
}
