// SPDX-License-Identifier: Apache-2.0
// Adit: AditControl

internal import AditESP
internal import AditIKE
internal import AditWire

/// Numbers the configured children, so that a packet without an SA can name the one it needs.
final class PolicyDirectory {
    private let table: SATable
    private var names: [UInt32: (connection: String, child: String)] = [:]
    private var next: UInt32 = 1

    init(table: SATable) { self.table = table }

    /// Publishes the policies of `connections` and forgets the ones before; numbers are never used again.
    func publish(_ connections: [ConnectionConfiguration]) {
        names = [:]
        var policies: [Policy] = []
        for connection in connections {
            for child in connection.children {
                policies.append(
                    Policy(id: next, local: child.localSelectors, remote: child.remoteSelectors))
                names[next] = (connection.name, child.name)
                next &+= 1
            }
        }
        table.setPolicies(policies)
    }

    /// Whose policy it is; nil when the configuration changed since.
    subscript(id: UInt32) -> (connection: String, child: String)? { names[id] }
}
