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
        var outsidePorts: [Endpoint: UInt16] = [:]
        var inside: [UInt16: Endpoint] = [:]
        var nextPort: UInt16 = 20_000
        /// When it last forgot its mappings.
        var reboundAt: Timestamp?
    }

    package var conditions = Conditions()
    private var holders: [IPAddress: Int] = [:]
    private(set) var nats: [Int: NAT] = [:]

    package init() {}

    /// Gives an address to a gateway.
    mutating func assign(_ address: IPAddress, to gateway: Int) { holders[address] = gateway }

    /// Takes an address away from whoever has it.
    mutating func withdraw(_ address: IPAddress) { holders[address] = nil }

    /// Who has an address.
    func holder(of address: IPAddress) -> Int? { holders[address] }

    /// Puts a gateway behind a NAT.
    mutating func placeNAT(before gateway: Int, outside: IPAddress) { nats[gateway] = NAT(outside: outside) }

    /// The NAT before a gateway forgets its mappings, and may get another address.
    mutating func rebind(_ gateway: Int, outside: IPAddress? = nil, at time: Timestamp) {
        guard let nat = nats[gateway] else { return }
        var fresh = NAT(outside: outside ?? nat.outside)
        fresh.nextPort = nat.nextPort
        fresh.reboundAt = time
        nats[gateway] = fresh
    }

    /// The source of a gateway's datagram as others see it; nil when it does not have the address.
    mutating func depart(_ gateway: Int, from local: Endpoint) -> Endpoint? {
        guard holders[local.address] == gateway else { return nil }
        guard var nat = nats[gateway] else { return local }
        defer { nats[gateway] = nat }
        if let port = nat.outsidePorts[local] { return Endpoint(nat.outside, port: port) }
        let port = nat.nextPort
        nat.nextPort += 1
        nat.outsidePorts[local] = port
        nat.inside[port] = local
        return Endpoint(nat.outside, port: port)
    }

    /// The gateway and its endpoint that a destination means at this moment.
    func arrive(at destination: Endpoint) -> (gateway: Int, local: Endpoint)? {
        for (gateway, nat) in nats where nat.outside == destination.address {
            return nat.inside[destination.port].map { (gateway, $0) }
        }
        guard let gateway = holders[destination.address], nats[gateway] == nil else { return nil }
        return (gateway, destination)
    }
}
