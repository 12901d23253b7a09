// SPDX-License-Identifier: Apache-2.0
// Adit: AditESPTests

import AditCrypto
import AditWire
import Foundation
import Synchronization
import Testing

@testable import AditESP

/// One writer and several readers; to be run under the thread sanitizer as well. Freed SAs are poisoned and kept, so a
/// reader that holds one too long reads the poison.
@Suite(.serialized) struct SATableStressTests {
    final class Shared: Sendable {
        let stop = Atomic(false)
        let faults = Atomic(0)
        let lookups = Atomic(0)
        let hits = Atomic(0)
    }

    /// What several threads found, under a POSIX lock: the thread sanitizer does not see `Mutex` wait.
    final class Collected: @unchecked Sendable {
        private let lock = NSLock()
        private var items: [UInt64] = []
        var numbers: [UInt64] { lock.withLock { items.map { $0 } } }
        func append(_ more: [UInt64]) { lock.withLock { items += more } }
    }

    /// The cipher contexts of SAs, seen but not kept: an SA that was never freed keeps its own.
    struct Contexts {
        private struct Seen {
            weak var opener: PacketOpener?
            weak var sealer: PacketSealer?
        }

        private var seen: [Seen] = []
        /// How many were seen, and how many of them live.
        var total: Int { 2 * seen.count }
        var alive: Int { seen.count { $0.opener != nil } + seen.count { $0.sealer != nil } }

        /// Notes those of an SA that sends; with every worker's sealers.
        mutating func note(_ spi: UInt32, workers: Int, _ reader: SAReader) {
            guard let inbound = reader.inbound(SPI(rawValue: spi)),
                case .protect(let outbound) = reader.outbound(for: flow(spi))
            else { return }
            let opener = inbound.pointee.opener.takeUnretainedValue()
            for worker in 0..<workers {
                let sealer = outbound.pointee.lanes.lane(worker).pointee.sealer.takeUnretainedValue()
                seen.append(Seen(opener: opener, sealer: sealer))
            }
        }
    }

    static let spis = UInt32(0x1000)..<0x1040

    static func flow(_ number: UInt32) -> FlowKey {
        FlowKey(
            source: IPAddress(v4: 0x0a01_0001), destination: IPAddress(v4: 0x0a02_0000 + number), ipProtocol: 17,
            sourcePort: 1, destinationPort: 2)
    }

    static func parameters(_ spi: UInt32) -> ChildSAParameters {
        var parameters = ChildSAParameters.sample(
            inbound: spi, outbound: spi + 0x1_0000, local: selectors("10.1.0.0/16"),
            remote: [TrafficSelector(first: flow(spi).destination, last: flow(spi).destination)].compactMap { $0 })
        parameters.replayWindow = 64
        return parameters
    }

    /// A worker: batches of lookups, every answer checked for what it must be, then a boundary or a nap.
    static func read(_ reader: SAReader, _ shared: Shared, seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        reader.leaveIdle()
        var (lookups, hits, faults) = (0, 0, 0)
        while !shared.stop.load(ordering: .relaxed) {
            var held: [(UnsafeMutablePointer<InboundSA>, UInt32)] = []
            for _ in 0..<32 {
                let spi = UInt32.random(in: spis, using: &generator)
                lookups += 1
                if let sa = reader.inbound(SPI(rawValue: spi)) { held.append((sa, spi)) }
                if case .protect(let sa) = reader.outbound(for: flow(spi)) {
                    hits += 1
                    if sa.pointee.inboundSPI.rawValue != spi || sa.pointee.spi.rawValue != spi + 0x1_0000 {
                        faults += 1
                    }
                    if sa.pointee.path.remote.port < 4500 { faults += 1 }
                    if sa.pointee.reserve(2, bytes: 100, reader: reader).count != 2 { faults += 1 }
                }
            }
            for (sa, spi) in held where sa.pointee.spi.rawValue != spi || sa.pointee.path.remote.port < 4500 {
                faults += 1
            }
            if Int.random(in: 0..<8, using: &generator) == 0 {
                reader.enterIdle()
                if Bool.random(using: &generator) { sched_yield() }
                reader.leaveIdle()
            } else {
                reader.quiescent()
            }
        }
        reader.enterIdle()
        shared.lookups.add(lookups, ordering: .relaxed)
        shared.hits.add(hits, ordering: .relaxed)
        shared.faults.add(faults, ordering: .relaxed)
    }

    @Test(arguments: [UInt64(1), 2])
    func readersNeverSeeWhatIsFreed(seed: UInt64) throws {
        let workers = 3
        // The last worker is this thread.
        let table = SATable(workers: workers + 1, capacity: 256, quarantines: true)
        let mine = table.reader(worker: workers)
        var contexts = Contexts()
        let shared = Shared()
        let group = DispatchGroup()
        for worker in 0..<workers {
            let reader = table.reader(worker: worker)
            group.enter()
            Thread.detachNewThread {
                Self.read(reader, shared, seed: seed * 100 + UInt64(worker))
                group.leave()
            }
        }
        var generator = SeededGenerator(seed: seed)
        var installed: Set<UInt32> = []
        for step in 0..<4000 {
            let spi = UInt32.random(in: Self.spis, using: &generator)
            if installed.contains(spi) {
                switch Int.random(in: 0..<4, using: &generator) {
                case 0:
                    table.move(
                        inboundSPI: SPI(rawValue: spi), local: endpoint("192.0.2.1"),
                        remote: endpoint("192.0.2.2", UInt16(4500 + step % 1000)))
                case 1: table.drainHints { _ in }
                default:
                    #expect(table.remove(inboundSPI: SPI(rawValue: spi)) != nil)
                    installed.remove(spi)
                }
            } else {
                do { try table.install(Self.parameters(spi)) } catch SATableError.full {
                    // Readers on a busy machine hold up what is retired: give them time.
                    sched_yield()
                    continue
                }
                installed.insert(spi)
                mine.leaveIdle()
                contexts.note(spi, workers: workers + 1, mine)
                mine.enterIdle()
            }
            if step % 10 == 0 { table.reclaim() }
        }
        shared.stop.store(true, ordering: .relaxed)
        group.wait()
        #expect(shared.faults.load(ordering: .relaxed) == 0, "seed \(seed)")
        #expect(shared.lookups.load(ordering: .relaxed) > 0 && shared.hits.load(ordering: .relaxed) > 0)
        #expect(table.reclaim() == 0, "when every worker sleeps nothing is held")
        #expect(contexts.total > 1000, "seed \(seed)")
        #expect(contexts.alive == 2 * (workers + 1) * installed.count, "what is installed lives, and nothing else")
        for spi in installed { #expect(table.remove(inboundSPI: SPI(rawValue: spi)) != nil) }
        #expect(table.reclaim() == 0 && contexts.alive == 0, "seed \(seed)")
    }

    /// Whoever outlives the table: its SAs go with the last of the readers and the table.
    @Test(arguments: [true, false]) func whatIsInstalledGoesWithTheTable(readerIsLast: Bool) throws {
        var contexts = Contexts()
        var table: SATable? = SATable(workers: 1)
        var reader = table?.reader(worker: 0)
        for spi in Self.spis { try table?.install(Self.parameters(spi)) }
        reader?.leaveIdle()
        if let reader { for spi in Self.spis { contexts.note(spi, workers: 1, reader) } }
        #expect(contexts.alive == 2 * Self.spis.count)
        if readerIsLast {
            table = nil
            reader = nil
        } else {
            reader = nil
            table = nil
        }
        #expect(contexts.alive == 0)
    }

    /// Numbers reserved by several workers at once are all different and leave none out.
    @Test func reservedNumbersAreUnique() throws {
        let workers = 4
        let table = SATable(workers: workers, capacity: 4)
        try table.install(Self.parameters(0x1000))
        let group = DispatchGroup()
        let rounds = 5000
        let collected = Collected()
        for worker in 0..<workers {
            let reader = table.reader(worker: worker)
            group.enter()
            Thread.detachNewThread {
                var mine: [UInt64] = []
                reader.leaveIdle()
                for round in 0..<rounds {
                    guard case .protect(let sa) = reader.outbound(for: Self.flow(0x1000)) else { continue }
                    let block = sa.pointee.reserve(round % 3 + 1, bytes: 0, reader: reader)
                    mine += (0..<UInt64(block.count)).map { block.first + $0 }
                    reader.quiescent()
                }
                reader.enterIdle()
                collected.append(mine)
                group.leave()
            }
        }
        group.wait()
        let numbers = collected.numbers.sorted()
        #expect(numbers.first == 1 && numbers.count == workers * (rounds / 3 * 6 + [0, 1, 3][rounds % 3]))
        #expect(Set(numbers).count == numbers.count && numbers.last == UInt64(numbers.count))
    }

    @Test func growsToAHundredThousand() throws {
        let count = UInt32(100_000)
        let table = SATable(workers: 1, capacity: Int(count))
        let reader = table.reader(worker: 0)
        reader.leaveIdle()
        func parameters(_ number: UInt32) -> ChildSAParameters {
            let host = IPAddress(v4: 0x0b00_0000 + number)
            var parameters = ChildSAParameters.sample(
                inbound: 0x10_0000 &+ number &* 2_654_435_761 | 1 << 31, local: selectors("10.1.0.0/16"),
                remote: [TrafficSelector(first: host, last: host)].compactMap { $0 })
            parameters.replayWindow = 64
            return parameters
        }
        for number in 0..<count {
            try table.install(parameters(number))
            if number % 1000 == 0 { reader.quiescent() }
        }
        #expect(throws: SATableError.full) { try table.install(.sample(inbound: 0x1000)) }
        reader.quiescent()
        for number in stride(from: 0, to: count, by: 7) {
            let wanted = parameters(number)
            #expect(reader.inbound(wanted.inboundSPI)?.pointee.spi == wanted.inboundSPI)
            let flow = FlowKey(
                source: IPAddress(v4: 0x0a01_0001), destination: IPAddress(v4: 0x0b00_0000 + number), ipProtocol: 6,
                sourcePort: 1, destinationPort: 2)
            guard case .protect(let sa) = reader.outbound(for: flow) else {
                Issue.record("no SA for \(number)")
                return
            }
            #expect(sa.pointee.inboundSPI == wanted.inboundSPI)
        }
    }
}
