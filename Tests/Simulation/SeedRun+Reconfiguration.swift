// SPDX-License-Identifier: Apache-2.0
// Adit: Simulation

import AditIKE
import AditWire

// A child is configured anew: its own traffic may stop where its SAs are made anew, that of the others never.

extension SeedRun {
    mutating func reconfigure(_ side: Int, _ child: String, _ change: Scenario.Reconfiguration) {
        switch change {
        case .timing:
            configure(side, child) { $0.rekeyTime = .seconds($0.rekeyTime > .seconds(60) ? 60 : 3600) }
        case .replayWindow: configure(side, child) { $0.replayWindow = $0.replayWindow == 64 ? 4096 : 64 }
        case .proposals:
            excuse(child)
            configure(side, child) { $0.proposals = $0.proposals == Self.strict ? Proposal.defaultESP : Self.strict }
        case .removal(let seconds): remove(side, child, for: seconds)
        case .addition:
            alter(side) { connection in
                guard !connection.children.contains(where: { $0.name == Sites.stranger }),
                    var other = connection.children.first
                else { return connection.children.removeAll { $0.name == Sites.stranger } }
                other.name = Sites.stranger
                other.startAction = .none
                other.localSelectors = Self.selectors("10.8.0.0/24")
                other.remoteSelectors = Self.selectors("10.9.0.0/24")
                connection.children.insert(other, at: 0)
            }
        }
    }

    /// A connection has one child at the least.
    private func remove(_ side: Int, _ child: String, for seconds: Int) {
        let before = simulation.gateways[side].configurations
        guard before.contains(where: { $0.children.count > 1 }) else { return }
        excuse(child, for: seconds)
        alter(side) { $0.children.removeAll { $0.name == child } }
        simulation.run(.seconds(seconds))
        simulation.command(.configure(before), side)
    }

    private func configure(_ side: Int, _ child: String, _ body: (inout ChildConfiguration) -> Void) {
        alter(side) { connection in
            for index in connection.children.indices where connection.children[index].name == child {
                body(&connection.children[index])
            }
        }
    }

    private func alter(_ side: Int, _ body: (inout ConnectionConfiguration) -> Void) {
        var connections = simulation.gateways[side].configurations
        for index in connections.indices { body(&connections[index]) }
        simulation.command(.configure(connections), side)
    }

    private func excuse(_ child: String, for seconds: Int = 0) {
        simulation.traffic.excuse(child, until: simulation.now + .seconds(seconds) + TrafficWatch.recovery)
    }

    private static func selectors(_ text: String) -> [TrafficSelector] {
        IPPrefix(text).map { [TrafficSelector($0)] } ?? []
    }

    /// One of the proposals that both sides take otherwise.
    private static let strict = [try? Proposal(parsing: "aes256gcm16", for: .esp, allowLegacy: false)]
        .compactMap { $0 }
}
