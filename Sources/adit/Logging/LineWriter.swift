// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Dispatch
internal import Foundation
internal import Glibc
internal import Synchronization

/// Brings lines to standard error from a thread of its own: whoever logs never waits for whoever reads.
///
/// Each line is written whole, by one thread, so that lines never mix. What comes while too much waits already is lost,
/// and a line says how much that was. Any thread may call it.
final class LineWriter: Sendable {
    /// Lines that wait at the most, beside as many that are being written.
    static let lineLimit = 16_384
    /// Bytes that wait at the most; a single line may be longer.
    static let byteLimit = 1024 * 1024

    private struct State {
        var lines: [String] = []
        var bytes = 0
        var lost = 0
        var isWriting = false
    }

    private let state = Mutex(State())
    private let arrival = DispatchSemaphore(value: 0)
    private let note: @Sendable (Int) -> String
    private let output: @Sendable (String) -> Void

    /// Starts the thread, which ends with the process. `note` makes the line that tells how many were lost; `output`,
    /// which may wait, is replaced in tests.
    init(
        output: @escaping @Sendable (String) -> Void = writeToStandardError, note: @escaping @Sendable (Int) -> String
    ) {
        self.output = output
        self.note = note
        Thread.detachNewThread { [self] in run() }
    }

    /// Hands a line over; never waits.
    @Sendable func write(_ line: String) {
        let length = line.utf8.count
        state.withLock { state in
            guard state.lines.isEmpty || state.lines.count < Self.lineLimit && state.bytes + length <= Self.byteLimit
            else {
                state.lost += 1
                return
            }
            state.lines.append(line)
            state.bytes += length
        }
        arrival.signal()
    }

    /// Waits until all lines are written, but no longer than `limit`.
    func flush(within limit: Duration) {
        let deadline = ContinuousClock.now + limit
        while state.withLock({ $0.isWriting || !$0.lines.isEmpty }), ContinuousClock.now < deadline { usleep(1000) }
    }

    private func run() {
        while true {
            arrival.wait()
            let (lines, lost) = state.withLock { state in
                defer { state = State(isWriting: true) }
                return (state.lines, state.lost)
            }
            for line in lines { output(line) }
            if lost > 0 { output(note(lost)) }
            state.withLock { $0.isWriting = false }
        }
    }
}
