// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

internal import AditCrypto
public import AditWire
internal import Synchronization

/// The sending half of a Child SA. Lives in memory that ``SATable`` owns; reached through pointers only.
///
/// Threading: every worker seals with a sealer of its own, whose nonces no other can form, and draws sequence numbers
/// from one shared counter, a block at a time.
@safe public struct OutboundSA: ~Copyable {
    /// The SPI that the peer chose.
    public let spi: SPI
    /// The SPI of the receiving half, by which control names the pair.
    public let inboundSPI: SPI
    /// Whether TCP's MSS is to be clamped in packets that leave here.
    public let clampMSS: Bool
    /// Bytes before the inner packet: ESP header and IV.
    public let headerLength: Int

    let esn: Bool
    let icvLength: Int
    /// What text with padding and trailer is a multiple of, less one.
    let padMask: Int
    /// The bits of the inner traffic class that the outer header gets.
    let trafficClassMask: UInt8
    let lifetime: SALifetime
    /// The last number that may be used.
    let lastSequence: UInt64
    let softSequence: UInt64
    let countsBytes: Bool
    let lanes: SealingLanes
    // SAFETY: control publishes a new path and retires the old one; readers follow it within a batch only.
    let currentPath: Atomic<UnsafeMutablePointer<OuterPath>>

    init(_ parameters: ChildSAParameters, sealers: [PacketSealer], path: UnsafeMutablePointer<OuterPath>) {
        let suite = parameters.suite
        let lifetime = parameters.lifetime
        spi = parameters.outboundSPI
        inboundSPI = parameters.inboundSPI
        clampMSS = parameters.clampMSS
        headerLength = ESPHeader.length + suite.ivLength
        esn = parameters.esn
        icvLength = suite.icvLength
        // RFC 4303 §2.4: to the cipher's block, and the trailer ends on a 4-byte boundary.
        padMask = max(4, suite.blockLength) - 1
        trafficClassMask = (parameters.copyDSCP ? 0xfc : 0) | (parameters.copyECN ? 0x03 : 0)
        self.lifetime = lifetime
        // RFC 4303 §3.3.3: the counter must not cycle.
        lastSequence = min(lifetime.hardPackets, parameters.esn ? .max - 1 : UInt64(UInt32.max))
        softSequence = min(lifetime.rekeyPackets, parameters.esn ? .max : Self.softSequenceWithoutESN)
        countsBytes = lifetime.rekeyBytes != .max || lifetime.hardBytes != .max
        lanes = SealingLanes(sealers)
        unsafe currentPath = Atomic(path)
    }

    deinit {
        lanes.deallocate()
    }

    /// The outer endpoints as control last set them.
    public var path: OuterPath { unsafe currentPath.load(ordering: .acquiring).pointee }

    /// Reserves up to `count` sequence numbers for packets with `bytes` inner bytes in all: one atomic operation for a
    /// batch, two where the SA has a byte limit.
    ///
    /// Fewer numbers, or none, come back when the SA is spent; numbers not used are lost, never reused. Packets of one
    /// block should leave together: a peer's window may be as small as 32.
    public func reserve(_ count: Int, bytes: Int, reader: SAReader) -> SequenceBlock {
        var isSoft = false
        // Before numbers are taken: each number taken is handed out, so that none is waited for in vain.
        if countsBytes {
            let total = unsafe lanes.bytes.pointee.wrappingAdd(UInt64(max(bytes, 0)), ordering: .relaxed).newValue
            guard total <= lifetime.hardBytes else { return SequenceBlock(first: 0, count: 0) }
            isSoft = total >= lifetime.rekeyBytes
        }
        let sequence = unsafe lanes.sequence
        var last = unsafe sequence.pointee.load(ordering: .relaxed)
        var taken: UInt64
        while true {
            taken = min(UInt64(max(count, 0)), lastSequence &- min(last, lastSequence))
            guard taken > 0 else { return SequenceBlock(first: 0, count: 0) }
            let exchange = unsafe sequence.pointee.weakCompareExchange(
                expected: last, desired: last &+ taken, ordering: .relaxed)
            if exchange.exchanged { break }
            last = exchange.original
        }
        if isSoft || last &+ taken >= softSequence { tellLifetime(reader) }
        return SequenceBlock(first: last &+ 1, count: Int(truncatingIfNeeded: taken))
    }

    /// Whether every number before `first` has left: with several workers a block leaves in its turn, so that the
    /// packets of an SA stay within a small replay window.
    public func isTurn(of first: UInt64) -> Bool {
        unsafe lanes.departed.pointee.load(ordering: .acquiring) &+ 1 >= first
    }

    /// Says that the numbers up to `last` have left, or were given up.
    public func markDeparted(_ last: UInt64) {
        unsafe lanes.departed.pointee.max(last, ordering: .releasing)
    }

    /// The length on the wire of an inner packet of `length` bytes, from ESP header to ICV.
    @inline(__always) public func sealedLength(_ length: Int) -> Int {
        headerLength &+ ((length &+ 2 &+ padMask) & ~padMask) &+ icvLength
    }

    /// The largest inner packet whose sealed length is at most `limit`; never negative.
    public func largestInner(sealedTo limit: Int) -> Int {
        let text = limit - headerLength - icvLength
        return max(0, (text & ~padMask) - 2)
    }

    /// The outer traffic class for an inner one (RFC 2983 §3, RFC 6040 §4.1: copied, or 0 where that is configured).
    @inline(__always) public func outerTrafficClass(inner: UInt8) -> UInt8 { inner & trafficClassMask }

    private func tellLifetime(_ reader: SAReader) {
        guard unsafe !lanes.toldLifetime.pointee.load(ordering: .relaxed),
            reader.post(.lifetimeReached(inboundSPI: inboundSPI))
        else { return }
        unsafe lanes.toldLifetime.pointee.store(true, ordering: .relaxed)
    }

    /// Time to rekey while packets still flow.
    private static let softSequenceWithoutESN: UInt64 = 0xf000_0000
}

/// Consecutive sequence numbers, drawn by ``OutboundSA/reserve(_:bytes:reader:)``.
public struct SequenceBlock: Hashable, Sendable {
    /// The first number.
    public var first: UInt64
    /// How many; 0 when the SA is spent.
    public var count: Int

    /// A block.
    public init(first: UInt64, count: Int) {
        self.first = first
        self.count = count
    }
}
