// SPDX-License-Identifier: Apache-2.0
// Adit: SimulationTests

import AditWire
import Testing

@testable import AditIKE
@testable import Simulation

/// IKE SAs that begin, or go on, without a child (RFC 6023), and how their children come up.
@Suite struct ChildlessTests {
    @Test("childless: regular", arguments: [ConnectionConfiguration.ChildlessPolicy.prefer, .force])
    func regular(policy: ConnectionConfiguration.ChildlessPolicy) throws {
        let crossing = Crossing { left, right in
            (left.childless, right.childless) = (policy, policy)
        }
        // RFC 6023 §3: IKE_AUTH has neither SA nor selectors, in both directions.
        let proofs = crossing.beginning.filter { $0.header.exchange == .ikeAuth }
        #expect(proofs.count == 2 && proofs.allSatisfy { $0.contents.authentication != nil }, "\(crossing.story)")
        #expect(proofs.allSatisfy { $0.contents.securityAssociation == nil && $0.contents.initiatorSelectors == nil })
        // The child follows, with nonces and a key exchange of its own.
        let created = crossing.beginning.filter { $0.header.exchange == .createChildSA }
        #expect(created.count == 2 && created.allSatisfy { $0.contents.nonce != nil && $0.contents.keyExchange != nil })
        crossing.release(seconds: 30)
        crossing.expectSettled()
    }

    @Test("childless: the responder does not announce it, so the child comes with IKE_AUTH, or nothing does")
    func notSupported() {
        let crossing = Crossing { left, right in
            (left.childless, right.childless) = (.prefer, .never)
        }
        let proofs = crossing.beginning.filter { $0.header.exchange == .ikeAuth }
        #expect(proofs.count == 2 && proofs.allSatisfy { $0.contents.securityAssociation != nil }, "\(crossing.story)")
        crossing.release(seconds: 30)
        crossing.expectSettled()
        // RFC 6023 §3: never without the responder's notification, not even where nothing else is wanted.
        let refused = refusal(of: .force, by: .never)
        #expect(refused.gateways[0].failures.map(\.code) == [.childlessRequired])
    }

    @Test("childless: a responder that wants it refuses an IKE_AUTH with a child, and keeps nothing")
    func forced() {
        for policy in [ConnectionConfiguration.ChildlessPolicy.allow, .never] {
            let refused = refusal(of: policy, by: .force)
            #expect(refused.gateways[1].failures.map(\.code) == [.childlessRequired])
            #expect(refused.gateways[0].failures.map(\.code) == [.peerNotify])
        }
    }

    @Test("childless: an IKE SA whose last child is gone is rekeyed, and both sides create the child at once")
    func createdTwiceAfterRekey() {
        let crossing = Crossing { left, right in
            (left.children[0].startAction, right.children[0].startAction) = (.trap, .trap)
        }
        crossing.allowGaps()
        crossing.simulation.probeInterval = nil
        crossing.deliverAll([crossing.deleteChild(0)])
        #expect(crossing.simulation.gateways.allSatisfy { $0.isEstablished() && $0.children().isEmpty })
        crossing.deliverAll([crossing.rekeyIKE(1)])
        #expect(crossing.role(1) == .initiator && crossing.role(0) == .responder, "\(crossing.story)")
        let requests = [crossing.createChild(0), crossing.createChild(1)]
        crossing.deliverAll(requests)
        crossing.release(seconds: 200)
        crossing.expectSettled()
    }

    /// An attempt that has to fail: one that begins with this policy, at a peer with that one.
    private func refusal(
        of ours: ConnectionConfiguration.ChildlessPolicy, by theirs: ConnectionConfiguration.ChildlessPolicy
    ) -> Simulation {
        let simulation = Simulation(
            seed: 1,
            Sites.pair { left, right in
                (left.childless, right.childless) = (ours, theirs)
            })
        simulation.isTraced = true
        simulation.command(.initiate(connection: Sites.connection, child: nil), 0)
        simulation.run(.seconds(100))
        for gateway in simulation.gateways {
            #expect(!gateway.isEstablished() && gateway.dataPlane.pairs.isEmpty, "\(simulation.trace)")
            #expect(gateway.endpoint.ikeSACount == 0 && gateway.endpoint.childSACount == 0)
        }
        #expect(simulation.problems == [])
        return simulation
    }
}
