// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

internal import AditWire
internal import CLinux
internal import Glibc

/// A bound socket as a plain value: what the hot path needs, owning nothing.
struct BoundSocket: Sendable {
    let descriptor: CInt
    let family: IPAddress.Family
    /// The address it is bound to; may be unspecified.
    let address: IPAddress
    /// The port it is bound to.
    let port: UInt16
}

/// One bound, non-blocking UDP socket of one family, with the local address of each datagram and its TOS delivered.
struct UDPSocket: Sendable {
    let bound: BoundSocket
    private let owned: OwnedDescriptor

    /// How a socket shares its port.
    enum Sharing {
        /// It does not: a second program is noticed.
        case exclusive
        /// With the sockets that are bound after it; datagrams are steered by the SPI's low byte modulo `workers`.
        case leading(workers: Int)
        /// With the socket that was bound before it, whose program it takes over.
        case joining
    }

    /// Binds a socket at `port` of `address`.
    init(_ address: IPAddress, options: UDPOptions, sharing: Sharing) throws(SystemError) {
        let name = "UDP \(Endpoint(address, port: options.port))"
        let opened = try SystemCall.check("open a socket for \(name)") {
            socket(
                address.family.socketFamily, CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue),
                0)
        }
        owned = OwnedDescriptor(opened)
        try Self.setAncillary(opened, family: address.family, name: name)
        try Self.setPathMTU(options.pathMTU, of: opened, family: address.family, name: name)
        Self.setBuffers(opened, bytes: options.bufferSize)
        if let mark = options.mark {
            try Self.set(opened, SOL_SOCKET, SO_MARK, CInt(bitPattern: mark), "mark the packets of \(name)")
        }
        switch sharing {
        case .exclusive: break
        case .leading(let workers):
            try Self.set(opened, SOL_SOCKET, SO_REUSEPORT, 1, "share \(name) between workers")
            // Before the bind, so that not one datagram goes astray. A socket with a program cannot join others.
            try Self.steer(opened, workers: workers, name: name)
        case .joining: try Self.set(opened, SOL_SOCKET, SO_REUSEPORT, 1, "share \(name) between workers")
        }
        let port = try Self.bind(opened, to: Endpoint(address, port: options.port))
        bound = BoundSocket(descriptor: opened, family: address.family, address: address, port: port)
    }

    /// The addresses to bind for `options`: as given, or every address of both families.
    static func addresses(for options: UDPOptions) throws(SystemError) -> [IPAddress] {
        guard options.addresses.count <= UDPOptions.addressLimit else {
            throw SystemError(
                "bind UDP port \(options.port)", code: EINVAL,
                remedy: "at most \(UDPOptions.addressLimit) addresses can be listened on")
        }
        guard options.addresses.isEmpty else { return options.addresses }
        let any: [IPAddress] = [IPAddress(v4: 0), IPAddress(v6High: 0, low: 0)]
        let probe = SystemCall.attempt { socket(AF_INET6, CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0) }
        guard probe.code == 0 else { return [any[0]] }
        close(probe.value)
        return any
    }

    /// Whether a failure to bind :: means only that this machine has no IPv6.
    static func meansNoIPv6(_ error: SystemError) -> Bool {
        error.code == EAFNOSUPPORT || error.code == EADDRNOTAVAIL
    }

    /// Switches UDP_GRO on; a kernel without it (before 5.0) delivers datagrams one by one.
    func enableReceiveOffload() {
        try? Self.set(bound.descriptor, CInt(IPPROTO_UDP), CInt(adit_udp_gro), 1, "")
    }

    /// Whether the kernel knows UDP_SEGMENT.
    func hasSegmentation() -> Bool {
        var value: CInt = 0
        var size = socklen_t(MemoryLayout<CInt>.size)
        return unsafe getsockopt(
            bound.descriptor, CInt(IPPROTO_UDP), CInt(adit_udp_segment), &value, &size)
            == 0
    }

    private static func setAncillary(
        _ descriptor: CInt, family: IPAddress.Family, name: String
    ) throws(SystemError) {
        let operation = "set options of \(name)"
        switch family {
        case .v4:
            try set(descriptor, CInt(IPPROTO_IP), IP_PKTINFO, 1, operation)
            try set(descriptor, CInt(IPPROTO_IP), IP_RECVTOS, 1, operation)
        case .v6:
            try set(descriptor, CInt(IPPROTO_IPV6), IPV6_V6ONLY, 1, operation)
            try set(descriptor, CInt(IPPROTO_IPV6), IPV6_RECVPKTINFO, 1, operation)
            try set(descriptor, CInt(IPPROTO_IPV6), IPV6_RECVTCLASS, 1, operation)
        }
    }

    /// Lets what follows be fragmented, or sets DF again as ``PathMTUPolicy/discover`` does; false when it cannot.
    static func allowFragments(_ allowed: Bool, on socket: BoundSocket) -> Bool {
        let policy = allowed ? PathMTUPolicy.fragment : .discover
        return (try? setPathMTU(policy, of: socket.descriptor, family: socket.family, name: "UDP")) != nil
    }

    private static func setPathMTU(
        _ policy: PathMTUPolicy, of descriptor: CInt, family: IPAddress.Family, name: String
    ) throws(SystemError) {
        let operation = "set path MTU discovery of \(name)"
        switch family {
        case .v4:
            let values: (CInt, CInt, CInt) = (IP_PMTUDISC_DO, IP_PMTUDISC_PROBE, IP_PMTUDISC_DONT)
            try set(descriptor, CInt(IPPROTO_IP), IP_MTU_DISCOVER, policy.choose(values), operation)
        case .v6:
            let values: (CInt, CInt, CInt) = (IPV6_PMTUDISC_DO, IPV6_PMTUDISC_PROBE, IPV6_PMTUDISC_DONT)
            let level = CInt(IPPROTO_IPV6)
            try set(descriptor, level, IPV6_MTU_DISCOVER, policy.choose(values), operation)
            try set(descriptor, level, IPV6_DONTFRAG, policy.choose((1, 1, 0)), operation)
        }
    }

    /// Large buffers as far as we may: beyond the system's maximum with CAP_NET_ADMIN, up to it without. What waits to
    /// be sent is limited further: it only adds delay.
    private static func setBuffers(_ descriptor: CInt, bytes: Int) {
        let bytes = min(max(bytes, 64 << 10), 4 << 20)
        let sizes = [(SO_RCVBUFFORCE, SO_RCVBUF, bytes), (SO_SNDBUFFORCE, SO_SNDBUF, min(bytes, 1 << 20))]
        for (forced, plain, size) in sizes where (try? set(descriptor, SOL_SOCKET, forced, CInt(size), "")) == nil {
            try? set(descriptor, SOL_SOCKET, plain, CInt(size), "")
        }
    }

    /// Attaches the program that picks a worker's socket: the first 32-bit word of the UDP payload, which is the SPI
    /// (RFC 3948 §2.1), of which the low byte modulo the workers counts. The non-ESP marker is 0, and what is shorter
    /// than a word ends the program with 0: worker 0. The program never returns the index of a socket bound after the
    /// workers', so that one only sends.
    private static func steer(_ descriptor: CInt, workers: Int, name: String) throws(SystemError) {
        var program = [
            sock_filter(code: UInt16(BPF_LD | BPF_W | BPF_ABS), jt: 0, jf: 0, k: 0),
            sock_filter(code: UInt16(BPF_ALU | BPF_AND | BPF_K), jt: 0, jf: 0, k: 0xff),
            sock_filter(code: UInt16(BPF_ALU | BPF_MOD | BPF_K), jt: 0, jf: 0, k: UInt32(workers)),
            sock_filter(code: UInt16(BPF_RET | BPF_A), jt: 0, jf: 0, k: 0),
        ]
        // SAFETY: the kernel copies the program during the call.
        let (_, code) = unsafe program.withUnsafeMutableBufferPointer { buffer in
            var description = unsafe sock_fprog(len: UInt16(buffer.count), filter: buffer.baseAddress)
            return SystemCall.attempt {
                unsafe setsockopt(
                    descriptor, SOL_SOCKET, CInt(adit_so_attach_reuseport_cbpf), &description,
                    socklen_t(MemoryLayout<sock_fprog>.size))
            }
        }
        guard code == 0 else { throw SystemError("steer \(name) to workers", code: code) }
    }

    private static func bind(_ descriptor: CInt, to endpoint: Endpoint) throws(SystemError) -> UInt16 {
        let operation = "bind UDP \(endpoint)"
        var name = sockaddr_storage()
        // SAFETY: sockaddr_storage is larger than `SocketAddress.room`, and lives for the calls.
        return try unsafe withUnsafeMutableBytes(of: &name) { bytes throws(SystemError) in
            guard let start = bytes.baseAddress else { throw SystemError(operation, code: EFAULT) }
            let length = unsafe SocketAddress.encode(endpoint, to: start)
            let address = unsafe start.assumingMemoryBound(to: sockaddr.self)
            try SystemCall.check(operation, remedy: { remedy(for: $0, port: endpoint.port) }) {
                unsafe Glibc.bind(descriptor, address, length)
            }
            var actual = socklen_t(bytes.count)
            try SystemCall.check(operation) { unsafe getsockname(descriptor, address, &actual) }
            return unsafe SocketAddress.decode(start, length: actual)?.port ?? endpoint.port
        }
    }

    private static func remedy(for code: CInt, port: UInt16) -> String? {
        switch code {
        case EADDRINUSE where port == 500 || port == 4500:
            "another IKE daemon seems to run (strongSwan's charon, libreswan's pluto, iked, racoon); "
                + "see `ss -ulpn 'sport = :\(port)'` and stop it, or choose other ports"
        case EADDRINUSE: "another program has the port; see `ss -ulpn 'sport = :\(port)'`"
        case EACCES, EPERM: "ports below 1024 need root or CAP_NET_BIND_SERVICE"
        default: nil
        }
    }

    private static func set(
        _ descriptor: CInt, _ level: CInt, _ option: CInt, _ value: CInt, _ operation: @autoclosure () -> String
    ) throws(SystemError) {
        var value = value
        try SystemCall.check(operation()) {
            unsafe setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<CInt>.size))
        }
    }
}

extension PathMTUPolicy {
    fileprivate func choose(_ values: (discover: CInt, probe: CInt, fragment: CInt)) -> CInt {
        switch self {
        case .discover: values.discover
        case .probe: values.probe
        case .fragment: values.fragment
        }
    }
}
