// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditCrypto

/// Where the machine's random bytes come from: the system's generator in a gateway, a seeded one in the simulator.
public struct EntropySource: Sendable {
    private let generate: @Sendable (Int) -> [UInt8]

    /// `generate` returns exactly as many uniformly random bytes as it is asked for.
    public init(_ generate: @escaping @Sendable (Int) -> [UInt8]) { self.generate = generate }

    /// `count` random bytes.
    public func bytes(_ count: Int) -> [UInt8] {
        let bytes = generate(count)
        precondition(bytes.count == count, "an entropy source returns what it was asked for")
        return bytes
    }

    /// `count` random bytes that are to stay secret: no other copy of them is left, unless the source keeps one.
    public func secret(_ count: Int) -> SecretBytes {
        var bytes = bytes(count)
        return SecretBytes(erasing: &bytes)
    }

    /// 64 random bits.
    public func integer64() -> UInt64 { bytes(8).reduce(0) { $0 << 8 | UInt64($1) } }

    /// 32 random bits.
    public func integer32() -> UInt32 { UInt32(truncatingIfNeeded: integer64()) }
}
