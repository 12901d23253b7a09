// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks

import AditCrypto
import AditESP
import AditWire
import CBaseline

/// One SA pair whose packets are sealed and opened, beside bare libcrypto on packets of the same size.
public final class SealSubject {
    /// Packets that are worked on together: few enough for the nearest cache.
    public static let batch = 16
    private static let stride = 2048

    /// Which half is measured.
    public enum Direction: String, CaseIterable, Sendable { case seal, open }

    private let tables: [SATable]
    private let readers: [SAReader]
    private let length: Int
    private let textLength: Int
    private let template: [UInt8]
    private let memory: UnsafeMutableRawPointer
    private let bare: [OpaquePointer?]
    private let bareMemory: UnsafeMutablePointer<UInt8>

    /// `length` is that of the inner packet, 28 or more. Suites without AEAD have no baseline.
    public init(suite: CipherSuite, length: Int) throws {
        tables = try [true, false].map { try Fixture.table(1, isA: $0, kind: Fixture.Kind(suite: suite)) }
        readers = tables.map { $0.reader(worker: 0) }
        for reader in readers { reader.leaveIdle() }
        self.length = length
        textLength = (length + 2 + 3) & ~3
        template = Fixture.packet(payload: length - 28)
        memory = .allocate(byteCount: Self.batch * Self.stride, alignment: 64)
        bareMemory = .allocate(capacity: Self.batch * Self.stride)
        bareMemory.initialize(repeating: 0x5a, count: Self.batch * Self.stride)
        let cipher: Int32? =
            switch suite {
            case .aesGCM16(.bits128): Int32(baseline_aes128gcm)
            case .aesGCM16(.bits256): Int32(baseline_aes256gcm)
            case .chaCha20Poly1305: Int32(baseline_chacha20poly1305)
            default: nil
            }
        bare = cipher.map { [baseline_make($0, 1), baseline_make($0, 0)] } ?? [nil, nil]
    }

    deinit {
        memory.deallocate()
        bareMemory.deallocate()
        for one in bare { if let one { baseline_free(one) } }
    }

    /// Nanoseconds a packet of Adit's and of libcrypto's (0 without a baseline), taken alternately: medians.
    public func measure(_ direction: Direction, rounds: Int) -> (adit: Double, bare: Double) {
        var ours: [Double] = []
        var theirs: [Double] = []
        for _ in 0..<rounds {
            let first = time(direction == .seal) { seal() }
            let second = time(direction == .open) { open() }
            ours.append(direction == .seal ? first : second)
            theirs.append(bareRound(direction))
        }
        return (Self.median(ours), Self.median(theirs))
    }

    /// One batch sealed and opened again, for counting.
    public func run() {
        seal()
        open()
    }

    /// One batch is sealed.
    public func seal() {
        for index in 0..<Self.batch {
            template.withUnsafeBytes {
                if let base = $0.baseAddress { inner(index).copyMemory(from: base, byteCount: length) }
            }
        }
        sealPrepared()
    }

    private var started: UInt64 = 0
    private var sealedLength = 0
    private var headerLength = 0

    private func sealPrepared() {
        guard case .protect(let sa) = readers[0].outbound(for: Fixture.flow(0)) else { fatalError("no SA") }
        started = baseline_now()
        let block = sa.pointee.reserve(Self.batch, bytes: length * Self.batch, reader: readers[0])
        for index in 0..<Self.batch {
            let size = ESPSeal.seal(
                inner(index), length: length, sequence: block.first + UInt64(index), sa: sa, reader: readers[0])
            if size == 0 { fatalError("seal failed") }
        }
        sealedLength = sa.pointee.sealedLength(length)
        headerLength = sa.pointee.headerLength
    }

    /// The batch that was sealed last is opened.
    public func open() {
        guard let sa = readers[1].inbound(Fixture.spi(0, towardsA: false)) else { fatalError("no SA") }
        started = baseline_now()
        for index in 0..<Self.batch {
            let verdict = ESPOpen.open(
                inner(index) - headerLength, length: sealedLength, outerTrafficClass: 0, sa: sa, reader: readers[1])
            guard case .packet = verdict else { fatalError("\(verdict)") }
        }
    }

    private func time(_ wanted: Bool, _ body: () -> Void) -> Double {
        body()
        return wanted ? Double(baseline_now() - started) / Double(Self.batch) : 0
    }

    private func bareRound(_ direction: Direction) -> Double {
        guard bare[0] != nil else { return 0 }
        let begun = baseline_now()
        guard baseline_run(bare[0], bareMemory, Self.stride, Int32(Self.batch), textLength) == 1 else {
            fatalError("bare")
        }
        let middle = baseline_now()
        guard baseline_run(bare[1], bareMemory, Self.stride, Int32(Self.batch), textLength) == 1 else {
            fatalError("bare")
        }
        return Double(direction == .seal ? middle - begun : baseline_now() - middle) / Double(Self.batch)
    }

    private func inner(_ index: Int) -> UnsafeMutableRawPointer { memory + index * Self.stride + 64 }

    /// The middle value; 0 of none.
    public static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
    }
}
