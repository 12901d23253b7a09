// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks

import AditESP
import AditWire

/// A pair of gateways whose one SA is made, used and removed again and again.
public final class ChurnSubject {
    private let kind: Fixture.Kind
    private let tables: [SATable]
    private let readers: [[SAReader]]
    private let memory: UnsafeMutableRawPointer
    private var number = 0

    /// Gateways without an SA.
    public init(kind: Fixture.Kind) {
        self.kind = kind
        tables = [0, 1].map { _ in SATable(workers: kind.workers) }
        readers = tables.map { table in (0..<kind.workers).map { table.reader(worker: $0) } }
        memory = .allocate(byteCount: 2048, alignment: 64)
    }

    deinit { memory.deallocate() }

    /// `count` SAs one after the other; afterwards there is none, and nothing waits to be freed.
    public func run(_ count: Int) throws {
        for _ in 0..<count {
            // The same few, so that the tables do not grow.
            number = (number + 1) % 16
            let spis = [true, false].map { Fixture.spi(number, towardsA: $0) }
            for (side, table) in tables.enumerated() {
                try table.install(Fixture.parameters(number, isA: side == 0, kind: kind))
            }
            for worker in 0..<kind.workers { carry(worker) }
            for (side, table) in tables.enumerated() {
                if table.remove(inboundSPI: spis[side]) == nil || table.reclaim() != 0 { fatalError("an SA stays") }
            }
        }
    }

    /// One packet, sealed by a worker of A and opened by the SA's owner at B.
    private func carry(_ worker: Int) {
        let spi = Fixture.spi(number, towardsA: false)
        let (sender, receiver) = (readers[0][worker], readers[1][tables[1].owner(of: spi)])
        sender.leaveIdle()
        receiver.leaveIdle()
        let inner = memory + ESPSeal.headRoom
        let packet = Fixture.packet(number, payload: 64, isV6: kind.isV6)
        packet.withUnsafeBytes { if let start = $0.baseAddress { inner.copyMemory(from: start, byteCount: $0.count) } }
        let flow = Fixture.flow(number, isV6: kind.isV6)
        guard case .protect(let out) = sender.outbound(for: flow), let into = receiver.inbound(spi) else {
            fatalError("no SA")
        }
        let block = out.pointee.reserve(1, bytes: packet.count, reader: sender)
        let length = ESPSeal.seal(inner, length: packet.count, sequence: block.first, sa: out, reader: sender)
        let verdict = ESPOpen.open(
            inner - out.pointee.headerLength, length: length, outerTrafficClass: 0, sa: into, reader: receiver)
        guard case .packet = verdict else { fatalError("\(verdict)") }
        sender.enterIdle()
        receiver.enterIdle()
    }
}
