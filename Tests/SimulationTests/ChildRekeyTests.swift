// SPDX-License-Identifier: Apache-2.0
// Adit: SimulationTests

import AditWire
import Testing

@testable import AditIKE
@testable import Simulation

/// Rekeying a child without a collision, by the names of the checklist: which SA stays, and who deletes which.
@Suite struct ChildRekeyTests {
    /// A rekeys, B answers, and A has the answer: the messages that follow are A's DELETE of the old SA.
    private func rekeyed(_ crossing: Crossing, by side: Int = 0) -> Letter {
        crossing.exchange(crossing.exchange(crossing.rekeyChild(side)))
    }

    @Test("child rekey: regular", arguments: [0, 1])
    func regular(side: Int) {
        let crossing = Crossing()
        let old = [crossing.child(0), crossing.child(1)]
        let delete = rekeyed(crossing, by: side)
        #expect(crossing.deleted(by: side) == [old[side]])
        crossing.deliverAll([delete])
        // The old SA still receives what is under way.
        #expect(crossing.simulation.gateways.allSatisfy { $0.dataPlane.pairs.count == 2 })
        crossing.release()
        crossing.expectSettled()
        #expect(crossing.deleted(by: 1 - side) == [])
        #expect(crossing.child(0) != old[0] && crossing.child(1) != old[1])
    }

    @Test("child rekey: regular_ke_invalid", arguments: [0, 1])
    func keInvalid(side: Int) throws {
        let crossing = try Crossing.differingGroups(preferredBy: side)
        let old = crossing.child(side)
        let retry = crossing.exchange(crossing.exchange(crossing.rekeyChild(side)))
        #expect(crossing.answers(.invalidKEPayload, by: 1 - side) == 1)
        crossing.deliverAll([crossing.exchange(crossing.exchange(retry))])
        crossing.release()
        crossing.expectSettled()
        #expect(crossing.deleted(by: side) == [old] && crossing.deleted(by: 1 - side) == [])
    }

    @Test("child rekey: regular_responder_ignore_soft_expire")
    func ignoreSoftExpire() {
        let crossing = Crossing()
        let old = crossing.child(1)
        let delete = rekeyed(crossing)
        crossing.simulation.hand(.lifetimeReached(inboundSPI: old), to: crossing.simulation.gateways[1])
        #expect(crossing.takeHeld().isEmpty, "what is replaced is not rekeyed again")
        crossing.release([delete])
        crossing.expectSettled()
        #expect(crossing.deleted(by: 1) == [])
    }

    @Test("child rekey: regular_responder_handle_hard_expire")
    func hardExpire() {
        let crossing = Crossing()
        let old = [crossing.child(0), crossing.child(1)]
        let delete = rekeyed(crossing)
        crossing.poke(1) { $0.expireChild(old[1]) }
        let ours = crossing.takeHeld()
        #expect(crossing.deleted(by: 1) == [old[1]])
        // Both delete it: the answers name nothing, and nothing else goes.
        crossing.deliverAll([delete] + ours)
        crossing.release()
        crossing.expectSettled()
    }

    @Test("child rekey: regular_responder_delete")
    func responderDelete() {
        let crossing = Crossing()
        let old = crossing.child(0)
        let delete = rekeyed(crossing)
        crossing.allowGaps()
        let other = crossing.deleteChild(1)
        #expect(crossing.deleted(by: 1) != [old])
        crossing.deliverAll([other, delete])
        crossing.release()
        crossing.expectSettled(children: 0)
    }

    @Test("child rekey: regular_responder_lost_sa")
    func lostSA() {
        let crossing = Crossing(allowsGaps: true)
        crossing.poke(1) { endpoint in
            endpoint.withIKESA(endpoint.ikeSAs.spis[0]) { endpoint, sa in endpoint.removeChild(at: 0, &sa) }
        }
        let answer = crossing.exchange(crossing.rekeyChild(0))
        #expect(crossing.answers(.childSANotFound, by: 1) == 1)
        // RFC 7296 §2.25: deleted silently, and made from scratch.
        let create = crossing.exchange(answer)
        #expect(crossing.history.last?.contents.notify(.rekeySA) == nil)
        crossing.release([create])
        crossing.expectSettled()
        #expect(crossing.deleted(by: 0) == [] && crossing.deleted(by: 1) == [])
    }

    @Test("child rekey: regular_responder_incorrect_delete")
    func incorrectDelete() {
        let crossing = Crossing()
        let old = [crossing.child(0), crossing.child(1)]
        let delete = rekeyed(crossing)
        // The responder deletes the old SA too, which is not its business.
        let other = crossing.deleteChild(1, old[1])
        let answers = crossing.deliver(other) + crossing.deliver(delete)
        crossing.deliverAll(answers)
        crossing.release()
        crossing.expectSettled()
        #expect(crossing.deleted(by: 0) == [old[0]] && crossing.deleted(by: 1) == [old[1]])
        // RFC 7296 §1.4.1: deletions that cross are not named again.
        let named = crossing.history.filter { $0.header.isResponse && $0.header.exchange == .informational }
        #expect(named.allSatisfy { $0.contents.deletes.isEmpty }, "\(crossing.story)")
    }

    @Test("child rekey: regular_delete_timeout")
    func deleteTimeout() {
        let crossing = Crossing(tries: 12)
        let old = [crossing.child(0), crossing.child(1)]
        _ = rekeyed(crossing)
        // The initiator's DELETE never arrives: after a minute the responder asks for it itself.
        crossing.simulation.run(.seconds(59))
        #expect(crossing.deleted(by: 1) == [])
        crossing.simulation.run(.seconds(3))
        #expect(crossing.deleted(by: 1) == [old[1]], "\(crossing.story)")
        crossing.release(seconds: 200)
        crossing.expectSettled()
    }
}

extension Crossing {
    /// Children whose preferred group the other side does not take, so that its rekey begins with INVALID_KE_PAYLOAD.
    static func differingGroups(preferredBy side: Int) throws -> Crossing {
        let both = try Proposal(parsing: "aes128gcm16-x25519-ecp256", for: .esp, allowLegacy: false)
        let narrow = try Proposal(parsing: "aes128gcm16-ecp256", for: .esp, allowLegacy: false)
        return Crossing { left, right in
            left.children[0].proposals = [side == 0 ? both : narrow]
            right.children[0].proposals = [side == 1 ? both : narrow]
        }
    }
}
