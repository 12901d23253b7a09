// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

public import AditWire
internal import CLinux
internal import Glibc

/// What the routing table says about a destination, asked by a connected socket that sends nothing. Thread-safe.
public enum PathQuery {
    /// The local address from which `remote` is reached; nil when it is unreachable.
    public static func localAddress(to remote: IPAddress) -> IPAddress? {
        unsafe ask(remote) { descriptor, memory in
            var length = socklen_t(SocketAddress.room)
            let address = unsafe memory.assumingMemoryBound(to: sockaddr.self)
            guard unsafe getsockname(descriptor, address, &length) == 0 else { return nil }
            return unsafe SocketAddress.decode(memory, length: length)?.address
        }
    }

    /// The MTU of the path to `remote` as the kernel knows it (interface, route, learned from ICMP); nil when it is
    /// unreachable.
    public static func mtu(to remote: IPAddress) -> Int? {
        unsafe ask(remote) { descriptor, _ in
            let isV4 = remote.family == .v4
            var value: CInt = 0
            var size = socklen_t(MemoryLayout<CInt>.size)
            let level = CInt(isV4 ? IPPROTO_IP : IPPROTO_IPV6)
            let code = unsafe getsockopt(descriptor, level, isV4 ? IP_MTU : IPV6_MTU, &value, &size)
            return code == 0 && value > 0 ? Int(value) : nil
        }
    }

    private static func ask<Value>(_ remote: IPAddress, _ body: (CInt, UnsafeMutableRawPointer) -> Value?) -> Value? {
        let kind = CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue)
        let (opened, code) = SystemCall.attempt { socket(remote.family.socketFamily, kind, 0) }
        guard code == 0 else { return nil }
        let owned = OwnedDescriptor(opened)
        defer { withExtendedLifetime(owned) {} }
        var name = sockaddr_storage()
        return unsafe withUnsafeMutableBytes(of: &name) { bytes in
            // SAFETY: sockaddr_storage is larger than `SocketAddress.room`, and lives for the calls. Any port does.
            guard let start = bytes.baseAddress else { return nil }
            let length = unsafe SocketAddress.encode(Endpoint(remote, port: 4500), to: start)
            guard unsafe connect(owned.value, start.assumingMemoryBound(to: sockaddr.self), length) == 0 else {
                return nil
            }
            return unsafe body(owned.value, start)
        }
    }
}
