// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

@testable import AditForwarding

/// Bytes at a fixed place, as the paths see them, with guard bytes behind that must stay.
final class PacketMemory {
    private let base: UnsafeMutableRawPointer
    private let count: Int
    private static let guardLength = 32
    private static let guardByte: UInt8 = 0xa5

    init(_ bytes: [UInt8]) {
        count = bytes.count
        base = .allocate(byteCount: bytes.count + Self.guardLength, alignment: 16)
        base.initializeMemory(as: UInt8.self, repeating: Self.guardByte, count: bytes.count + Self.guardLength)
        bytes.withUnsafeBytes { if let start = $0.baseAddress { base.copyMemory(from: start, byteCount: count) } }
    }

    convenience init(room: Int) { self.init([UInt8](repeating: 0xee, count: room)) }

    deinit { base.deallocate() }

    /// The packet; good while this object is used.
    var packet: PacketBytes { PacketBytes(base, count: count) }
    /// Lends the packet of an object that nothing else keeps.
    static func lend<Result>(_ bytes: [UInt8], _ body: (PacketBytes) -> Result) -> Result {
        let memory = PacketMemory(bytes)
        return withExtendedLifetime(memory) { body(memory.packet) }
    }
    var bytes: [UInt8] { [UInt8](UnsafeRawBufferPointer(start: base, count: count)) }
    var isGuardIntact: Bool {
        UnsafeRawBufferPointer(start: base + count, count: Self.guardLength).allSatisfy { $0 == Self.guardByte }
    }
}

/// A small generator with a seed, so that a failure can be repeated (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
