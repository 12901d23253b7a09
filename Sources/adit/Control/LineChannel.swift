// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Glibc

/// A connected stream socket that carries lines: JSON texts, each ended by a newline.
///
/// Used by one thread at a time. Sending and receiving give up after a time, so a peer that stands still holds only
/// this channel up.
final class LineChannel: AnswerSink {
    /// How receiving a line ended.
    enum Reception: Equatable {
        case line([UInt8])
        /// The other side closed.
        case closed
        /// Nothing came in time.
        case timedOut
        /// More than ``lineLimit`` bytes without a newline.
        case tooLong
    }

    /// Bytes of one line at the most, in both directions.
    static let requestLimit = 4096
    /// A status of many connections is one line.
    static let answerLimit = 64 * 1024 * 1024

    private let descriptor: Int32
    private let lineLimit: Int
    private var pending: [UInt8] = []
    private var searched = 0

    /// Takes over `descriptor`, which is closed in the end.
    init(_ descriptor: Int32, lineLimit: Int, sendTimeout: Int) {
        self.descriptor = descriptor
        self.lineLimit = lineLimit
        var limit = timeval(tv_sec: sendTimeout, tv_usec: 0)
        // A failure here leaves the channel without a limit, which the tests of the limits would show.
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// Connects to the Unix socket at `path`; on failure returns the error number.
    static func connect(to path: String, lineLimit: Int) -> Result<LineChannel, SystemCallFailure> {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return .failure(SystemCallFailure(code: errno)) }
        let channel = LineChannel(descriptor, lineLimit: lineLimit, sendTimeout: 10)
        let status = unsafe ControlSocketAddress.withAddress(path) { unsafe Glibc.connect(descriptor, $0, $1) }
        guard let status else { return .failure(SystemCallFailure(code: ENAMETOOLONG)) }
        return status == 0 ? .success(channel) : .failure(SystemCallFailure(code: errno))
    }

    /// The next line without its newline; waits at most `seconds`, or for ever when nil.
    func receive(within seconds: Double?) -> Reception {
        let deadline = seconds.map { ContinuousClock.now + .seconds($0) }
        while true {
            if let end = pending[searched...].firstIndex(of: 0x0a) {
                let line = Array(pending[..<end])
                pending.removeSubrange(...end)
                searched = 0
                return .line(line)
            }
            searched = pending.count
            guard pending.count <= lineLimit else { return .tooLong }
            switch waitForInput(until: deadline) {
            case .some(let result): return result
            case nil: break
            }
            var chunk = [UInt8](repeating: 0, count: 16_384)
            let count = unsafe recv(descriptor, &chunk, chunk.count, 0)
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count > 0 else { return .closed }
            pending += chunk[..<count]
        }
    }

    /// Sends one line; false when the other side is gone or does not read.
    func send(_ value: JSONValue) -> Bool { sendBytes(Array((value.text + "\n").utf8)) }

    /// Sends bytes as they are.
    func sendBytes(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            // SAFETY: the pointer is used only during the call.
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Whether the other side has closed, without waiting.
    var isClosed: Bool {
        var descriptors = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&descriptors, 1, 0) > 0 else { return false }
        var byte: UInt8 = 0
        return unsafe recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) == 0
    }

    /// Nil when there is something to read.
    private func waitForInput(until deadline: ContinuousClock.Instant?) -> Reception? {
        while true {
            var wait: Int32 = -1
            if let deadline {
                let left = ContinuousClock.now.duration(to: deadline).components
                guard left.seconds >= 0, left.attoseconds >= 0 else { return .timedOut }
                wait = Int32(clamping: left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000 + 1)
            }
            var descriptors = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = unsafe poll(&descriptors, 1, wait)
            if ready > 0 { return nil }
            if ready < 0, errno != EINTR { return .closed }
        }
    }
}

/// A system call that failed.
struct SystemCallFailure: Error, Equatable {
    /// `errno`.
    var code: Int32
}

extension SystemCallFailure {
    /// Nothing is at a socket's path, or nobody behind it.
    static let nobodyListens = [ENOENT, ECONNREFUSED, ENOTDIR].map { SystemCallFailure(code: $0) }

    /// Whether the caller's rights are the problem.
    var isPermission: Bool { code == EACCES || code == EPERM }
}
