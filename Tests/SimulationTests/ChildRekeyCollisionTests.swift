// SPDX-License-Identifier: Apache-2.0
// Adit: SimulationTests

import AditWire
import Testing

@testable import AditIKE
@testable import Simulation

/// Both sides rekey one child at once (RFC 7296 §2.8.1, §2.25.1), by the names of the checklist.
@Suite struct ChildRekeyCollisionTests {
    /// Both requests are answered and no answer is delivered: the answers, of B's side first.
    private func crossed(_ crossing: Crossing) -> (toA: Letter, toB: Letter) {
        let requests = [crossing.rekeyChild(0), crossing.rekeyChild(1)]
        return (crossing.exchange(requests[0]), crossing.exchange(requests[1]))
    }

    /// The SA with the lowest nonce was closed by its maker, the old one by the other side.
    private func expectResolved(_ crossing: Crossing, old: [SPI], loser: Int) {
        crossing.expectSettled()
        let byLoser = crossing.deleted(by: loser)
        #expect(byLoser.count == 1 && byLoser != [old[loser]], "\(crossing.story)")
        #expect(crossing.deleted(by: 1 - loser) == [old[1 - loser]], "\(crossing.story)")
    }

    private func inbound(_ crossing: Crossing) -> [SPI] { [crossing.child(0), crossing.child(1)] }

    @Test("child rekey: collision", arguments: Nonce.allCases)
    func collision(lowest: Nonce) throws {
        let (crossing, (old, answers)) = try lowest.crossing { (inbound($0), crossed($0)) }
        crossing.deliverAll([answers.toA, answers.toB])
        crossing.release()
        expectResolved(crossing, old: old, loser: lowest.loser)
    }

    @Test("child rekey: collision_mixed", arguments: Nonce.allCases)
    func mixed(lowest: Nonce) throws {
        // One side asks for forward secrecy, the other one for none: the keys come from different ingredients.
        let secret = try Proposal(parsing: "aes128gcm16-x25519-modpnone", for: .esp, allowLegacy: false)
        let none = try Proposal(parsing: "aes128gcm16-modpnone-x25519", for: .esp, allowLegacy: false)
        let (crossing, (old, answers)) = try lowest.crossing(
            make: { seed in
                Crossing(seed: seed) {
                    $0.children[0].proposals = [secret]; $1.children[0].proposals = [none]
                }
            }, { (inbound($0), crossed($0)) })
        crossing.deliverAll([answers.toB, answers.toA])
        crossing.release()
        expectResolved(crossing, old: old, loser: lowest.loser)
    }

    @Test("child rekey: collision_delayed_response", arguments: Nonce.allCases)
    func delayedResponse(lowest: Nonce) throws {
        let (crossing, (old, answers)) = try lowest.crossing { (inbound($0), crossed($0)) }
        // B's rekey is answered late: A has already done what follows from its own.
        let deletes = crossing.deliver(answers.toA)
        crossing.deliverAll(deletes)
        crossing.deliverAll([answers.toB])
        crossing.release()
        expectResolved(crossing, old: old, loser: lowest.loser)
    }

    @Test("child rekey: collision_delayed_response_delete", arguments: Nonce.allCases)
    func delayedResponseDelete(lowest: Nonce) throws {
        let (crossing, (old, answers)) = try lowest.crossing { (inbound($0), crossed($0)) }
        let deletes = crossing.deliver(answers.toA)
        // The late answer arrives before A's DELETE, whose answer in turn is late.
        let others = crossing.deliver(answers.toB)
        let late = deletes.flatMap { crossing.deliver($0) }
        crossing.deliverAll(others)
        crossing.deliverAll(late)
        crossing.release()
        expectResolved(crossing, old: old, loser: lowest.loser)
    }

    @Test("child rekey: collision_delayed_request", arguments: [0, 1])
    func delayedRequest(late side: Int) {
        let crossing = Crossing()
        let old = inbound(crossing)
        let late = crossing.rekeyChild(side)
        let answer = crossing.exchange(crossing.rekeyChild(1 - side))
        // The other side is done with its rekey, and asks for the old SA's end, when the late request arrives.
        let delete = crossing.exchange(answer)
        let refusal = crossing.exchange(late)
        #expect(crossing.answers(.temporaryFailure, by: 1 - side) == 1, "\(crossing.story)")
        crossing.deliverAll([refusal, delete])
        crossing.release()
        crossing.expectSettled()
        #expect(crossing.deleted(by: 1 - side) == [old[1 - side]] && crossing.deleted(by: side) == [])
    }

    @Test("child rekey: collision_delayed_request_more", arguments: [0, 1])
    func delayedRequestMore(late side: Int) {
        let crossing = Crossing()
        let old = inbound(crossing)
        let late = crossing.rekeyChild(side)
        let delete = crossing.exchange(crossing.exchange(crossing.rekeyChild(1 - side)))
        crossing.deliverAll([delete])
        // RFC 7296 §2.8.1, second example: the SA that the late request means is gone, and who asked knows why.
        let refusal = crossing.exchange(late)
        #expect(crossing.answers(.childSANotFound, by: 1 - side) == 1, "\(crossing.story)")
        crossing.deliverAll([refusal])
        crossing.release()
        crossing.expectSettled()
        #expect(crossing.deleted(by: 1 - side) == [old[1 - side]] && crossing.deleted(by: side) == [])
        let created = crossing.history.filter { $0.header.exchange == .createChildSA && !$0.header.isResponse }
        #expect(created.allSatisfy { $0.contents.notify(.rekeySA) != nil }, "nothing is made from scratch")
    }

    @Test("child rekey: collision_delayed_request_more_delete", arguments: [0, 1])
    func delayedRequestMoreDelete(late side: Int) {
        let crossing = Crossing()
        let old = inbound(crossing)
        let late = crossing.rekeyChild(side)
        let delete = crossing.exchange(crossing.exchange(crossing.rekeyChild(1 - side)))
        // The answer to DELETE is under way when the late request overtakes it.
        let answer = crossing.exchange(delete)
        let refusal = crossing.exchange(late)
        crossing.deliverAll([refusal, answer])
        crossing.release()
        crossing.expectSettled()
        #expect(crossing.deleted(by: 1 - side) == [old[1 - side]] && crossing.deleted(by: side) == [])
    }

    @Test("child rekey: collision_ke_invalid", arguments: Nonce.allCases)
    func keInvalid(lowest: Nonce) throws {
        let (crossing, (old, answers)) = try lowest.crossing(
            make: { Crossing.crossedGroups(seed: $0) },
            { crossing in (inbound(crossing), retried(crossing)) })
        #expect(crossing.answers(.invalidKEPayload, by: 0) + crossing.answers(.invalidKEPayload, by: 1) == 2)
        crossing.deliverAll([answers.toA, answers.toB])
        crossing.release()
        expectResolved(crossing, old: old, loser: lowest.loser)
    }

    /// Both requests are refused for their groups, and both are made again: the answers.
    private func retried(_ crossing: Crossing) -> (toA: Letter, toB: Letter) {
        let refusals = crossed(crossing)
        let again = [crossing.exchange(refusals.toA), crossing.exchange(refusals.toB)]
        return (crossing.exchange(again[0]), crossing.exchange(again[1]))
    }

    @Test("child rekey: collision_ke_invalid_delayed_retry", arguments: [0, 1])
    func keInvalidDelayedRetry(late side: Int) {
        let crossing = Crossing.crossedGroups(seed: 3)
        let old = inbound(crossing)
        let refusals = crossed(crossing)
        let late = crossing.exchange(side == 0 ? refusals.toA : refusals.toB)
        let retry = crossing.exchange(side == 0 ? refusals.toB : refusals.toA)
        let delete = crossing.exchange(crossing.exchange(retry))
        let refusal = crossing.exchange(late)
        crossing.deliverAll([refusal, delete])
        crossing.release()
        crossing.expectSettled()
        #expect(crossing.deleted(by: 1 - side) == [old[1 - side]] && crossing.deleted(by: side) == [])
    }

    @Test("child rekey: collision_responder_incorrect_delete", arguments: [0, 1])
    func incorrectDelete(lowestOf loser: Int) throws {
        let lowest: Nonce = loser == 0 ? .requestOfA : .requestOfB
        let (crossing, (old, answers)) = try lowest.crossing { (inbound($0), crossed($0)) }
        let first = crossing.deliver(answers.toA)
        let second = crossing.deliver(answers.toB)
        // The loser deletes the old SA too, which is the winner's business.
        crossing.simulation.holdsMessages = true
        crossing.poke(loser) { endpoint in
            guard let owner = endpoint.childOwners[old[loser]] else { return }
            endpoint.withIKESA(owner) { endpoint, sa in endpoint.startDelete([old[loser]], &sa) }
        }
        crossing.deliverAll(crossing.takeHeld() + first + second)
        crossing.release()
        crossing.expectSettled()
    }
}

extension Crossing {
    /// Each side prefers a group that the other one does not take; a third is common to both.
    static func crossedGroups(seed: UInt64) -> Crossing {
        let left = try? Proposal(parsing: "aes128gcm16-x25519-ecp256", for: .esp, allowLegacy: false)
        let right = try? Proposal(parsing: "aes128gcm16-ecp384-ecp256", for: .esp, allowLegacy: false)
        return Crossing(seed: seed) {
            $0.children[0].proposals = left.map { [$0] } ?? []
            $1.children[0].proposals = right.map { [$0] } ?? []
        }
    }
}
