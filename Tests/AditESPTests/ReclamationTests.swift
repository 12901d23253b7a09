// SPDX-License-Identifier: Apache-2.0
// Adit: AditESPTests

import Testing

@testable import AditESP

@Suite struct ReclamationTests {
    private func retireOne(_ reclamation: Reclamation) {
        reclamation.retire(.memory(.allocate(byteCount: 64, alignment: 64)))
        reclamation.advance()
        reclamation.reclaim()
    }

    @Test func sleepersHoldNothing() {
        let reclamation = Reclamation(workers: 3, quarantines: false)
        retireOne(reclamation)
        #expect(reclamation.waiting == 0)
    }

    @Test func everyAwakeWorkerMustPassABoundary() {
        let reclamation = Reclamation(workers: 3, quarantines: false)
        reclamation.wake(0)
        reclamation.wake(2)
        retireOne(reclamation)
        #expect(reclamation.waiting == 1)
        reclamation.announce(0)
        reclamation.reclaim()
        #expect(reclamation.waiting == 1, "worker 2 may still hold it")
        reclamation.announce(0)
        reclamation.reclaim()
        #expect(reclamation.waiting == 1)
        reclamation.sleep(2)
        reclamation.reclaim()
        #expect(reclamation.waiting == 0)
    }

    @Test func aWorkerThatWakesLaterHoldsNothingOlder() {
        let reclamation = Reclamation(workers: 1, quarantines: false)
        reclamation.wake(0)
        retireOne(reclamation)
        reclamation.sleep(0)
        reclamation.wake(0)
        reclamation.reclaim()
        #expect(reclamation.waiting == 0)
    }

    @Test func whatIsNewerWaits() {
        let reclamation = Reclamation(workers: 1, quarantines: false)
        reclamation.wake(0)
        for expected in 1...5 {
            retireOne(reclamation)
            #expect(reclamation.waiting == expected)
        }
        reclamation.announce(0)
        retireOne(reclamation)
        #expect(reclamation.waiting == 1)
    }
}
