// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

public import AditWire
internal import CLinux
internal import Glibc

/// A unicast route.
public struct Route: Hashable, Sendable {
    /// Our protocol number (rtm_protocol): routes that a killed gateway left behind are recognised by it.
    public static let adit: UInt8 = 0xad

    /// The destination.
    public var destination: IPPrefix
    /// The interface it leads to.
    public var link: UInt32
    /// The next hop, if there is one.
    public var gateway: IPAddress?
    /// The source address hint.
    public var source: IPAddress?
    /// The routing table; 254 is the main one.
    public var table: UInt32 = 254
    /// The metric; nil is the kernel's default.
    public var metric: UInt32?
    /// Who made it (rtm_protocol).
    public var origin: UInt8 = Route.adit

    /// A route through an interface.
    public init(_ destination: IPPrefix, link: UInt32, source: IPAddress? = nil) {
        self.destination = destination
        self.link = link
        self.source = source
    }
}

extension Route {
    /// From an RTM_NEWROUTE message; nil when it is none, no unicast route, has no single interface, or is incomplete.
    init?(_ answer: NetlinkAnswer) {
        guard answer.type == Int(RTM_NEWROUTE), let attributes = answer.attributes(after: MemoryLayout<rtmsg>.size),
            let family = answer.payload.integer(at: 0, as: UInt8.self),
            let length = answer.payload.integer(at: 1, as: UInt8.self),
            let shortTable = answer.payload.integer(at: 4, as: UInt8.self),
            let origin = answer.payload.integer(at: 5, as: UInt8.self),
            let kind = answer.payload.integer(at: 7, as: UInt8.self), Int(kind) == Int(RTN_UNICAST),
            let link = attributes[Int(RTA_OIF.rawValue)]?.integer(at: 0, as: UInt32.self)
        else { return nil }
        let any = CInt(family) == AF_INET ? IPAddress(v4: 0) : IPAddress(v6High: 0, low: 0)
        let address = attributes[Int(RTA_DST.rawValue)].map { IPAddress(bytes: $0) } ?? any
        guard let address, address.family == any.family, let destination = IPPrefix(address, length: Int(length)) else {
            return nil
        }
        self.init(
            destination, link: link, source: attributes[Int(RTA_PREFSRC.rawValue)].flatMap { IPAddress(bytes: $0) })
        gateway = attributes[Int(RTA_GATEWAY.rawValue)].flatMap { IPAddress(bytes: $0) }
        table = attributes[Int(RTA_TABLE.rawValue)]?.integer(at: 0, as: UInt32.self) ?? UInt32(shortTable)
        metric = attributes[Int(RTA_PRIORITY.rawValue)]?.integer(at: 0, as: UInt32.self)
        self.origin = origin
    }

    func request(_ type: Int, flags: Int) -> NetlinkRequest {
        var fixed = rtmsg()
        fixed.rtm_family = UInt8(destination.address.family.socketFamily)
        fixed.rtm_dst_len = UInt8(destination.length)
        fixed.rtm_table = table < 256 ? UInt8(table) : UInt8(RT_TABLE_UNSPEC.rawValue)
        fixed.rtm_protocol = origin
        // An IPv4 route without a next hop leads to its own link.
        fixed.rtm_scope = UInt8(gateway == nil && destination.address.family == .v4 ? RT_SCOPE_LINK.rawValue : 0)
        fixed.rtm_type = UInt8(RTN_UNICAST)
        var request = NetlinkRequest(type, flags: flags, fixed: fixed)
        if destination.length > 0 { request.attribute(Int(RTA_DST.rawValue), destination.first.bytes) }
        request.attribute(Int(RTA_OIF.rawValue), link)
        if let gateway { request.attribute(Int(RTA_GATEWAY.rawValue), gateway.bytes) }
        if let source { request.attribute(Int(RTA_PREFSRC.rawValue), source.bytes) }
        request.attribute(Int(RTA_TABLE.rawValue), table)
        if let metric { request.attribute(Int(RTA_PRIORITY.rawValue), metric) }
        return request
    }
}
