// SPDX-License-Identifier: Apache-2.0
// Adit: SimulationTests

import AditWire
import Testing

@testable import AditIKE
@testable import Simulation

/// Deleting and creating children, and rekeys and deletions of one child at once (RFC 7296 §1.4.1, §2.25.1).
@Suite struct ChildDeleteTests {
    @Test("child rekey: collision_delete", arguments: [0, 1])
    func delete(rekeying side: Int) {
        let crossing = Crossing(allowsGaps: true)
        let rekey = crossing.rekeyChild(side)
        let delete = crossing.deleteChild(1 - side)
        let refusal = crossing.exchange(rekey)
        #expect(crossing.answers(.temporaryFailure, by: 1 - side) == 1)
        let answer = crossing.exchange(delete)
        // RFC 7296 §2.25.1: a request to close what one is rekeying is answered as usual.
        #expect(crossing.history.last { $0.side == side }?.contents.deletes.count == 1)
        crossing.deliverAll([refusal, answer])
        crossing.release()
        crossing.expectSettled(children: 0)
    }

    @Test("what the data plane refused is deleted at a peer that gets the answer late, too", arguments: [0, 1])
    func refusedByDataPlane(by side: Int) {
        let crossing = Crossing { left, right in
            (left.children[0].startAction, right.children[0].startAction) = (.start, .start)
        }
        crossing.allowGaps()
        crossing.simulation.gateways[side].dataPlane.refusals = 1
        // The answer is lost; DELETE, for a child that the peer does not know, is not.
        _ = crossing.deliver(crossing.rekeyChild(1 - side))
        #expect(crossing.simulation.gateways[side].failures.count == 1)
        crossing.simulation.run(.seconds(8))
        let letters = crossing.takeHeld()
        crossing.deliverAll(letters.filter { $0.sender == side })
        #expect(crossing.deleted(by: side).count == 1, "\(crossing.story)")
        crossing.release(letters.filter { $0.sender != side })
        crossing.expectSettled()
    }

    @Test("child rekey: collision_delete_drop_delete", arguments: [0, 1])
    func dropDelete(rekeying side: Int) {
        let crossing = Crossing(allowsGaps: true)
        let rekey = crossing.rekeyChild(side)
        _ = crossing.deleteChild(1 - side)
        let refusal = crossing.exchange(rekey)
        // DELETE is lost and comes again; the rekey waits meanwhile.
        crossing.deliverAll([refusal])
        crossing.release()
        crossing.expectSettled(children: 0)
        #expect(crossing.answers(.temporaryFailure, by: 1 - side) == 1)
    }

    @Test("child rekey: collision_delete_drop_rekey", arguments: [0, 1])
    func dropRekey(rekeying side: Int) {
        let crossing = Crossing(allowsGaps: true)
        _ = crossing.rekeyChild(side)
        let delete = crossing.deleteChild(1 - side)
        crossing.deliverAll([delete])
        // The rekey comes again, for an SA that is gone by now.
        crossing.release()
        crossing.expectSettled(children: 0)
        #expect(crossing.answers(.childSANotFound, by: 1 - side) == 1, "\(crossing.story)")
    }

    @Test("child rekey: collision_delete_delayed_response", arguments: [0, 1])
    func deleteDelayedResponse(rekeying side: Int) {
        let crossing = Crossing(allowsGaps: true)
        let rekey = crossing.rekeyChild(side)
        let delete = crossing.deleteChild(1 - side)
        let refusal = crossing.exchange(rekey)
        crossing.deliverAll([delete])
        crossing.deliverAll([refusal])
        crossing.release()
        crossing.expectSettled(children: 0)
    }

    @Test("child rekey: collision_ike_rekey", arguments: [0, 1])
    func ikeRekey(rekeyingChild side: Int) {
        let crossing = Crossing()
        let old = crossing.child(side)
        let child = crossing.rekeyChild(side)
        let ike = crossing.rekeyIKE(1 - side)
        // RFC 7296 §2.25.1, §2.25.2: neither is done while the other is under way.
        let answers = [crossing.exchange(child), crossing.exchange(ike)]
        #expect((0..<2).allSatisfy { crossing.answers(.temporaryFailure, by: $0) == 1 })
        crossing.deliverAll(answers)
        #expect(crossing.child(side) == old)
        crossing.release()
        crossing.expectSettled()
        #expect(crossing.child(side) != old, "the child's rekey was tried again")
        #expect(!crossing.deletedIKE(by: 1 - side).isEmpty, "the IKE SA's rekey was tried again")
    }

    @Test("child rekey: collision_ike_delete", arguments: [0, 1])
    func ikeDelete(rekeyingChild side: Int) {
        let crossing = Crossing()
        let rekey = crossing.rekeyChild(side)
        let delete = crossing.deleteIKE(1 - side)
        let refusal = crossing.exchange(rekey)
        #expect(crossing.answers(.temporaryFailure, by: 1 - side) == 1)
        crossing.deliverAll([delete, refusal])
        crossing.release()
        crossing.expectSettled(children: 0, ikeSAs: 0)
    }

    @Test("child delete: regular", arguments: [0, 1])
    func regular(side: Int) {
        let crossing = Crossing(allowsGaps: true)
        let (ours, theirs) = (crossing.child(side), crossing.child(1 - side))
        let answer = crossing.exchange(crossing.deleteChild(side))
        #expect(crossing.deleted(by: side) == [ours])
        #expect(crossing.history.last?.contents.deletes.flatMap(\.espSPIs) == [theirs])
        crossing.deliverAll([answer])
        crossing.release()
        crossing.expectSettled(children: 0)
    }

    @Test("child delete: collision")
    func collision() {
        let crossing = Crossing(allowsGaps: true)
        let deletes = [crossing.deleteChild(0), crossing.deleteChild(1)]
        let answers = deletes.map { crossing.exchange($0) }
        // RFC 7296 §1.4.1: neither answer names what was asked for by the other side too.
        #expect(crossing.history.filter(\.header.isResponse).allSatisfy { $0.contents.deletes.isEmpty })
        crossing.deliverAll(answers)
        crossing.release()
        crossing.expectSettled(children: 0)
    }

    @Test("child delete: collision_drop")
    func collisionDrop() {
        let crossing = Crossing(allowsGaps: true)
        let deletes = [crossing.deleteChild(0), crossing.deleteChild(1)]
        // One is lost; it comes again when the SA is gone.
        crossing.deliverAll([deletes[1]])
        crossing.release()
        crossing.expectSettled(children: 0)
    }

    @Test("child delete: collision_ike_rekey", arguments: [0, 1])
    func deleteAgainstIKERekey(deleting side: Int) {
        let crossing = Crossing(allowsGaps: true)
        let delete = crossing.deleteChild(side)
        let rekey = crossing.rekeyIKE(1 - side)
        let refusal = crossing.exchange(rekey)
        #expect(crossing.answers(.temporaryFailure, by: side) == 1)
        // RFC 7296 §2.25.2: a child is deleted as usual while the IKE SA is rekeyed.
        let answer = crossing.exchange(delete)
        #expect(crossing.history.last { $0.side == 1 - side }?.contents.deletes.count == 1)
        crossing.deliverAll([refusal, answer])
        crossing.release()
        crossing.expectSettled(children: 0)
        #expect(!crossing.deletedIKE(by: 1 - side).isEmpty, "the IKE SA's rekey was tried again")
    }

    @Test("child delete: collision_ike_delete", arguments: [0, 1])
    func deleteAgainstIKEDelete(deleting side: Int) {
        let crossing = Crossing(allowsGaps: true)
        let delete = crossing.deleteChild(side)
        let whole = crossing.deleteIKE(1 - side)
        crossing.deliverAll([delete, whole])
        crossing.release()
        crossing.expectSettled(children: 0, ikeSAs: 0)
    }

    @Test("child create: duplicate")
    func duplicate() {
        let crossing = Crossing(allowsGaps: true)
        crossing.deliverAll([crossing.deleteChild(0)])
        crossing.simulation.run(.seconds(10))
        let requests = (0..<2).flatMap { side in
            crossing.simulation.command(.initiate(connection: Sites.connection, child: nil), side)
            return crossing.takeHeld()
        }
        #expect(requests.count == 2)
        crossing.deliverAll(requests)
        crossing.release()
        crossing.expectSettled()
    }

    @Test("child create: collision_ike_rekey", arguments: [0, 1])
    func createAgainstIKERekey(creating side: Int) {
        let crossing = Crossing(allowsGaps: true)
        crossing.deliverAll([crossing.deleteChild(side)])
        crossing.simulation.run(.seconds(10))
        crossing.simulation.command(.initiate(connection: Sites.connection, child: nil), side)
        let create = crossing.takeHeld()
        let rekey = crossing.rekeyIKE(1 - side)
        let answers = create.flatMap { crossing.deliver($0) } + crossing.deliver(rekey)
        #expect((0..<2).allSatisfy { crossing.answers(.temporaryFailure, by: $0) == 1 }, "\(crossing.story)")
        crossing.deliverAll(answers)
        crossing.release()
        crossing.expectSettled()
        #expect(!crossing.deletedIKE(by: 1 - side).isEmpty, "the IKE SA's rekey was tried again")
    }
}
