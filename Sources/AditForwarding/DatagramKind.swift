// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

/// What a datagram on the port of ESP in UDP is (RFC 3948 §2).
enum DatagramKind: Equatable {
    /// An ESP packet, from its first byte.
    case esp
    /// An IKE message that begins after the non-ESP marker.
    case ike
    /// A NAT keepalive, to be ignored (RFC 3948 §2.3).
    case keepalive
    /// Neither.
    case junk

    /// Zero octets before an IKE message (RFC 3948 §2.2).
    static let markerLength = 4
    /// An IKE header is 28 bytes (RFC 7296 §3.1); shorter ones cannot be IKE.
    private static let ikeHeaderLength = 28

    /// Decides for `datagram`, which came to the port of ESP in UDP.
    @inline(__always) init(_ datagram: PacketBytes) {
        // RFC 3948 §2.3: one octet 0xff; shorter than any header it could be taken for.
        guard datagram.count >= Self.markerLength else {
            self = datagram.count == 1 && datagram[0] == 0xff ? .keepalive : .junk
            return
        }
        // RFC 3948 §2.2: the SPI is never zero, so four zero octets mark IKE.
        guard datagram.raw32(0) == 0 else {
            self = .esp
            return
        }
        self = datagram.count >= Self.markerLength + Self.ikeHeaderLength ? .ike : .junk
    }
}
