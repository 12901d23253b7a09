// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// Children that carry nothing for a while are deleted; their IKE SA stays, and the next packet brings them back.

extension IKEEndpoint {
    /// Packets passed on a Child SA.
    mutating func noteTraffic(_ spi: SPI) {
        guard let owner = childOwners[spi] else { return }
        withIKESA(owner) { endpoint, sa in
            guard let index = sa.session?.index(inbound: spi) else { return }
            sa.session?.children[index].lastTraffic = endpoint.now
        }
    }

    /// When packets last passed on the SA that a new one replaces: a rekey is no traffic.
    func lastTraffic(of replaced: SPI?, _ sa: IKESA) -> Timestamp? {
        guard let replaced, let owner = childOwners[replaced] else { return nil }
        let session = owner == sa.spi ? sa.session : ikeSAs[owner]?.session
        return session?.children.first { $0.inbound == replaced }?.lastTraffic
    }

    /// Starts the clock of a new child.
    mutating func watchInactivity(_ child: ChildSA, _ configuration: ChildConfiguration) {
        guard configuration.inactivity > .zero else { return }
        timers.set(.inactivity(child.inbound), at: child.lastTraffic + limit(configuration))
    }

    /// The time has come to see whether a child has carried anything.
    mutating func checkInactivity(_ spi: SPI) {
        guard let owner = childOwners[spi] else { return }
        withIKESA(owner) { endpoint, sa in
            guard let index = sa.session?.index(inbound: spi), let child = sa.session?.children[index],
                let id = sa.connection, let configuration = endpoint.connections[id]?.configuration,
                let settings = endpoint.childConfiguration(child.child, sa), child.phase == .installed
            else { return }
            guard child.lastTraffic + endpoint.limit(settings) <= endpoint.now else {
                endpoint.watchInactivity(child, settings)
                return
            }
            endpoint.connections[id]?.idle.insert(child.child)
            endpoint.effects.append(
                .report(.childIdle(connection: configuration.name, child: settings.name, after: settings.inactivity)))
            endpoint.startDelete([spi], &sa)
        }
    }

    /// Traffic is told of once a second: a shorter time would end children that carry something.
    private func limit(_ configuration: ChildConfiguration) -> Duration {
        max(configuration.inactivity, Self.shortestInactivity)
    }

    private static let shortestInactivity: Duration = .seconds(3)
}
