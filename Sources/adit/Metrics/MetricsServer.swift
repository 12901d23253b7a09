// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import AditWire
internal import Foundation
internal import Glibc
internal import Synchronization

/// `GET /metrics` over HTTP/1.1 on a loopback address, for a collector on this machine: one request a connection, all
/// connections on one thread that waits for none of them.
///
/// That is all of HTTP that a collector needs, so it is spoken here rather than by a library that brings the rest of it
/// into a process that holds keys. What a client sends is bounded in bytes and in time, and is only compared; how long
/// it may take to read is bounded too, and so is the number of clients.
final class MetricsServer: Sendable {
    /// Clients at a time; more wait in the kernel until one has gone, as each does after twice its patience.
    static let clientLimit = 16
    /// How long a client may take for its request, and then for reading the answer.
    static let patience: Duration = .seconds(2)

    private let patience: Duration
    private let descriptor: Int32
    private let isStopping = Atomic(false)

    /// Listens on `endpoint`.
    init(_ endpoint: Endpoint, patience: Duration = patience) throws(CommandFailure) {
        self.patience = patience
        var hints = unsafe addrinfo()
        unsafe hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        // SAFETY: the list is ours until it is freed; a numeric address gives one entry.
        guard unsafe getaddrinfo(endpoint.address.description, "\(endpoint.port)", &hints, &list) == 0,
            let entry = unsafe list
        else { throw .failed("cannot listen for metrics on \(endpoint): no such address") }
        defer { unsafe freeaddrinfo(list) }
        descriptor = unsafe socket(
            entry.pointee.ai_family,
            Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue),
            0)
        var one: Int32 = 1
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        guard unsafe bind(descriptor, entry.pointee.ai_addr, entry.pointee.ai_addrlen) == 0,
            listen(descriptor, 16) == 0
        else {
            let reason = systemError(errno)
            close(descriptor)
            throw .failed(
                "cannot listen for metrics on \(endpoint): \(reason); give metrics another port, or leave it out")
        }
    }

    /// Starts to answer with what `document` makes.
    func start(_ document: @escaping @Sendable () -> String) {
        Thread.detachNewThread { [self] in
            var clients: [MetricsClient] = []
            while !isStopping.load(ordering: .acquiring) { turn(&clients, document) }
            for client in clients { close(client.descriptor) }
            close(descriptor)
        }
    }

    /// Waits until something can be done for somebody, and does it.
    private func turn(_ clients: inout [MetricsClient], _ document: () -> String) {
        var waits = clients.map { pollfd(fd: $0.descriptor, events: $0.events, revents: 0) }
        let takesMore = clients.count < Self.clientLimit
        if takesMore { waits.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)) }
        let now = ContinuousClock.now
        let timeout = clients.map { $0.deadline - now }.min().map { max($0, .zero) / Duration.milliseconds(1) }
        // SAFETY: the array is lent for the call.
        let ready = unsafe poll(&waits, nfds_t(waits.count), timeout.map { Int32(clamping: Int($0) + 1) } ?? -1)
        guard ready >= 0 else {
            if errno != EINTR { usleep(100_000) }
            return
        }
        for index in clients.indices.reversed() {
            if waits[index].revents != 0 { clients[index].advance(patience, document) }
            if clients[index].isDone || clients[index].deadline <= ContinuousClock.now {
                close(clients[index].descriptor)
                clients.remove(at: index)
            }
        }
        if takesMore, let listener = waits.last, listener.revents != 0 { take(&clients) }
    }

    private func take(_ clients: inout [MetricsClient]) {
        while clients.count < Self.clientLimit {
            let client = accept(descriptor, nil, nil)
            guard client >= 0 else {
                let isEmpty = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED
                if !isEmpty, !isStopping.load(ordering: .acquiring) { usleep(100_000) }
                return
            }
            guard fcntl(client, F_SETFL, O_NONBLOCK) == 0, fcntl(client, F_SETFD, FD_CLOEXEC) == 0 else {
                close(client)
                continue
            }
            clients.append(MetricsClient(client, deadline: ContinuousClock.now + patience))
        }
    }

    /// Takes no more clients.
    func stop() {
        guard !isStopping.exchange(true, ordering: .acquiringAndReleasing) else { return }
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    /// The whole response to a request.
    static func answer(to head: [UInt8], _ document: () -> String) -> String {
        let line = head.prefix { $0 != 0x0d && $0 != 0x0a }
        let words = line.split(separator: 0x20, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard words.count == 3, words[2].hasPrefix("HTTP/1.") else {
            return response("400 Bad Request", "no request\n")
        }
        guard ["GET", "HEAD"].contains(words[0]) else {
            return response("405 Method Not Allowed", "only GET and HEAD\n", "Allow: GET, HEAD\r\n")
        }
        let path = words[1].prefix { $0 != "?" }
        guard path == "/metrics" else { return response("404 Not Found", "see /metrics\n", isHead: words[0] == "HEAD") }
        return response("200 OK", document(), isHead: words[0] == "HEAD")
    }

    private static func response(
        _ status: String, _ body: String, _ fields: String = "", isHead: Bool = false
    ) -> String {
        "HTTP/1.1 \(status)\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\(fields)Connection: close\r\n\r\n" + (isHead ? "" : body)
    }
}
