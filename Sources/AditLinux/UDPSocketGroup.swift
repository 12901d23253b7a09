// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

internal import AditWire
internal import Glibc

/// The sockets of one port: one ``UDPTransport`` for each worker, and a sender for other threads.
///
/// ESP datagrams reach worker `(SPI & 0xff) % workers`, everything else (IKE, keepalives) worker 0. A GRO run is
/// steered as a whole by its first datagram, so its other datagrams may belong to another worker's SA.
public final class UDPSocketGroup: Sendable {
    /// One for each worker; each is used by one thread at a time.
    public let transports: [UDPTransport]
    /// Sends from the same port, from any thread; never receives. What is larger than the path takes is fragmented, as
    /// IKE needs.
    public let sender: IKESocket
    /// The bound port.
    public let port: UInt16

    /// Binds everything; nothing stays open when it throws.
    public init(_ options: UDPOptions) throws(SystemError) {
        guard (1...UDPOptions.workerLimit).contains(options.workers) else {
            throw SystemError(
                "bind UDP port \(options.port)", code: EINVAL,
                remedy: "1 to \(UDPOptions.workerLimit) workers can share a port")
        }
        var options = options
        var byWorker = [[UDPSocket]](repeating: [], count: options.workers)
        var senders: [UDPSocket] = []
        for address in try UDPSocket.addresses(for: options) {
            do throws(SystemError) {
                try Self.checkThatPortIsFree(address, options: options)
                // The order of binding is the index that the steering program returns; the sender comes last.
                for worker in 0..<options.workers {
                    let sharing = worker == 0 ? UDPSocket.Sharing.leading(workers: options.workers) : .joining
                    let socket = try UDPSocket(address, options: options, sharing: sharing)
                    options.port = socket.bound.port
                    byWorker[worker].append(socket)
                }
                var sending = options
                sending.pathMTU = .fragment
                senders.append(try UDPSocket(address, options: sending, sharing: .joining))
                // The kernel asks any one socket of the group whether runs may be built, so all of them say the same.
                if options.receiveOffload {
                    for socket in byWorker.compactMap(\.last) + senders.suffix(1) { socket.enableReceiveOffload() }
                }
            } catch {
                let isOptional = options.addresses.isEmpty && address.family == .v6 && !senders.isEmpty
                guard isOptional, UDPSocket.meansNoIPv6(error) else { throw error }
            }
        }
        port = options.port
        transports = byWorker.map { UDPTransport($0, options: options) }
        sender = IKESocket(sockets: senders, port: options.port)
    }

    /// Another process of the same user could join a SO_REUSEPORT group unnoticed; a socket without it finds out.
    private static func checkThatPortIsFree(_ address: IPAddress, options: UDPOptions) throws(SystemError) {
        guard options.port != 0 else { return }
        _ = try UDPSocket(address, options: options, sharing: .exclusive)
    }
}
