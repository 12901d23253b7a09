// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Testing

@testable import AditIKE

/// A pair of gateways with connection `c` and its children `n` and `m`, of which one or both are configured anew.
final class Reloaded {
    /// The SPIs of a moment.
    struct Moment {
        var ike: [UInt64]?
        var spis: [String: [SPI]] = [:]
    }

    let pair: IKEPair
    /// What each side is configured with.
    var configurations: [ConnectionConfiguration]
    /// How it was when it was ``connected(children:sourceLocation:)``.
    var before = Moment()

    static let names = ["n", "m"]
    static let otherProposals = [try? Proposal(parsing: "aes256gcm16", for: .esp, allowLegacy: false)]
        .compactMap { $0 }

    init(
        seed: UInt64 = 77, children: Int = 2, network: Network = Network(),
        _ change: (inout ConnectionConfiguration, inout ConnectionConfiguration) -> Void = { _, _ in }
    ) {
        let sides = Sides.pair { left, right in
            if children == 2 {
                left.children.append(Self.second(0))
                right.children.append(Self.second(1))
            }
            change(&left, &right)
        }
        configurations = sides.map { $0[0] }
        pair = IKEPair(seed: seed, network: network, sides)
    }

    /// The child `m` of a side.
    static func second(_ node: Int) -> ChildConfiguration {
        let nets = ["10.3.0.0/16", "10.4.0.0/16"]
        var child = Sides.child("m", nets[node], nets[1 - node])
        child.startAction = .none
        return child
    }

    /// The same, up.
    func connected(children: Int? = nil, sourceLocation: SourceLocation = #_sourceLocation) -> Reloaded {
        let count = children ?? configurations[0].children.count
        #expect(pair.connect(children: count), "\(pair.story)", sourceLocation: sourceLocation)
        pair.run(5)
        confirm()
        remember()
        return self
    }

    /// Packets pass on every SA, so that each side knows that the other one has it.
    func confirm() {
        for node in pair.nodes.indices {
            for spi in pair.nodes[node].children.keys { pair.event(.inboundActivity(inboundSPI: spi), node) }
        }
    }

    /// Compares with this moment from now on.
    func remember() {
        before = Moment(ike: ike, spis: Dictionary(uniqueKeysWithValues: Self.names.map { ($0, spis(0, $0)) }))
    }

    /// Configures a side anew.
    func reload(_ node: Int, _ change: (inout ConnectionConfiguration) -> Void) {
        change(&configurations[node])
        pair.command(.configure([configurations[node]]), node)
    }

    /// The IKE SA in use.
    var ike: [UInt64]? { pair.nodes[0].endpoint.status()[0].ikeSA.map { [$0.initiatorSPI, $0.responderSPI] } }

    func spis(_ node: Int, _ child: String) -> [SPI] {
        pair.nodes[node].children.values.filter { $0.sa.child == child }.map(\.sa.inboundSPI)
            .sorted { $0.rawValue < $1.rawValue }
    }

    /// The SA on which a side sends.
    func installation(_ node: Int, _ child: String) -> ChildSAInstallation? { pair.nodes[node].outbound(child) }

    func installation(_ node: Int, _ child: String, replacing old: SPI?) -> ChildSAInstallation? {
        pair.nodes[node].children.values.map(\.sa).first { $0.child == child && $0.replaces == old }
    }

    func suite(_ child: String) -> CipherSuite? { installation(0, child)?.suite }

    func reports(_ node: Int, _ name: String) -> Int { pair.reports(node).count { $0 == name } }

    func connection(_ node: Int) -> Connection? {
        let table = pair.nodes[node].endpoint.connections
        return table.id(named: "c").flatMap { table[$0] }
    }

    /// Waits until everything has settled: the IKE SA is the one it was, children that were kept have the SPIs that
    /// they had, those made anew have others, and there are no others; nothing is left over on either side.
    func expect(
        kept: [String], anew: [String], ike isKept: Bool = true, within seconds: Double = 12,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        pair.run(seconds)
        #expect((ike == before.ike) == isKept, "the IKE SA", sourceLocation: sourceLocation)
        for name in Self.names {
            let (old, new) = (before.spis[name] ?? [], spis(0, name))
            if kept.contains(name) {
                #expect(new == old && new.count == 1, "\(name) is kept: \(pair.story)", sourceLocation: sourceLocation)
            } else if anew.contains(name) {
                #expect(
                    new.count == 1 && new != old, "\(name) is made anew: \(pair.story)", sourceLocation: sourceLocation)
            } else {
                #expect(new.isEmpty, "\(name) is gone: \(pair.story)", sourceLocation: sourceLocation)
            }
        }
        #expect(pair.mirrored() == nil, "\(pair.story)", sourceLocation: sourceLocation)
        #expect(pair.problems == [], "\(pair.story)", sourceLocation: sourceLocation)
        for node in pair.nodes {
            #expect(node.endpoint.childSACount == node.children.count, "\(node.name)", sourceLocation: sourceLocation)
            let unused = node.children.values.filter { !$0.active }
            #expect(unused.isEmpty, "\(node.name) sends on all: \(pair.story)", sourceLocation: sourceLocation)
        }
    }
}
