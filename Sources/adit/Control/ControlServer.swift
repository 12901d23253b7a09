// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Foundation
internal import Glibc
internal import Synchronization

/// The control socket of a running gateway: one accepting thread, and one thread a client.
///
/// Requests and answers are lines of JSON. A client that sends too much, nothing, or does not read is cut off;
/// none of them holds another client or the gateway up.
final class ControlServer: Sendable {
    /// Clients at the same time; the next one is told so and closed.
    static let clientLimit = 32
    /// Clients among them whose request waits (``ControlRequest/waits``): the others are answered at once.
    static let waitingLimit = 16
    /// How long a client may take for its request, and for reading a piece of the answer.
    static let patience = 5

    /// Answers one request by sending lines; false ends the connection.
    typealias Handler = @Sendable (ControlRequest, LineChannel) -> Void

    private let path: String
    private let descriptor: Int32
    private let clients = Mutex(0)
    private let waiting = Mutex(0)
    private let isStopping = Atomic(false)

    /// Binds the socket at `path` with mode 0600, replacing what a killed gateway left, but never a live one's.
    init(path: String) throws(CommandFailure) {
        self.path = path
        try Self.createDirectory(of: path)
        if case .success = LineChannel.connect(to: path, lineLimit: LineChannel.requestLimit) {
            throw .failed("another gateway is running at \(path); stop it, or give this one its own --control PATH")
        }
        try Self.removeStale(path)
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Self.failure("cannot open a control socket", errno) }
        // The mode is right from the first moment on: no other thread runs yet that could be disturbed by the umask.
        let mask = umask(0o177)
        let status = unsafe ControlSocketAddress.withAddress(path) { unsafe bind(descriptor, $0, $1) }
        let isListening = status == 0 && listen(descriptor, Int32(Self.clientLimit)) == 0
        let code = errno
        umask(mask)
        guard isListening else {
            close(descriptor)
            throw Self.failure("cannot bind the control socket \(path)", code)
        }
    }

    /// Starts to answer.
    func start(_ handler: @escaping Handler) {
        Thread.detachNewThread { [self] in
            while !isStopping.load(ordering: .acquiring) { accept(handler) }
        }
    }

    /// Takes no more clients and removes the socket.
    func stop() {
        guard !isStopping.exchange(true, ordering: .acquiringAndReleasing) else { return }
        unsafe unlink(path)
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    private func accept(_ handler: @escaping Handler) {
        let client = Glibc.accept(descriptor, nil, nil)
        guard client >= 0, fcntl(client, F_SETFD, FD_CLOEXEC) == 0 else {
            // Out of descriptors, or a client that is gone already: not so fast again.
            if errno != EINTR, !isStopping.load(ordering: .acquiring) { usleep(100_000) }
            return
        }
        let channel = LineChannel(client, lineLimit: LineChannel.requestLimit, sendTimeout: Self.patience)
        guard Self.take(clients, limit: Self.clientLimit) else {
            sayBusy(channel, "\(Self.clientLimit) clients are connected already")
            return
        }
        // SAFETY: the channel is handed to the new thread and used by nobody else afterwards.
        nonisolated(unsafe) let own = channel
        Thread.detachNewThread { [self] in
            unsafe serve(own, handler)
            clients.withLock { $0 -= 1 }
        }
    }

    private func serve(_ channel: LineChannel, _ handler: Handler) {
        for _ in 0..<requestsPerClient {
            switch channel.receive(within: Double(Self.patience)) {
            case .line(let line):
                guard let request = ControlRequest(parsing: line) else {
                    refuse(channel, "that is no request", "send {\"request\":\"status\"} and a newline")
                    return
                }
                answer(request, channel, handler)
            case .tooLong:
                refuse(channel, "the request is too long", "a request has at most \(LineChannel.requestLimit) bytes")
                return
            case .closed, .timedOut:
                return
            }
        }
    }

    private func answer(_ request: ControlRequest, _ channel: LineChannel, _ handler: Handler) {
        guard request.waits else { return handler(request, channel) }
        guard Self.take(waiting, limit: Self.waitingLimit) else {
            sayBusy(channel, "\(Self.waitingLimit) clients wait for up, down or rekey already")
            return
        }
        defer { waiting.withLock { $0 -= 1 } }
        handler(request, channel)
    }

    private static func take(_ places: borrowing Mutex<Int>, limit: Int) -> Bool {
        places.withLock { count in
            guard count < limit else { return false }
            count += 1
            return true
        }
    }

    private func sayBusy(_ channel: LineChannel, _ message: String) {
        _ = channel.send(
            ControlAnswer.error(code: "busy", message: message, suggestion: "try again in a moment").json)
    }

    private func refuse(_ channel: LineChannel, _ message: String, _ suggestion: String) {
        _ = channel.send(ControlAnswer.error(code: "bad_request", message: message, suggestion: suggestion).json)
    }

    private static func createDirectory(of path: String) throws(CommandFailure) {
        let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
        guard !directory.isEmpty else { return }
        guard unsafe mkdir(directory, 0o755) == 0 || errno == EEXIST else {
            throw failure("cannot create the directory \(directory) of the control socket", errno)
        }
    }

    private static func removeStale(_ path: String) throws(CommandFailure) {
        var information = stat()
        guard unsafe lstat(path, &information) == 0 else { return }
        guard information.st_mode & S_IFMT == S_IFSOCK else {
            throw .failed("\(path) exists and is no socket; remove it, or give another --control PATH")
        }
        guard unsafe unlink(path) == 0 else { throw failure("cannot replace the stale control socket \(path)", errno) }
    }

    private static func failure(_ what: String, _ code: Int32) -> CommandFailure {
        let remedy = code == EACCES || code == EPERM || code == EROFS ? "run as root, or give" : "give"
        return .failed("\(what): \(systemError(code)); \(remedy) another --control PATH")
    }

    private let requestsPerClient = 1024
}
