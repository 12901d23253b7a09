// SPDX-License-Identifier: Apache-2.0
// Adit: AditControlTests

import AditCrypto
import AditESP
import AditIKE
import AditWire
import Testing

@testable import AditControl

@Suite struct ChildDirectoryTests {
    private func connection(_ name: String, _ children: [(String, ChildConfiguration.StartAction)])
        -> ConnectionConfiguration
    {
        let selectors = [TrafficSelector("10.0.0.0/8"), TrafficSelector("fd00::/8")].compactMap { $0 }
        return ConnectionConfiguration(
            name: name, authentication: .preSharedKey(SecretBytes([1, 2, 3])),
            children: children.map { child, action in
                var configuration = ChildConfiguration(
                    name: child, localSelectors: selectors, remoteSelectors: selectors)
                configuration.startAction = action
                return configuration
            })
    }

    @Test func childrenAreNumberedInTheOrderOfTheFile() {
        let directory = ChildDirectory(table: SATable(workers: 1)) { Issue.record("\($0)") }
        directory.publish([
            connection("paris", [("net", .trap), ("voice", .start)]), connection("rome", [("net", .none)]),
        ])
        #expect(directory[1].map { "\($0.connection)/\($0.child)" } == "paris/net")
        #expect(directory[2].map { "\($0.connection)/\($0.child)" } == "paris/voice")
        #expect(directory[3].map { "\($0.connection)/\($0.child)" } == "rome/net")
        #expect(directory[4] == nil)
        #expect(directory.order(connection: "paris", child: "voice") == 1)
        #expect(directory.order(connection: "nobody", child: "net") == .max)
    }

    @Test func aChildThatStaysKeepsItsNumber() {
        let directory = ChildDirectory(table: SATable(workers: 1)) { Issue.record("\($0)") }
        directory.publish([connection("paris", [("net", .trap), ("voice", .start)])])
        var changed = connection("paris", [("new", .trap), ("voice", .none), ("net", .trap)])
        changed.children[2].remoteSelectors.removeLast()
        directory.publish([changed])
        #expect(directory[2].map(\.child) == "voice" && directory.order(connection: "paris", child: "voice") == 1)
        #expect(directory[1] == nil, "other selectors, another policy")
        #expect(directory[3].map(\.child) == "new" && directory[4].map(\.child) == "net")
    }

    @Test func numbersAreNeverUsedAgain() {
        let directory = ChildDirectory(table: SATable(workers: 1)) { Issue.record("\($0)") }
        directory.publish([connection("paris", [("net", .trap)])])
        directory.publish([connection("rome", [("net", .trap)])])
        #expect(directory[1] == nil, "a hint about the old configuration names nothing any more")
        #expect(directory[2].map(\.connection) == "rome")
    }

    /// Where it is not known from which address a peer will call, its answer must not go into the tunnel.
    @Test func routesStandWhereThePeerIsKnown() {
        var one = connection("paris", [("net", .none), ("other", .trap)])
        one.children[0].remoteSelectors.append(TrafficSelector("0.0.0.0/0")!)
        for action in ConnectionConfiguration.DeadPeerAction.allCases {
            one.dpdAction = action
            one.remoteAddresses = []
            one.remoteNames = []
            #expect(one.children.allSatisfy { ChildDirectory.routed($0, one) == nil }, "%any, \(action)")
            one.remoteNames = [RemoteName("vpn.example.com")]
            #expect(ChildDirectory.routed(one.children[0], one)?.remoteSelectors.count == 2)
            #expect(ChildDirectory.routed(one.children[1], one) == one.children[1])
            one.remoteAddresses = [IPAddress("192.0.2.1")!]
            #expect(one.children.allSatisfy { ChildDirectory.routed($0, one) == $0 })
        }
    }
}
