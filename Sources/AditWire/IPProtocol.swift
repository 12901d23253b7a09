// SPDX-License-Identifier: Apache-2.0
// Adit: AditWire

/// IANA's protocol numbers that the packet path knows; any other number is carried as it is.
public enum IPProtocol {
    /// IPv6 hop-by-hop options.
    public static let hopByHopOptions: UInt8 = 0
    /// ICMP.
    public static let icmp: UInt8 = 1
    /// IPv4 in a tunnel.
    public static let ipv4: UInt8 = 4
    /// TCP.
    public static let tcp: UInt8 = 6
    /// UDP.
    public static let udp: UInt8 = 17
    /// DCCP.
    public static let dccp: UInt8 = 33
    /// IPv6 in a tunnel.
    public static let ipv6: UInt8 = 41
    /// IPv6 routing header.
    public static let routing: UInt8 = 43
    /// IPv6 fragment header.
    public static let fragment: UInt8 = 44
    /// ESP.
    public static let esp: UInt8 = 50
    /// ICMPv6.
    public static let icmpV6: UInt8 = 58
    /// No next header; an ESP dummy packet (RFC 4303 §2.6).
    public static let noNextHeader: UInt8 = 59
    /// IPv6 destination options.
    public static let destinationOptions: UInt8 = 60
    /// SCTP.
    public static let sctp: UInt8 = 132
    /// Mobility header (RFC 6275).
    public static let mobility: UInt8 = 135
    /// UDP-Lite.
    public static let udpLite: UInt8 = 136
}
