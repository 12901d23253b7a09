// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

internal import AditCrypto
public import AditWire
internal import Synchronization

// 1. Length (RFC 4303 §2). The caller found the SA by SPI and is its owner (§3.4.2).
// 2. Infer the extended sequence number (Appendix A2), check the replay window (§3.4.3).
// 3. ICV and decryption in place (§3.4.4); only then commit the number.
// 4. Pad length, next header, dummy packets, padding (§2.4 to §2.6).
// 5. Inner header; padding for traffic flow confidentiality goes (§2.7).
// 6. Inner selectors (RFC 4301 §5.2 step 4), ECN (RFC 6040 §4.2), counters.
// Threading: the worker that owns the SA. No allocation, lock or reference counting.

/// Opens ESP packets where they lie.
public enum ESPOpen {
    /// Opens the ESP packet of `length` bytes at `packet` in place; `sa` was found by its SPI and is owned by
    /// `reader`'s worker. After a drop the bytes are undefined.
    public static func open(
        _ packet: UnsafeMutableRawPointer, length: Int, outerTrafficClass: UInt8,
        sa: UnsafeMutablePointer<InboundSA>, reader: SAReader
    ) -> OpenVerdict {
        // SAFETY: the caller owns `length` bytes; the SA outlives the batch by the reader's epoch and is this worker's.
        let header = unsafe sa.pointee.headerLength
        let textLength = unsafe length &- header &- sa.pointee.icvLength
        guard textLength >= 2, unsafe textLength & sa.pointee.blockMask == 0 else { return .drop(.truncated) }

        let sequence: UInt64
        let low = unsafe UnsafeRawPointer(packet).uint32(at: 4)
        if unsafe sa.pointee.esn {
            guard
                let inferred = unsafe ExtendedSequence.infer(
                    low: low, top: sa.pointee.window.top, window: sa.pointee.window.size)
            else { return .drop(.tooOld) }
            sequence = inferred
        } else {
            sequence = UInt64(low)
        }
        switch unsafe sa.pointee.window.check(sequence) {
        case .fresh: break
        case .replayed: return .drop(.replayed)
        case .tooOld: return .drop(.tooOld)
        }

        let extended = unsafe sa.pointee.esn ? UInt32(truncatingIfNeeded: sequence >> 32) : nil
        let isAuthentic = unsafe sa.pointee.opener._withUnsafeGuaranteedRef {
            unsafe $0.open(packet, prefixLength: ESPHeader.length, textLength: textLength, extended: extended)
        }
        guard isAuthentic else { return .drop(.badICV) }
        let isNewest = unsafe sa.pointee.window.commit(sequence)
        unsafe noteActivity(sa, reader)
        return unsafe deliver(
            packet, header: header, textLength: textLength, outerTrafficClass: outerTrafficClass, isNewest: isNewest,
            sa: sa, reader: reader)
    }

    /// Notes where the newest packet of an SA came from; control is told when that is not the SA's path. For packets
    /// (or runs of them) with ``OpenedPacket/isNewest`` only (RFC 7296 §2.23).
    @inline(__always) public static func noteRemote(
        _ remote: Endpoint, sa: UnsafeMutablePointer<InboundSA>, reader: SAReader
    ) {
        if unsafe isElsewhere(remote, sa: sa) { unsafe tellMove(remote, sa, reader) }
    }

    /// Whether `remote`, where the newest packet came from, is not where the SA's packets go.
    @inline(__always) public static func isElsewhere(_ remote: Endpoint, sa: UnsafeMutablePointer<InboundSA>) -> Bool {
        // SAFETY: as in `open`; the path lives as long as the SA may be used.
        let current = unsafe sa.pointee.currentPath.load(ordering: .acquiring)
        return unsafe current.pointee.remote != remote
    }

    /// Steps 4 to 6, on authenticated text.
    @inline(__always) private static func deliver(
        _ packet: UnsafeMutableRawPointer, header: Int, textLength: Int, outerTrafficClass: UInt8, isNewest: Bool,
        sa: UnsafeMutablePointer<InboundSA>, reader: SAReader
    ) -> OpenVerdict {
        let inner = unsafe packet + header
        let text = UnsafeRawPointer(inner)
        let padLength = unsafe Int(text.byte(at: textLength &- 2))
        let nextHeader = unsafe text.byte(at: textLength &- 1)
        let length = textLength &- 2 &- padLength
        guard length >= 0 else { return .drop(.badPadding) }
        // RFC 4303 §2.6: a dummy packet is discarded without prejudice.
        if nextHeader == IPProtocol.noNextHeader { return .drop(.dummy) }
        guard nextHeader == IPProtocol.ipv4 || nextHeader == IPProtocol.ipv6 else { return .drop(.badNextHeader) }
        guard unsafe isMonotonic(text + length, count: padLength) else { return .drop(.badPadding) }

        guard let ip = unsafe IPHeader(text, available: length) else { return .drop(.malformed) }
        guard (ip.family == .v4) == (nextHeader == IPProtocol.ipv4) else { return .drop(.malformed) }
        let flow = unsafe FlowKey(ip, text)
        guard unsafe isAllowed(flow, sa) else { return .drop(.selectorMismatch) }

        guard let ecn = CongestionNotification.decapsulated(inner: ip.trafficClass, outer: outerTrafficClass)
        else { return .drop(.congestion) }
        if ecn != ip.trafficClass & 3 { unsafe CongestionNotification.rewrite(inner, family: ip.family, ecn: ecn) }

        guard unsafe count(ip.totalLength, sa, reader) else { return .drop(.sequenceExhausted) }
        return .packet(OpenedPacket(offset: header, length: ip.totalLength, isNewest: isNewest))
    }

    /// RFC 4303 §2.4: the padding is 1, 2, 3, …
    @inline(__always) private static func isMonotonic(_ padding: UnsafeRawPointer, count: Int) -> Bool {
        var difference: UInt8 = 0
        var index = 0
        while index < count {
            difference |= unsafe padding.byte(at: index) ^ UInt8(truncatingIfNeeded: index &+ 1)
            index &+= 1
        }
        return difference == 0
    }

    /// RFC 4301 §5.2 step 4: the inner packet is one that the peer may send us through this SA.
    @inline(__always) private static func isAllowed(_ flow: FlowKey, _ sa: UnsafeMutablePointer<InboundSA>) -> Bool {
        let family = flow.family
        let isRemote = unsafe sa.pointee.remoteSelectors.covers(
            high: flow.sourceHigh, low: flow.sourceLow, family: family, ipProtocol: flow.ipProtocol,
            port: flow.sourcePort, visible: flow.portsVisible)
        guard isRemote else { return false }
        return unsafe sa.pointee.localSelectors.covers(
            high: flow.destinationHigh, low: flow.destinationLow, family: family, ipProtocol: flow.ipProtocol,
            port: flow.destinationPort, visible: flow.portsVisible)
    }

    /// Counts a packet; false when it is past a hard limit.
    @inline(__always) private static func count(
        _ length: Int, _ sa: UnsafeMutablePointer<InboundSA>, _ reader: SAReader
    ) -> Bool {
        let packets = unsafe sa.pointee.packets.load(ordering: .relaxed) &+ 1
        let bytes = unsafe sa.pointee.bytes.load(ordering: .relaxed) &+ UInt64(truncatingIfNeeded: length)
        let lifetime = unsafe sa.pointee.lifetime
        guard packets <= lifetime.hardPackets, bytes <= lifetime.hardBytes else { return false }
        unsafe sa.pointee.packets.store(packets, ordering: .relaxed)
        unsafe sa.pointee.bytes.store(bytes, ordering: .relaxed)
        if packets >= lifetime.rekeyPackets || bytes >= lifetime.rekeyBytes { unsafe tellLifetime(sa, reader) }
        return true
    }

    @inline(__always) private static func noteActivity(_ sa: UnsafeMutablePointer<InboundSA>, _ reader: SAReader) {
        if unsafe sa.pointee.activityTick != reader.tick { unsafe tellActivity(sa, reader) }
    }

    @inline(never) private static func tellActivity(_ sa: UnsafeMutablePointer<InboundSA>, _ reader: SAReader) {
        guard unsafe reader.post(.inboundActivity(inboundSPI: sa.pointee.spi)) else { return }
        unsafe sa.pointee.activityTick = reader.tick
    }

    @inline(never) private static func tellLifetime(_ sa: UnsafeMutablePointer<InboundSA>, _ reader: SAReader) {
        guard unsafe !sa.pointee.toldLifetime else { return }
        unsafe sa.pointee.toldLifetime = reader.post(.lifetimeReached(inboundSPI: sa.pointee.spi))
    }

    @inline(never) private static func tellMove(
        _ remote: Endpoint, _ sa: UnsafeMutablePointer<InboundSA>, _ reader: SAReader
    ) {
        // Once per drain, so that a peer that moves back and forth cannot fill the ring.
        if unsafe sa.pointee.movedTick == reader.tick { return }
        guard unsafe reader.post(.peerMoved(inboundSPI: sa.pointee.spi, to: remote)) else { return }
        unsafe sa.pointee.movedTick = reader.tick
    }
}

/// What became of an ESP packet.
public enum OpenVerdict: Sendable {
    /// The inner packet.
    case packet(OpenedPacket)
    /// Lost, and why.
    case drop(DropReason)
}

/// An inner packet that passed every check.
public struct OpenedPacket: Hashable, Sendable {
    /// Where it begins, from the ESP header.
    public var offset: Int
    /// Its length by its own header: padding for traffic flow confidentiality is gone.
    public var length: Int
    /// Whether no packet of the SA with a higher sequence number was authenticated before.
    public var isNewest: Bool
}
