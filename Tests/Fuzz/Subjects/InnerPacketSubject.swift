// SPDX-License-Identifier: Apache-2.0
// Adit: Fuzz

import AditWire

extension FuzzSubject {
    /// A packet from the TUN device, or one that ESP carried: its header views and its flow.
    public static let innerPacket = FuzzSubject(
        name: "InnerPacket",
        run: { bytes in
            // The exact size, so that a sanitizer sees a read past the end.
            bytes.withUnsafeBytes { buffer in
                guard let start = buffer.baseAddress, let header = IPHeader(start, available: buffer.count) else {
                    return
                }
                precondition(header.totalLength <= buffer.count, "a header never promises more than there is")
                precondition(header.baseLength <= header.headerLength && header.headerLength <= header.totalLength)
                precondition(header.source.family == header.family)
                let flow = FlowKey(header, start)
                precondition(flow == FlowKey(start, available: buffer.count), "both ways to a flow agree")
                precondition(flow.source == header.source && flow.destination == header.destination)
                precondition(flow.ipProtocol == header.ipProtocol)
                var sum = InternetChecksum()
                sum.addPseudoHeader(of: header, upperLength: header.totalLength - header.headerLength)
                sum.add(start + header.headerLength, count: header.totalLength - header.headerLength)
                _ = sum.checksum
            }
        },
        seeds: {
            [
                ("ipv4_tcp", packet4(ipProtocol: 6, upper: tcp)), ("ipv4_udp", packet4(ipProtocol: 17, upper: udp)),
                ("ipv4_options", packet4(ipProtocol: 17, options: [1, 1, 1, 0], upper: udp)),
                ("ipv4_first_fragment", packet4(ipProtocol: 17, fragmentation: 0x2000, upper: udp)),
                ("ipv4_later_fragment", packet4(ipProtocol: 17, fragmentation: 0x0010, upper: udp)),
                ("ipv4_icmp", packet4(ipProtocol: 1, upper: [8, 0, 0, 0, 0, 1, 0, 1])),
                ("ipv6_tcp", packet6(next: 6, upper: tcp)),
                ("ipv6_extensions", packet6(next: 0, upper: [60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0] + udp)),
                ("ipv6_fragment", packet6(next: 44, upper: [17, 0, 0, 1, 0, 0, 0, 9] + udp)),
            ]
        })

    private static let udp: [UInt8] = [0x10, 0, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4]
    private static let tcp: [UInt8] = [0x10, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0, 1, 2]

    /// An IPv4 packet from 10.1.0.1 to 10.2.0.1 (RFC 791 §3.1); the header checksum is left out, as no one looks.
    static func packet4(ipProtocol: UInt8, options: [UInt8] = [], fragmentation: UInt16 = 0, upper: [UInt8]) -> [UInt8]
    {
        let total = 20 + options.count + upper.count
        return [
            0x40 | UInt8(5 + options.count / 4), 0, UInt8(total >> 8), UInt8(total & 0xff), 0, 1,
            UInt8(fragmentation >> 8), UInt8(fragmentation & 0xff), 64, ipProtocol, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1,
        ] + options + upper
    }

    private static func packet6(next: UInt8, upper: [UInt8]) -> [UInt8] {
        [0x60, 0, 0, 0, 0, UInt8(upper.count), next, 64, 0xfd, 1] + [UInt8](repeating: 0, count: 13) + [1, 0xfd, 2]
            + [UInt8](repeating: 0, count: 13) + [1] + upper
    }
}
