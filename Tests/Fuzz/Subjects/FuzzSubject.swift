// SPDX-License-Identifier: Apache-2.0
// Adit: Fuzz

/// One thing to be fuzzed: any bytes go in, and nothing may trap, hang or contradict itself.
///
/// libFuzzer drives it in an executable of its own (`scripts/fuzz`); the ordinary tests replay its corpus.
public struct FuzzSubject: Sendable {
    /// The name of its executable without `Fuzz`, and of its folder in `Tests/Fuzz/Corpus`.
    public let name: String
    /// Takes one input.
    public let run: @Sendable ([UInt8]) -> Void
    /// Inputs from which a corpus starts: well-formed ones, made by our own code.
    public let seeds: @Sendable () -> [(name: String, bytes: [UInt8])]

    /// A subject.
    public init(
        name: String, run: @escaping @Sendable ([UInt8]) -> Void,
        seeds: @escaping @Sendable () -> [(name: String, bytes: [UInt8])] = { [] }
    ) {
        self.name = name
        self.run = run
        self.seeds = seeds
    }

    /// Every subject that this build can reach; the configuration's needs third-party packages and is not among them.
    public static var all: [FuzzSubject] {
        #if TESTABLE
            [
                .ikeMessage, .ikePayloads, .ikeSequence, .innerPacket, .superPacket, .espOpen, .text, .signature,
                .netlink,
            ]
        #else
            [.ikeMessage, .ikePayloads, .ikeSequence, .innerPacket, .espOpen, .text, .signature]
        #endif
    }
}

/// Takes small decisions from the front of an input; at the end everything is zero.
struct Choices {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    var isEmpty: Bool { rest.isEmpty }

    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    mutating func word() -> Int { Int(byte()) << 8 | Int(byte()) }

    /// At most `count` bytes.
    mutating func bytes(_ count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }
}

/// A generator with a seed (splitmix64): the same input always takes the same way.
final class SeededBytes: @unchecked Sendable {
    // Used by one thread at a time: a subject's run is sequential.
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }
}
