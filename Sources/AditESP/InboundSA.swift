// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

public import AditWire

public struct InboundSA: ~Copyable {
    public let spi: SPI
    /// The worker that owns the SA: the only one that may open its packets.
    public let owner: Int
    public let clampMSS: Bool
    /// The outer path as control last set it.
    public var path: OuterPath { fatalError() }
}
