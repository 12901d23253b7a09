// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Glibc

/// A client of the ``MetricsServer``: its request is read, then the answer written, and neither is waited for.
struct MetricsClient {
    /// Bytes of a request's head at the most.
    static let requestLimit = 8192

    /// The socket, which does not block; its server closes it.
    let descriptor: Int32
    /// When it is cut off, whatever it is at.
    private(set) var deadline: ContinuousClock.Instant
    /// Nothing more is to be done for it.
    private(set) var isDone = false
    private var head: [UInt8] = []
    /// What is still to be written; nil while the request is read.
    private var rest: ArraySlice<UInt8>?

    init(_ descriptor: Int32, deadline: ContinuousClock.Instant) {
        self.descriptor = descriptor
        self.deadline = deadline
    }

    /// What it waits for.
    var events: Int16 { Int16(rest == nil ? POLLIN : POLLOUT) }

    /// Does what can be done without waiting; with the whole request the time for the answer begins.
    mutating func advance(_ patience: Duration, _ document: () -> String) {
        if rest == nil, receive() {
            rest = Array(MetricsServer.answer(to: head, document).utf8)[...]
            deadline = ContinuousClock.now + patience
        }
        if !isDone, rest != nil { send() }
    }

    /// Whether everything up to the empty line is there.
    private mutating func receive() -> Bool {
        let end = Array("\r\n\r\n".utf8)
        while head.count <= Self.requestLimit {
            var chunk = [UInt8](repeating: 0, count: 2048)
            let count = unsafe recv(descriptor, &chunk, chunk.count, 0)
            guard count > 0 else {
                isDone = count == 0 || (errno != EAGAIN && errno != EINTR)
                return false
            }
            // The end may have been cut: look from a little before what is new.
            let from = max(0, head.count - end.count)
            head += chunk[..<count]
            if head[from...].firstRange(of: end) != nil { return true }
        }
        isDone = true
        return false
    }

    private mutating func send() {
        while let rest, !rest.isEmpty {
            // SAFETY: the pointer is used only during the call.
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else {
                isDone = errno != EAGAIN && errno != EINTR
                return
            }
            self.rest = rest.dropFirst(count)
        }
        isDone = true
    }
}
