// SPDX-License-Identifier: Apache-2.0
// Adit: SimulationTests

import AditCrypto
import AditWire
import Testing

@testable import AditIKE
@testable import Simulation

/// Rekeying and deleting the IKE SA, by one side and by both at once (RFC 7296 §1.3.2, §2.8.2, §2.25.2).
@Suite struct IKERekeyTests {
    /// Both requests are answered and no answer is delivered; `groups` are what the sides begin with.
    private func crossed(_ crossing: Crossing, _ groups: [KeyExchangeGroup?] = [nil, nil]) -> (toA: Letter, toB: Letter)
    {
        let requests = [crossing.rekeyIKE(0, group: groups[0]), crossing.rekeyIKE(1, group: groups[1])]
        return (crossing.exchange(requests[0]), crossing.exchange(requests[1]))
    }

    /// The children did not notice; the survivor's maker deleted the old IKE SA, the other one its redundant one.
    private func expectResolved(_ crossing: Crossing, loser: Int) {
        crossing.expectSettled()
        #expect(crossing.child(0) == crossing.before.child)
        #expect(crossing.role(1 - loser) == .initiator && crossing.role(loser) == .responder, "\(crossing.story)")
        #expect(crossing.deletedIKE(by: 1 - loser) == [IKESPI(rawValue: crossing.before.ike)], "\(crossing.story)")
        let redundant = crossing.deletedIKE(by: loser)
        #expect(redundant.count == 1 && redundant != [IKESPI(rawValue: crossing.before.ike)], "\(crossing.story)")
    }

    private func expectOne(_ crossing: Crossing, maker: Int) {
        crossing.expectSettled()
        #expect(crossing.child(0) == crossing.before.child)
        #expect(crossing.role(maker) == .initiator, "\(crossing.story)")
        #expect(
            crossing.deletedIKE(by: maker) == [IKESPI(rawValue: crossing.before.ike)]
                && crossing.deletedIKE(by: 1 - maker) == [])
    }

    @Test("ike rekey: regular", arguments: [0, 1])
    func regular(side: Int) {
        let crossing = Crossing()
        crossing.deliverAll([crossing.rekeyIKE(side)])
        crossing.release()
        expectOne(crossing, maker: side)
    }

    @Test("ike rekey: regular_ke_invalid", arguments: [0, 1])
    func keInvalid(side: Int) {
        let crossing = Self.withRefusedGroups(seed: 1)
        let retry = crossing.exchange(crossing.exchange(crossing.rekeyIKE(side, group: Self.refused[side])))
        #expect(crossing.answers(.invalidKEPayload, by: 1 - side) == 1, "\(crossing.story)")
        crossing.deliverAll([retry])
        crossing.release()
        expectOne(crossing, maker: side)
    }

    @Test("ike rekey: collision", arguments: Nonce.allCases)
    func collision(lowest: Nonce) throws {
        let (crossing, answers) = try lowest.crossing { crossed($0) }
        crossing.deliverAll([answers.toA, answers.toB])
        crossing.release()
        expectResolved(crossing, loser: lowest.loser)
    }

    @Test("ike rekey: collision_mixed", arguments: Nonce.allCases)
    func mixed(lowest: Nonce) throws {
        // The two exchanges use different groups.
        let (crossing, answers) = try lowest.crossing {
            crossed($0, [nil, .ecp384])
        }
        let groups = crossing.history.compactMap { $0.contents.keyExchange?.group }
        #expect(Set(groups).count == 2, "\(crossing.story)")
        crossing.deliverAll([answers.toB, answers.toA])
        crossing.release()
        expectResolved(crossing, loser: lowest.loser)
    }

    @Test("ike rekey: collision_ke_invalid", arguments: Nonce.allCases)
    func collisionKEInvalid(lowest: Nonce) throws {
        let (crossing, answers) = try lowest.crossing(
            make: { Self.withRefusedGroups(seed: $0) },
            { crossing in
                let refusals = crossed(crossing, Self.refused)
                let again = [crossing.exchange(refusals.toA), crossing.exchange(refusals.toB)]
                return (toA: crossing.exchange(again[0]), toB: crossing.exchange(again[1]))
            })
        #expect((0..<2).allSatisfy { crossing.answers(.invalidKEPayload, by: $0) == 1 }, "\(crossing.story)")
        crossing.deliverAll([answers.toA, answers.toB])
        crossing.release()
        expectResolved(crossing, loser: lowest.loser)
    }

    @Test("ike rekey: collision_ke_invalid_delayed_retry", arguments: [0, 1])
    func keInvalidDelayedRetry(late side: Int) {
        let crossing = Self.withRefusedGroups(seed: 2)
        let refusals = crossed(crossing, Self.refused)
        let late = crossing.exchange(side == 0 ? refusals.toA : refusals.toB)
        let retry = crossing.exchange(side == 0 ? refusals.toB : refusals.toA)
        let delete = crossing.exchange(crossing.exchange(retry))
        let refusal = crossing.exchange(late)
        #expect(crossing.answers(.temporaryFailure, by: 1 - side) == 1, "\(crossing.story)")
        crossing.deliverAll([refusal, delete])
        crossing.release()
        expectOne(crossing, maker: 1 - side)
    }

    @Test("ike rekey: collision_delayed_response", arguments: Nonce.allCases)
    func delayedResponse(lowest: Nonce) throws {
        let (crossing, answers) = try lowest.crossing { crossed($0) }
        let deletes = crossing.deliver(answers.toA)
        // A has both answers' nonces and acts; B's own answer is still under way.
        let late = deletes.flatMap { crossing.deliver($0) }
        crossing.deliverAll([answers.toB] + late)
        crossing.release()
        crossing.expectSettled()
        #expect(crossing.child(0) == crossing.before.child && crossing.ike != crossing.before.ike)
        #expect(crossing.role(1 - lowest.loser) == .initiator, "\(crossing.story)")
    }

    @Test("ike rekey: collision_dropped_request", arguments: [0, 1])
    func droppedRequest(dropped side: Int) {
        let crossing = Crossing()
        _ = crossing.rekeyIKE(side)
        crossing.deliverAll([crossing.rekeyIKE(1 - side)])
        crossing.release()
        // RFC 7296 §2.8.2: who gets the DELETE of the old IKE SA forgets its own rekey.
        expectOne(crossing, maker: 1 - side)
    }

    @Test("ike rekey: collision_delayed_request", arguments: [0, 1])
    func delayedRequest(late side: Int) {
        let crossing = Crossing()
        let late = crossing.rekeyIKE(side)
        let delete = crossing.exchange(crossing.exchange(crossing.rekeyIKE(1 - side)))
        // RFC 7296 §2.8.2: the IKE SA that is to be rekeyed is being closed.
        let refusal = crossing.exchange(late)
        #expect(crossing.answers(.temporaryFailure, by: 1 - side) == 1, "\(crossing.story)")
        crossing.deliverAll([refusal, delete])
        crossing.release()
        expectOne(crossing, maker: 1 - side)
    }

    @Test("ike rekey: collision_delayed_request_and_delete", arguments: [0, 1])
    func delayedRequestAndDelete(late side: Int) {
        let crossing = Crossing()
        let late = crossing.rekeyIKE(side)
        let delete = crossing.exchange(crossing.exchange(crossing.rekeyIKE(1 - side)))
        let answer = crossing.deliver(delete)
        // The DELETE was answered; the answer and the late request change places.
        let others = crossing.deliver(late)
        crossing.deliverAll(others + answer)
        crossing.release()
        expectOne(crossing, maker: 1 - side)
    }

    @Test("ike rekey: collision_delete", arguments: [0, 1])
    func delete(rekeying side: Int) {
        let crossing = Crossing()
        let rekey = crossing.rekeyIKE(side)
        let delete = crossing.deleteIKE(1 - side)
        let refusal = crossing.exchange(rekey)
        #expect(crossing.answers(.temporaryFailure, by: 1 - side) == 1)
        crossing.deliverAll([delete, refusal])
        crossing.release()
        crossing.expectSettled(children: 0, ikeSAs: 0)
    }

    @Test("ike rekey: collision_delete_drop_delete", arguments: [0, 1])
    func deleteDropDelete(rekeying side: Int) {
        let crossing = Crossing()
        let rekey = crossing.rekeyIKE(side)
        _ = crossing.deleteIKE(1 - side)
        let refusal = crossing.exchange(rekey)
        crossing.deliverAll([refusal])
        // DELETE comes again.
        crossing.release()
        crossing.expectSettled(children: 0, ikeSAs: 0)
    }

    @Test("ike delete: regular", arguments: [0, 1])
    func deleteRegular(side: Int) {
        let crossing = Crossing()
        crossing.deliverAll([crossing.deleteIKE(side)])
        crossing.release()
        crossing.expectSettled(children: 0, ikeSAs: 0)
        #expect(crossing.deletedIKE(by: side).count == 1 && crossing.deletedIKE(by: 1 - side).isEmpty)
    }

    @Test("ike delete: collision")
    func deleteCollision() {
        let crossing = Crossing()
        let deletes = [crossing.deleteIKE(0), crossing.deleteIKE(1)]
        // RFC 7296 §2.25.2: answered as usual, and one's own is forgotten.
        crossing.deliverAll(deletes)
        crossing.release()
        crossing.expectSettled(children: 0, ikeSAs: 0)
    }

    // MARK: Groups

    /// What each side begins a rekey with, and the other one does not take; the IKE SA itself has x25519.
    static let refused: [KeyExchangeGroup] = [.ecp384, .ecp521]

    static func withRefusedGroups(seed: UInt64) -> Crossing {
        let words = ["aes256gcm16-prfsha384-x25519-ecp384", "aes256gcm16-prfsha384-x25519-ecp521"]
        let proposals = words.map { try? Proposal(parsing: $0, for: .ike, allowLegacy: false) }
        return Crossing(seed: seed) {
            $0.proposals = [proposals[0]].compactMap { $0 }
            $1.proposals = [proposals[1]].compactMap { $0 }
        }
    }
}
