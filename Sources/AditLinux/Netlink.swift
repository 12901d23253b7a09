// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

public import AditWire
internal import CLinux
internal import Glibc

/// rtnetlink: interfaces, addresses and routes, without running other programs. Used by one thread; every call waits
/// for the kernel's answer only. Acts in the network namespace in which it was opened.
public final class Netlink {
    var socket: NetlinkSocket

    /// Opens a netlink socket in the calling thread's network namespace.
    public init() throws(SystemError) { socket = try NetlinkSocket() }

    /// All interfaces.
    public func links() throws(SystemError) -> [Link] {
        let request = NetlinkRequest(Int(RTM_GETLINK), flags: Int(NLM_F_DUMP), fixed: ifinfomsg())
        return try socket.listing(request, "list the interfaces").compactMap(Link.init)
    }

    /// The interface of that name; nil when there is none.
    public func link(named name: String) throws(SystemError) -> Link? { try links().first { $0.name == name } }

    /// Sets the interface up or down.
    public func setUp(_ up: Bool, link index: UInt32) throws(SystemError) {
        var fixed = ifinfomsg()
        fixed.ifi_index = CInt(bitPattern: index)
        fixed.ifi_flags = up ? UInt32(IFF_UP) : 0
        fixed.ifi_change = UInt32(IFF_UP)
        let request = NetlinkRequest(Int(RTM_NEWLINK), flags: Int(NLM_F_ACK), fixed: fixed)
        try socket.perform(request, "set interface \(index) \(up ? "up" : "down")")
    }

    /// Sets the MTU in bytes.
    public func setMTU(_ mtu: Int, link index: UInt32) throws(SystemError) {
        try setLink(index, [(Int(IFLA_MTU), mtu)], "set the MTU of interface \(index) to \(mtu)") {
            $0 == EINVAL ? "the interface does not take this MTU" : nil
        }
    }

    /// Sets the length of the transmit queue in packets.
    public func setTransmitQueueLength(_ length: Int, link index: UInt32) throws(SystemError) {
        try setLink(index, [(Int(IFLA_TXQLEN), length)], "set the queue length of interface \(index) to \(length)")
    }

    /// Limits the super-packets that the stack gives the interface, in bytes and in segments; nil leaves one as it is.
    public func setSegmentationLimit(bytes: Int?, segments: Int?, link index: UInt32) throws(SystemError) {
        var values: [(Int, Int)] = []
        if let bytes { values.append((Int(IFLA_GSO_MAX_SIZE), bytes)) }
        if let segments { values.append((Int(IFLA_GSO_MAX_SEGS), segments)) }
        guard !values.isEmpty else { return }
        try setLink(index, values, "set the segmentation limit of interface \(index)")
    }

    /// Whether the kernel gives the interface an IPv6 link-local address of its own when it comes up (and with it sends
    /// router solicitations into it); to be set while the interface is down.
    public func setLinkLocalAddress(generated: Bool, link index: UInt32) throws(SystemError) {
        var fixed = ifinfomsg()
        fixed.ifi_index = CInt(bitPattern: index)
        var request = NetlinkRequest(Int(RTM_NEWLINK), flags: Int(NLM_F_ACK), fixed: fixed)
        let mode = generated ? IN6_ADDR_GEN_MODE_EUI64 : IN6_ADDR_GEN_MODE_NONE
        let value = NetlinkRequest.encoded(Int(IFLA_INET6_ADDR_GEN_MODE), [UInt8(mode.rawValue)])
        request.attribute(Int(IFLA_AF_SPEC), NetlinkRequest.encoded(Int(AF_INET6), value))
        try socket.perform(request, "set the IPv6 address generation of interface \(index)")
    }

    private func setLink(
        _ index: UInt32, _ values: [(type: Int, value: Int)], _ operation: String,
        remedy: (CInt) -> String? = { _ in nil }
    ) throws(SystemError) {
        var fixed = ifinfomsg()
        fixed.ifi_index = CInt(bitPattern: index)
        var request = NetlinkRequest(Int(RTM_NEWLINK), flags: Int(NLM_F_ACK), fixed: fixed)
        for (type, value) in values {
            guard let value = UInt32(exactly: value) else { throw SystemError(operation, code: ERANGE) }
            request.attribute(type, value)
        }
        try socket.perform(request, operation, remedy: remedy)
    }

    /// The addresses of one interface, or of all.
    public func addresses(link index: UInt32? = nil) throws(SystemError) -> [InterfaceAddress] {
        let request = NetlinkRequest(Int(RTM_GETADDR), flags: Int(NLM_F_DUMP), fixed: ifaddrmsg())
        return try socket.listing(request, "list the addresses").compactMap(InterfaceAddress.init)
            .filter { index == nil || $0.link == index }
    }

    /// Gives the interface an address; one that it has already is no error.
    public func addAddress(_ address: IPPrefix, link index: UInt32) throws(SystemError) {
        let flags = Int(NLM_F_ACK) | Int(NLM_F_CREATE) | Int(NLM_F_EXCL)
        let request = InterfaceAddress(link: index, prefix: address).request(Int(RTM_NEWADDR), flags: flags)
        do {
            try socket.perform(request, "add address \(address) to interface \(index)")
        } catch {
            guard error.code == EEXIST else { throw error }
        }
    }

    /// Takes an address away; one that is not there is no error.
    public func removeAddress(_ address: IPPrefix, link index: UInt32) throws(SystemError) {
        let request = InterfaceAddress(link: index, prefix: address).request(Int(RTM_DELADDR), flags: Int(NLM_F_ACK))
        do {
            try socket.perform(request, "remove address \(address) from interface \(index)")
        } catch {
            guard error.code == EADDRNOTAVAIL || error.code == ENODEV else { throw error }
        }
    }

    /// The unicast routes of every table with this protocol number; nil means all.
    public func routes(origin: UInt8? = Route.adit) throws(SystemError) -> [Route] {
        let request = NetlinkRequest(Int(RTM_GETROUTE), flags: Int(NLM_F_DUMP), fixed: rtmsg())
        return try socket.listing(request, "list the routes").compactMap(Route.init)
            .filter { origin == nil || $0.origin == origin }
    }

    /// Adds a route; one that is there already is an error (EEXIST).
    public func addRoute(_ route: Route) throws(SystemError) {
        try change(route, Int(RTM_NEWROUTE), Int(NLM_F_CREATE) | Int(NLM_F_EXCL), "add")
    }

    /// Adds a route or replaces the one of the same destination, table and metric.
    public func replaceRoute(_ route: Route) throws(SystemError) {
        try change(route, Int(RTM_NEWROUTE), Int(NLM_F_CREATE) | Int(NLM_F_REPLACE), "replace")
    }

    /// Removes a route; one that is not there is no error.
    public func removeRoute(_ route: Route) throws(SystemError) {
        do {
            try change(route, Int(RTM_DELROUTE), 0, "remove")
        } catch {
            guard error.code == ESRCH || error.code == ENODEV else { throw error }
        }
    }

    private func change(_ route: Route, _ type: Int, _ flags: Int, _ verb: String) throws(SystemError) {
        let operation = "\(verb) the route to \(route.destination)"
        try socket.perform(route.request(type, flags: flags | Int(NLM_F_ACK)), operation) { code in
            switch code {
            case EEXIST: "there is another route to it already; see `ip route get \(route.destination.address)`"
            case ENETDOWN: "the interface is down"
            case ENETUNREACH: "the next hop cannot be reached through the interface"
            case EINVAL: "the source address must be one of this machine's"
            default: nil
            }
        }
    }
}
