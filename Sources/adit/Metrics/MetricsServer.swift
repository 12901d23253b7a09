// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import AditWire
internal import Foundation
internal import Glibc
internal import Synchronization

/// `GET /metrics` over HTTP/1.1 on a loopback address, for a collector on this machine: one request a connection, one
/// connection after the other.
///
/// That is all of HTTP that a collector needs, so it is spoken here rather than by a library that brings the rest of it
/// into a process that holds keys. What a client sends is bounded in bytes and in time, and is only compared.
final class MetricsServer: Sendable {
    /// Bytes of a request's head at the most.
    static let requestLimit = 8192
    /// How long a client may take for its request, and for reading a piece of the answer.
    static let patience = 2

    private let descriptor: Int32
    private let isStopping = Atomic(false)

    /// Listens on `endpoint`.
    init(_ endpoint: Endpoint) throws(CommandFailure) {
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
            entry.pointee.ai_family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
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
            while !isStopping.load(ordering: .acquiring) {
                let client = accept(descriptor, nil, nil)
                if client >= 0 {
                    serve(client, document)
                    close(client)
                } else if errno != EINTR, !isStopping.load(ordering: .acquiring) {
                    usleep(100_000)
                }
            }
            close(descriptor)
        }
    }

    /// Takes no more clients.
    func stop() {
        guard !isStopping.exchange(true, ordering: .acquiringAndReleasing) else { return }
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    private func serve(_ client: Int32, _ document: () -> String) {
        var limit = timeval(tv_sec: Self.patience, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            unsafe setsockopt(client, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        guard let head = Self.receiveHead(client) else { return }
        var rest = Array(Self.answer(to: head, document).utf8)[...]
        while !rest.isEmpty {
            // SAFETY: the pointer is used only during the call.
            let count = unsafe rest.withUnsafeBytes {
                unsafe send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    /// Everything up to the empty line; nil when it does not come in time, or is too long.
    private static func receiveHead(_ client: Int32) -> [UInt8]? {
        var head: [UInt8] = []
        let deadline = ContinuousClock.now + .seconds(patience)
        let end = Array("\r\n\r\n".utf8)
        while head.count <= requestLimit, ContinuousClock.now < deadline {
            var chunk = [UInt8](repeating: 0, count: 2048)
            let count = unsafe recv(client, &chunk, chunk.count, 0)
            guard count > 0 else { return nil }
            // The end may have been cut: look from a little before what is new.
            let from = max(0, head.count - end.count)
            head += chunk[..<count]
            if head[from...].firstRange(of: end) != nil { return head }
        }
        return nil
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
