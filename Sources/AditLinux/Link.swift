// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

public import AditWire
internal import CLinux
internal import Glibc

/// An interface.
public struct Link: Hashable, Sendable {
    /// Its index.
    public var index: UInt32
    /// Its name.
    public var name: String
    /// Its MTU in bytes.
    public var mtu: Int
    /// Whether it is up.
    public var isUp: Bool
    /// Whether it is up and has a carrier: for a TUN device, whether a program has it open.
    public var hasCarrier: Bool
    /// Whether it leads to this host only.
    public var isLoopback = false
    /// Whether its packets have no link-layer header, as those of a TUN device (ARPHRD_NONE).
    public var isWithoutHeader = false
    /// The length of its transmit queue in packets.
    public var transmitQueueLength: Int
    /// The largest super-packet in bytes; 0 when unknown.
    public var segmentationBytes: Int
    /// The largest super-packet in segments; 0 when unknown.
    public var segmentationSegments: Int
}

/// An address of an interface.
public struct InterfaceAddress: Hashable, Sendable {
    /// The interface.
    public var link: UInt32
    /// The address with its prefix length.
    public var prefix: IPPrefix
    /// Whether it is of use beyond its own link.
    public var isGlobal = true
    /// Whether it can be sent from: not while, or after, IPv6 found it to be another host's (RFC 4862 §5.4).
    public var isReady = true
}

extension Link {
    /// From an RTM_NEWLINK message; nil when it is none or incomplete.
    init?(_ answer: NetlinkAnswer) {
        guard answer.type == Int(RTM_NEWLINK), let attributes = answer.attributes(after: MemoryLayout<ifinfomsg>.size),
            let index = answer.payload.integer(at: 4, as: UInt32.self),
            let hardware = answer.payload.integer(at: 2, as: UInt16.self),
            let flags = answer.payload.integer(at: 8, as: UInt32.self), let name = attributes[Int(IFLA_IFNAME)]
        else { return nil }
        let value = { (type: Int) -> Int in Int(attributes[type]?.integer(at: 0, as: UInt32.self) ?? 0) }
        self.init(
            index: index, name: name.text, mtu: value(Int(IFLA_MTU)), isUp: flags & UInt32(IFF_UP) != 0,
            hasCarrier: flags & Self.lowerUp != 0, isLoopback: flags & UInt32(IFF_LOOPBACK) != 0,
            isWithoutHeader: hardware == Self.noHeader,
            transmitQueueLength: value(Int(IFLA_TXQLEN)), segmentationBytes: value(Int(IFLA_GSO_MAX_SIZE)),
            segmentationSegments: value(Int(IFLA_GSO_MAX_SEGS)))
    }

    /// IFF_LOWER_UP, which Glibc's headers lack.
    private static let lowerUp: UInt32 = 0x1_0000
    /// ARPHRD_NONE, which Glibc's headers lack, too.
    private static let noHeader: UInt16 = 0xfffe
}

extension InterfaceAddress {
    /// From an RTM_NEWADDR message; nil when it is none or incomplete.
    init?(_ answer: NetlinkAnswer) {
        guard answer.type == Int(RTM_NEWADDR), let attributes = answer.attributes(after: MemoryLayout<ifaddrmsg>.size),
            let length = answer.payload.integer(at: 1, as: UInt8.self),
            let index = answer.payload.integer(at: 4, as: UInt32.self),
            let bytes = attributes[Int(IFA_LOCAL)] ?? attributes[Int(IFA_ADDRESS)],
            let address = IPAddress(bytes: bytes),
            let prefix = IPPrefix(address, length: Int(length))
        else { return nil }
        let flags =
            attributes[Int(IFA_FLAGS)]?.integer(at: 0, as: UInt32.self)
            ?? answer.payload.integer(at: 2, as: UInt8.self).map(UInt32.init) ?? 0
        let scope = answer.payload.integer(at: 3, as: UInt8.self) ?? 0
        self.init(
            link: index, prefix: prefix, isGlobal: CUnsignedInt(scope) == RT_SCOPE_UNIVERSE.rawValue,
            isReady: flags & UInt32(IFA_F_TENTATIVE | IFA_F_DADFAILED) == 0)
    }

    func request(_ type: Int, flags: Int) -> NetlinkRequest {
        var fixed = ifaddrmsg()
        fixed.ifa_family = UInt8(prefix.address.family.socketFamily)
        fixed.ifa_prefixlen = UInt8(prefix.length)
        fixed.ifa_index = link
        if prefix.address.family == .v6 { fixed.ifa_flags = UInt8(IFA_F_NODAD) }
        var request = NetlinkRequest(type, flags: flags, fixed: fixed)
        request.attribute(Int(IFA_LOCAL), prefix.address.bytes)
        request.attribute(Int(IFA_ADDRESS), prefix.address.bytes)
        return request
    }
}
