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
    /// Bytes of the socket buffers, up to 4 MiB.
    public var bufferSize = 4 << 20
    /// What happens to datagrams larger than the path takes.
    public var pathMTU = PathMTUPolicy.discover

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

/// The sockets of one port: one UDPTransport for each worker, and a sender for other threads.
///
/// ESP datagrams reach worker `SPI % workers`, everything else (IKE, keepalives) worker 0. A GRO run is steered as a whole
/// by its first datagram.
public final class UDPSocketGroup: Sendable {
    /// One for each worker; each is used by one thread at a time.
    public let transports: [UDPTransport]
    /// Sends from the same port, from any thread; never receives. IKE messages larger than the path are fragmented.
    public let sender: IKESocket
    /// The bound port.
    public let port: UInt16

    /// Binds everything; nothing stays open when it throws.
    public init(_ options: UDPOptions) throws(SystemError) { fatalError("filled in by linux") }
}

/// The sockets of one worker. Used by one thread at a time.
public final class UDPTransport: DatagramTransport, @unchecked Sendable {
    /// The sockets' descriptors.
    public let descriptors: [CInt]

    init() { fatalError("filled in by linux") }

    /// One `recvmmsg` for each socket until the batch is full.
    public func receive(into batch: DatagramBatch) -> DeviceResult { fatalError("filled in by linux") }

    /// Sends every run, by UDP_SEGMENT where the socket can.
    public func send(_ runs: UnsafeBufferPointer<OutgoingRun>) -> Int { fatalError("filled in by linux") }

    /// The peer of the last datagram refused as too large for the path (EMSGSIZE) since the last call, so that its MTU is asked for.
    public func takeOversizedPeer() -> Endpoint? { fatalError("filled in by linux") }
}

/// A datagram as the control thread handles it.
public struct ReceivedDatagram: Sendable {
    /// The payload.
    public var bytes: [UInt8]
    /// Where it was sent to.
    public var local: Endpoint
    /// Where it came from.
    public var remote: Endpoint
}

/// Sockets for single datagrams (IKE): blocks never; send(_:nonESPMarker:local:remote:) may be called from any thread.
public final class IKESocket: Sendable {
    /// The sockets' descriptors, readable when receive() would return something.
    public let descriptors: [CInt]
    /// The bound port.
    public let port: UInt16

    /// Binds; `workers`, `segmentation` and `receiveOffload` do not matter here.
    public init(_ options: UDPOptions) throws(SystemError) { fatalError("filled in by linux") }

    /// The next datagram; nil when there is none now.
    public func receive() -> ReceivedDatagram? { fatalError("filled in by linux") }

    /// Sends one datagram, after four zero bytes when `nonESPMarker` (RFC 3948 §2.2). An unspecified `local` lets the system choose.
    @discardableResult
    public func send(_ bytes: [UInt8], nonESPMarker: Bool, local: IPAddress, remote: Endpoint) -> DeviceResult {
        fatalError("filled in by linux")
    }
}
