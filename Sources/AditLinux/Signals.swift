// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

internal import CLinux
internal import Glibc

/// Signals as a descriptor (signalfd), for the executable.
public final class Signals: Sendable {
    /// The signals that a gateway knows.
    public enum Signal: CInt, Sendable, CaseIterable {
        case hangUp = 1
        case interrupt = 2
        case user1 = 10
        case terminate = 15
    }

    /// Readable when ``next()`` would return a signal.
    public var descriptor: CInt { owned.value }

    private let owned: OwnedDescriptor

    /// Blocks `signals` in the calling thread, and in those that it starts later: call it first thing in the main
    /// thread.
    public init(_ signals: [Signal] = Signal.allCases) throws(SystemError) {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in signals { unsafe sigaddset(&set, signal.rawValue) }
        let code = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        guard code == 0 else { throw SystemError("block signals", code: code) }
        let flags = CInt(SFD_CLOEXEC | SFD_NONBLOCK)
        owned = OwnedDescriptor(try SystemCall.check("create a signalfd") { unsafe signalfd(-1, &set, flags) })
    }

    /// The next pending signal; nil when there is none.
    public func next() -> Signal? {
        var information = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        let (length, code) = SystemCall.attempt { unsafe read(owned.value, &information, size) }
        guard code == 0, length == size else { return nil }
        return Signal(rawValue: CInt(bitPattern: information.ssi_signo))
    }
}
