// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Glibc

/// The signals that steer a running gateway, taken by the main thread one at a time.
struct ProcessSignals {
    /// What a signal asks for.
    enum Request: Equatable { case stop(String), reload }

    private var signals = sigset_t()

    /// Blocks the signals, for every thread that is started afterwards, too; and ignores SIGPIPE.
    init() {
        unsafe sigemptyset(&signals)
        for number in [SIGTERM, SIGINT, SIGHUP] { unsafe sigaddset(&signals, number) }
        unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Asks this process to stop, as SIGTERM from outside would; any thread.
    static func stop() { kill(getpid(), SIGTERM) }

    /// Waits for the next signal.
    func next() -> Request {
        while true {
            var number: Int32 = 0
            var waited = signals
            guard unsafe sigwait(&waited, &number) == 0 else { continue }
            switch number {
            case SIGHUP: return .reload
            case SIGTERM: return .stop("SIGTERM")
            default: return .stop("SIGINT")
            }
        }
    }
}
