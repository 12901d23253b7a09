// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

internal import CLinux

/// Which offloads a TUN device is asked for and has.
public struct TUNOffloads: OptionSet, Hashable, Sendable {
    /// The bits.
    public let rawValue: UInt8
    /// From bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Unfinished checksums; every other one needs it.
    public static let checksum = TUNOffloads(rawValue: 1)
    /// TCP over IPv4 super-packets.
    public static let tcpV4 = TUNOffloads(rawValue: 2)
    /// TCP over IPv6 super-packets.
    public static let tcpV6 = TUNOffloads(rawValue: 4)
    /// TCP super-packets with CWR.
    public static let tcpECN = TUNOffloads(rawValue: 8)
    /// UDP over IPv4 super-packets.
    public static let udpV4 = TUNOffloads(rawValue: 16)
    /// UDP over IPv6 super-packets.
    public static let udpV6 = TUNOffloads(rawValue: 32)
    /// Everything.
    public static let all: TUNOffloads = [.checksum, .tcpV4, .tcpV6, .tcpECN, .udpV4, .udpV6]
}

extension TUNOffloads {
    /// The bits of TUNSETOFFLOAD.
    var kernelBits: UInt {
        let table: [(TUNOffloads, CInt)] = [
            (.checksum, TUN_F_CSUM), (.tcpV4, TUN_F_TSO4), (.tcpV6, TUN_F_TSO6), (.tcpECN, TUN_F_TSO_ECN),
            (.udpV4, TUN_F_USO4), (.udpV6, TUN_F_USO6),
        ]
        return table.reduce(0) { contains($1.0) ? $0 | UInt($1.1) : $0 }
    }

    /// What may be written: super-packets of a protocol only when both families have them.
    var capabilities: DeviceCapabilities {
        var result: DeviceCapabilities = []
        if contains(.checksum) { result.insert(.checksum) }
        if contains([.checksum, .tcpV4, .tcpV6]) { result.insert(.tcpSegmentation) }
        if contains([.checksum, .udpV4, .udpV6]) { result.insert(.udpSegmentation) }
        return result
    }
}
