// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

public import AditWire
internal import CLinux
internal import Glibc

/// A datagram as the control thread handles it.
public struct ReceivedDatagram: Sendable {
    /// The payload, at most 65,535 bytes.
    public var bytes: [UInt8]
    /// Where it was sent to.
    public var local: Endpoint
    /// Where it came from.
    public var remote: Endpoint
}

/// Sockets for single datagrams (IKE). Never waits; ``send(_:nonESPMarker:local:remote:)`` may be called from any
/// thread, ``receive()`` from one at a time.
@safe public final class IKESocket: @unchecked Sendable {
    /// The sockets' descriptors, readable when ``receive()`` would return something.
    public let descriptors: [CInt]
    /// The bound port.
    public let port: UInt16

    /// The largest datagram.
    public static let datagramLimit = 65_535

    private let sockets: [UDPSocket]
    /// Of ``receive()``, which one thread at a time calls.
    private let incoming = Letter(room: datagramLimit)

    /// Binds; `workers`, `segmentation` and `receiveOffload` do not matter here, and fragments are made whatever
    /// `pathMTU` says.
    public convenience init(_ options: UDPOptions) throws(SystemError) {
        var options = options
        options.pathMTU = .fragment
        var sockets: [UDPSocket] = []
        for address in try UDPSocket.addresses(for: options) {
            do throws(SystemError) {
                let socket = try UDPSocket(address, options: options, sharing: .exclusive)
                options.port = socket.bound.port
                sockets.append(socket)
            } catch {
                let isOptional = options.addresses.isEmpty && address.family == .v6 && !sockets.isEmpty
                guard isOptional, UDPSocket.meansNoIPv6(error) else { throw error }
            }
        }
        self.init(sockets: sockets, port: options.port)
    }

    init(sockets: [UDPSocket], port: UInt16) {
        self.sockets = sockets
        self.port = port
        descriptors = sockets.map(\.bound.descriptor)
    }

    /// The next datagram that is not empty; nil when there is none now.
    public func receive() -> ReceivedDatagram? {
        for socket in sockets.lazy.map(\.bound) {
            // Empty datagrams are skipped, as many as could be a burst; the rest wait for the next call.
            for _ in 0..<Self.emptyLimit {
                unsafe incoming.header.prepareToReceive(0, at: incoming.body, length: Self.datagramLimit)
                guard incoming.header.receive(1, from: socket.descriptor).count == 1 else { break }
                guard let run = incoming.header.received(0, on: socket) else { continue }
                // SAFETY: the body has `datagramLimit` bytes, of which the kernel filled `run.length`.
                let bytes = unsafe [UInt8](UnsafeRawBufferPointer(start: incoming.body, count: run.length))
                return ReceivedDatagram(bytes: bytes, local: run.local, remote: run.remote)
            }
        }
        return nil
    }

    /// Sends one datagram, after four zero bytes when `nonESPMarker` (RFC 3948 §2.2). An unspecified `local` lets the
    /// system choose.
    @discardableResult
    public func send(_ bytes: [UInt8], nonESPMarker: Bool, local: IPAddress, remote: Endpoint) -> DeviceResult {
        guard let socket = sockets.choose(local: local, remote: remote.address) else { return .failed(EAFNOSUPPORT) }
        let marker = nonESPMarker ? 4 : 0
        guard bytes.count + marker <= Self.datagramLimit else { return .failed(EMSGSIZE) }
        // A letter of its own for each call, so that no thread waits for another.
        let letter = Letter(room: bytes.count + marker)
        // SAFETY: the body has room for the marker's four bytes always, and for marker and payload together.
        unsafe letter.body.storeBytes(of: 0, as: UInt32.self)
        unsafe bytes.withUnsafeBytes { payload in
            guard let start = payload.baseAddress else { return }
            unsafe (letter.body + marker).copyMemory(from: start, byteCount: payload.count)
        }
        unsafe letter.header.prepareToSend(
            0, start: letter.body, length: bytes.count + marker, segmentSize: 0, remote: remote, local: local,
            trafficClass: 0, on: socket)
        let (_, code) = withExtendedLifetime(letter) { letter.header.send(0, 1, on: socket.descriptor) }
        return code == 0 ? .done : code == EAGAIN ? .wouldBlock : .failed(code)
    }

    private static let emptyLimit = 64
}

/// One datagram's memory.
@safe private final class Letter {
    let header = MessageBuffers(capacity: 1)
    let body: UnsafeMutableRawPointer

    init(room: Int) {
        // SAFETY: lives as long as the letter and is freed only in deinit.
        unsafe body = .allocate(byteCount: max(room, 16), alignment: 16)
    }

    deinit { unsafe body.deallocate() }
}

extension [UDPSocket] {
    /// The socket bound to `local`, else the first of the remote's family.
    func choose(local: IPAddress, remote: IPAddress) -> BoundSocket? {
        let fitting = lazy.map(\.bound).filter { $0.family == remote.family }
        return fitting.first { $0.address == local } ?? fitting.first
    }
}
