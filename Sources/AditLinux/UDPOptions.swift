// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

public import AditWire

/// What the UDP sockets of a gateway are to be.
public struct UDPOptions: Sendable {
    /// Local addresses to bind; empty means all addresses of both families (a missing IPv6 is tolerated then).
    public var addresses: [IPAddress] = []
    /// The local port; 0 lets the kernel choose.
    public var port: UInt16
    /// How many workers share the port, 1 to 256.
    public var workers = 1
    /// Whether runs leave by UDP_SEGMENT.
    public var segmentation = true
    /// Whether runs arrive by UDP_GRO.
    public var receiveOffload = true
    /// SO_MARK of everything sent; nil leaves it.
    public var mark: UInt32?
    /// Bytes of the socket buffers, 64 KiB to 4 MiB; sending uses 1 MiB at most.
    public var bufferSize = 4 << 20
    /// What happens to datagrams larger than the path takes.
    public var pathMTU = PathMTUPolicy.discover

    /// The most workers that can share a port.
    public static let workerLimit = 256
    /// The most local addresses.
    public static let addressLimit = 64

    /// Options with the defaults.
    public init(port: UInt16) { self.port = port }
}

/// What happens to datagrams larger than the path takes.
public enum PathMTUPolicy: Sendable {
    /// DF is set and the kernel learns from ICMP; too large ones are refused.
    case discover
    /// DF is set and ICMP is ignored: only the interface's MTU counts.
    case probe
    /// DF is clear: fragments are made where needed.
    case fragment
}
