// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

public import AditWire

public struct OutboundSA: ~Copyable {
    public let spi: SPI
    public let inboundSPI: SPI
    public let clampMSS: Bool
    /// Bytes before the inner packet: ESP header and IV.
    public let headerLength: Int
    public var path: OuterPath { fatalError() }
    /// Reserves up to `count` sequence numbers that carry `bytes` inner bytes: one atomic operation for a batch.
    public func reserve(_ count: Int, bytes: Int) -> SequenceBlock { fatalError() }
    /// The length on the wire of an inner packet of `length` bytes: ESP header to ICV.
    public func sealedLength(_ length: Int) -> Int { fatalError() }
    /// The largest inner packet whose sealed length is at most `limit`.
    public func largestInner(sealedTo limit: Int) -> Int { fatalError() }
}

/// Consecutive sequence numbers; `count` 0 when the SA is spent.
public struct SequenceBlock: Sendable {
    public var first: UInt64
    public var count: Int
}
