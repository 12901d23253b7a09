// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

internal import AditWire
internal import Glibc

/// ``Endpoint`` to and from sockaddr_in and sockaddr_in6 in memory of at least ``room`` bytes.
enum SocketAddress {
    /// sizeof(struct sockaddr_in6), the larger of the two, rounded up.
    static let room = 32

    /// Writes the sockaddr of `endpoint` and returns its length.
    @inline(__always)
    static func encode(_ endpoint: Endpoint, to memory: UnsafeMutableRawPointer) -> socklen_t {
        // SAFETY: the caller provides `room` bytes; the offsets are those of the kernel's ABI.
        unsafe memory.storeBytes(of: endpoint.port.bigEndian, toByteOffset: 2, as: UInt16.self)
        switch endpoint.address.family {
        case .v4:
            unsafe memory.storeBytes(of: sa_family_t(AF_INET), as: sa_family_t.self)
            unsafe encode(endpoint.address, to: memory + 4)
            unsafe memory.storeBytes(of: 0, toByteOffset: 8, as: UInt64.self)
            return 16
        case .v6:
            unsafe memory.storeBytes(of: sa_family_t(AF_INET6), as: sa_family_t.self)
            unsafe memory.storeBytes(of: 0, toByteOffset: 4, as: UInt32.self)
            unsafe encode(endpoint.address, to: memory + 8)
            unsafe memory.storeBytes(of: 0, toByteOffset: 24, as: UInt32.self)
            return 28
        }
    }

    /// Writes the 4 or 16 bytes of `address` in network order.
    @inline(__always)
    static func encode(_ address: IPAddress, to memory: UnsafeMutableRawPointer) {
        switch address.family {
        case .v4:
            unsafe memory.storeBytes(of: UInt32(truncatingIfNeeded: address.low).bigEndian, as: UInt32.self)
        case .v6:
            unsafe memory.storeBytes(of: address.high.bigEndian, as: UInt64.self)
            unsafe memory.storeBytes(of: address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
    }

    /// The endpoint in a sockaddr; nil for another family or a short one.
    @inline(__always)
    static func decode(_ memory: UnsafeRawPointer, length: socklen_t) -> Endpoint? {
        guard length >= 16 else { return nil }
        // SAFETY: every load lies within `length`, which was checked.
        let family = unsafe CInt(memory.load(as: sa_family_t.self))
        let port = unsafe UInt16(bigEndian: memory.load(fromByteOffset: 2, as: UInt16.self))
        if family == AF_INET { return Endpoint(unsafe decodeV4(memory + 4), port: port) }
        guard family == AF_INET6, length >= 28 else { return nil }
        return Endpoint(unsafe decodeV6(memory + 8), port: port)
    }

    /// The IPv4 address in the 4 bytes at `memory`.
    @inline(__always)
    static func decodeV4(_ memory: UnsafeRawPointer) -> IPAddress {
        IPAddress(v4: UInt32(bigEndian: unsafe memory.loadUnaligned(as: UInt32.self)))
    }

    /// The IPv6 address in the 16 bytes at `memory`.
    @inline(__always)
    static func decodeV6(_ memory: UnsafeRawPointer) -> IPAddress {
        IPAddress(
            v6High: UInt64(bigEndian: unsafe memory.loadUnaligned(as: UInt64.self)),
            low: UInt64(bigEndian: unsafe memory.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
    }
}

extension IPAddress.Family {
    /// AF_INET or AF_INET6.
    @inline(__always) var socketFamily: CInt { self == .v4 ? AF_INET : AF_INET6 }
}
