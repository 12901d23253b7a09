// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

/// Signals as a descriptor (signalfd), for the executable.
public final class Signals: Sendable {
    /// The signals that a gateway knows.
    public enum Signal: CInt, Sendable, CaseIterable {
        case hangUp = 1
        case interrupt = 2
        case user1 = 10
        case terminate = 15
    }

    /// Readable when next() would return a signal.
    public let descriptor: CInt

    /// Blocks `signals` in the calling thread, and in those it starts later: call it first thing in the main thread.
    public init(_ signals: [Signal] = Signal.allCases) throws(SystemError) { fatalError("filled in by linux") }

    /// The next pending signal; nil when there is none.
    public func next() -> Signal? { fatalError("filled in by linux") }
}
