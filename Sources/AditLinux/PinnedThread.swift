// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

internal import CLinux
internal import Glibc
internal import Synchronization

/// A named kernel thread, optionally bound to one processor or of another priority. Join it before letting go of it,
/// else it runs on by itself.
@safe public final class PinnedThread: Sendable {
    private let handle: Mutex<pthread_t?>

    /// Starts `body` on a new thread; `name` is cut to 15 bytes. All signals are blocked in it, so that they go to the
    /// main thread or ``Signals``. A `processor` that does not exist or may not be used is ignored, and so is a
    /// `niceness` (-20 to 19, see nice(2)) that we may not take.
    public init(
        name: String, processor: Int? = nil, niceness: Int? = nil, _ body: sending @escaping () -> Void
    ) throws(SystemError) {
        let start = Start(
            name: String(decoding: name.utf8.prefix(15), as: UTF8.self), processor: processor, niceness: niceness,
            body: body)
        // SAFETY: the new thread takes over the reference; when there is no new thread it is released here.
        let reference = unsafe Unmanaged.passRetained(start)
        var all = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
        var thread = pthread_t()
        let code = unsafe pthread_create(&thread, nil, Self.run, reference.toOpaque())
        unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
        guard code == 0 else {
            unsafe reference.release()
            throw SystemError("start thread \(name)", code: code)
        }
        handle = Mutex(thread)
    }

    deinit {
        handle.withLock { thread in
            if let thread { pthread_detach(thread) }
        }
    }

    /// Waits until the body has returned. May be called more than once and from several threads; not from the thread
    /// itself.
    public func join() {
        handle.withLock { thread in
            guard let running = thread else { return }
            pthread_join(running, nil)
            thread = nil
        }
    }

    /// Lets other threads that are ready run before the calling one.
    public static func yield() { sched_yield() }

    /// Lets the calling thread sleep for less than a second.
    public static func sleep(nanoseconds: UInt64) {
        var pause = timespec(tv_sec: 0, tv_nsec: Int(min(nanoseconds, 999_999_999)))
        unsafe nanosleep(&pause, nil)
    }

    /// Gives the calling thread another nice value (-20 to 19); one that we may not take is ignored.
    public static func setNiceness(_ niceness: Int) { _ = adit_set_thread_nice(CInt(clamping: niceness)) }

    /// Whether the calling thread is scheduled as threads are by default: SCHED_OTHER, see sched(7).
    public static var hasUsualPolicy: Bool { sched_getscheduler(0) == 0 }

    /// Whether the calling thread, when it is woken, lets the one that runs on its processor go on until that sleeps or
    /// has had its share: SCHED_BATCH, see sched(7). Its nice value stays.
    public static func setPatient(_ isPatient: Bool) { _ = adit_set_thread_batch(isPatient ? 1 : 0) }

    /// How many processors this process may use.
    public static var processorCount: Int { Int(adit_processor_count()) }

    private final class Start {
        let name: String
        let processor: Int?
        let niceness: Int?
        let body: () -> Void

        init(name: String, processor: Int?, niceness: Int?, body: @escaping () -> Void) {
            self.name = name
            self.processor = processor
            self.niceness = niceness
            self.body = body
        }
    }

    private static let run: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
        guard let argument = unsafe argument else { return nil }
        // SAFETY: the argument is the reference that the initialiser retained for this thread.
        let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        unsafe adit_name_thread(start.name)
        if let processor = start.processor { _ = adit_bind_thread(CInt(clamping: processor)) }
        if let niceness = start.niceness { _ = adit_set_thread_nice(CInt(clamping: niceness)) }
        start.body()
        return nil
    }
}
