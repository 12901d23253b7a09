// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

internal import CLinux
internal import Glibc

/// Tells when addresses, interfaces or routes of the network namespace in which it was opened change. Used by one
/// thread; never waits.
public final class NetworkMonitor {
    private let owned: OwnedDescriptor
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    /// Opens a netlink socket that hears of changes from now on.
    public init() throws(SystemError) {
        let operation = "watch the network's configuration"
        owned = OwnedDescriptor(
            try SystemCall.check(operation) {
                let kind = SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
                return socket(AF_NETLINK, CInt(kind), NETLINK_ROUTE)
            })
        var name = sockaddr_nl()
        name.nl_family = sa_family_t(AF_NETLINK)
        name.nl_groups = UInt32(
            RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE)
        // SAFETY: `name` is a sockaddr_nl of its full length, and lives for the call.
        try SystemCall.check(operation) {
            unsafe withUnsafeBytes(of: &name) { bytes -> CInt in
                guard let start = bytes.baseAddress else { return -1 }
                return unsafe bind(
                    owned.value, start.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
            }
        }
    }

    /// Readable when ``drain()`` has something to read.
    public var descriptor: CInt { owned.value }

    /// Reads what happened; whether it can matter to a path. Routes that carry our origin number, those of the kernel's
    /// own local table and cached ones do not.
    public func drain() -> Bool {
        var matters = false
        for _ in 0..<Self.datagramLimit {
            let (length, code) = SystemCall.attempt {
                unsafe recv(owned.value, &buffer, buffer.count, CInt(MSG_TRUNC))
            }
            // What overflowed cannot be known, so it matters.
            if code == ENOBUFS { matters = true }
            guard code == 0 || code == ENOBUFS else { break }
            guard code == 0 else { continue }
            // A datagram longer than the buffer was cut off.
            matters = length > buffer.count || Self.matters(buffer[..<length]) || matters
        }
        return matters
    }

    /// Whether a datagram of the kernel's tells of something that can matter to a path; one that cannot be read may.
    static func matters(_ datagram: ArraySlice<UInt8>) -> Bool {
        NetlinkAnswer.parse(datagram)?.contains(where: matters) ?? true
    }

    private static func matters(_ message: NetlinkAnswer) -> Bool {
        switch message.type {
        case Int(RTM_NEWADDR), Int(RTM_DELADDR), Int(RTM_NEWLINK), Int(RTM_DELLINK): return true
        case Int(RTM_NEWROUTE), Int(RTM_DELROUTE):
            guard let table = message.payload.integer(at: 4, as: UInt8.self),
                let origin = message.payload.integer(at: 5, as: UInt8.self),
                let flags = message.payload.integer(at: 8, as: UInt32.self)
            else { return true }
            return origin != Route.adit && CUnsignedInt(table) != RT_TABLE_LOCAL.rawValue
                && flags & UInt32(RTM_F_CLONED) == 0
        default: return false
        }
    }

    /// Datagrams that one call reads; the rest wait for the next.
    static let datagramLimit = 256
}
