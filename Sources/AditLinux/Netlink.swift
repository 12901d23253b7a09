// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

public import AditWire

/// rtnetlink: interfaces, addresses and routes. Used by one thread; every call waits for the kernel's answer only.
public final class Netlink {
    /// Opens a netlink socket in the calling thread's network namespace.
    public init() throws(SystemError) { fatalError("filled in by linux") }

    /// All interfaces.
    public func links() throws(SystemError) -> [Link] { fatalError("filled in by linux") }
    /// The interface of that name; nil when there is none.
    public func link(named name: String) throws(SystemError) -> Link? { fatalError("filled in by linux") }
    /// Sets the interface up or down.
    public func setUp(_ up: Bool, link index: UInt32) throws(SystemError) { fatalError("filled in by linux") }
    /// Sets the MTU.
    public func setMTU(_ mtu: Int, link index: UInt32) throws(SystemError) { fatalError("filled in by linux") }
    /// Sets the length of the transmit queue in packets.
    public func setTransmitQueueLength(_ length: Int, link index: UInt32) throws(SystemError) {
        fatalError("filled in by linux")
    }
    /// Limits the super-packets that the stack gives the interface.
    public func setSegmentationLimit(bytes: Int?, segments: Int?, link index: UInt32) throws(SystemError) {
        fatalError("filled in by linux")
    }

    /// The addresses of one interface, or of all.
    public func addresses(link index: UInt32? = nil) throws(SystemError) -> [InterfaceAddress] {
        fatalError("filled in by linux")
    }
    /// Gives the interface an address; one that it has already is no error.
    public func addAddress(_ address: IPPrefix, link index: UInt32) throws(SystemError) {
        fatalError("filled in by linux")
    }
    /// Takes an address away; one that is not there is no error.
    public func removeAddress(_ address: IPPrefix, link index: UInt32) throws(SystemError) {
        fatalError("filled in by linux")
    }

    /// The routes with this protocol number; nil means all.
    public func routes(origin: UInt8? = Route.adit) throws(SystemError) -> [Route] { fatalError("filled in by linux") }
    /// Adds a route; one that is there already is an error (EEXIST).
    public func addRoute(_ route: Route) throws(SystemError) { fatalError("filled in by linux") }
    /// Adds a route or replaces the one of the same destination, table and metric.
    public func replaceRoute(_ route: Route) throws(SystemError) { fatalError("filled in by linux") }
    /// Removes a route; one that is not there is no error.
    public func removeRoute(_ route: Route) throws(SystemError) { fatalError("filled in by linux") }
}

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
    /// The length of its transmit queue in packets.
    public var transmitQueueLength: Int
    /// The largest super-packet in bytes and segments; 0 when unknown.
    public var segmentationBytes: Int
    public var segmentationSegments: Int
}

/// An address of an interface.
public struct InterfaceAddress: Hashable, Sendable {
    /// The interface.
    public var link: UInt32
    /// The address with its prefix length.
    public var prefix: IPPrefix
}

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

/// What the routing table says about a destination, asked by a connected socket that sends nothing.
public enum PathQuery {
    /// The local address from which `remote` is reached; nil when it is unreachable.
    public static func localAddress(to remote: IPAddress) -> IPAddress? { fatalError("filled in by linux") }
    /// The MTU of the path to `remote` as the kernel knows it (interface, route, learned from ICMP); nil when it is unreachable.
    public static func mtu(to remote: IPAddress) -> Int? { fatalError("filled in by linux") }
}
