// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditWire

extension PacketBytes {
    /// The IP header at the beginning; nil when one of its lengths lies.
    @inline(__always) var ipHeader: IPHeader? {
        // SAFETY: IPHeader reads nothing beyond the lent bytes.
        unsafe IPHeader(UnsafeRawPointer(start), available: count)
    }

    /// The flow of the packet that `header` was read from.
    @inline(__always) func flowKey(_ header: IPHeader) -> FlowKey {
        precondition(header.totalLength <= count, "header of another packet")
        // SAFETY: FlowKey reads nothing beyond the header's total length.
        return unsafe FlowKey(header, UnsafeRawPointer(start))
    }

    /// The pseudo-header's sum without the length (RFC 9293 §3.1, RFC 8200 §8.1).
    @inline(__always) func pseudoHeaderSum(isIPv6: Bool, ipProtocol: UInt8) -> MemoryOrderSum {
        var sum = MemoryOrderSum()
        sum.add(isIPv6 ? slice(8, 32) : slice(12, 8))
        sum.add(UInt16(ipProtocol))
        return sum
    }

    /// The IPv4 header checksum over `length` bytes, stored in its place.
    @inline(__always) func setIPv4Checksum(headerLength length: Int) {
        setRaw(0, at: 10)
        setRaw(MemoryOrderSum(slice(0, length)).checksum, at: 10)
    }
}

extension IPHeader {
    @inline(__always) var isIPv6: Bool { family == .v6 }
    @inline(__always) var isFragment: Bool { fragment != .whole }
    /// Bytes after the IP header and its options or extension headers.
    @inline(__always) var upperLength: Int { totalLength &- headerLength }
}

/// The TCP flags that the packet paths look at (RFC 9293 §3.1, RFC 3168 §6.1).
enum TCPFlag {
    static let fin: UInt8 = 0x01
    static let syn: UInt8 = 0x02
    static let rst: UInt8 = 0x04
    static let psh: UInt8 = 0x08
    static let ack: UInt8 = 0x10
    static let ece: UInt8 = 0x40
    static let cwr: UInt8 = 0x80
}
