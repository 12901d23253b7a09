// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

public import AditWire

public final class SATable: @unchecked Sendable {
    public init(workers: Int, capacity: Int = 131_072) { fatalError() }
    public func reader(worker: Int) -> SAReader { fatalError() }
    public func install(_ parameters: ChildSAParameters) throws(SATableError) { fatalError() }
    @discardableResult public func activateOutbound(inboundSPI: SPI) -> Bool { fatalError() }
    @discardableResult public func remove(inboundSPI: SPI) -> SACounters? { fatalError() }
    @discardableResult public func move(inboundSPI: SPI, local: Endpoint, remote: Endpoint) -> Bool { fatalError() }
    public func setPolicies(_ policies: [ChildPolicy]) throws(SATableError) { fatalError() }
    public func counters(inboundSPI: SPI) -> SACounters? { fatalError() }
    public func drainHints(_ body: (SAHint) -> Void) { fatalError() }
    @discardableResult public func reclaim() -> Int { fatalError() }
}

/// What is to happen to an outbound packet (RFC 4301 §5.1).
@unsafe public enum OutboundVerdict {
    /// Seal with this SA; the pointer is good until the reader's next ``SAReader/quiescent()``.
    case protect(UnsafeMutablePointer<OutboundSA>)
    /// Ask for an SA, and hold or drop the packet (``DropReason/noSA``).
    case acquire(PolicyID)
    /// Drop.
    case drop(DropReason)
}

public final class SAReader: @unchecked Sendable {
    public let worker: Int = 0
    init() {}
    public func inbound(_ spi: SPI) -> UnsafeMutablePointer<InboundSA>? { fatalError() }
    public func outbound(for flow: FlowKey) -> OutboundVerdict { fatalError() }
    /// At each batch boundary: no SA pointer obtained before may be used afterwards.
    public func quiescent() { fatalError() }
    /// Before sleeping.
    public func enterIdle() { fatalError() }
    /// After waking, before the first lookup.
    public func leaveIdle() { fatalError() }
}
