// SPDX-License-Identifier: Apache-2.0
// Adit: AditControl

internal import AditLinux
internal import Glibc

/// A value that one thread fulfils once and another waits for.
@safe final class Reply<Value: Sendable>: @unchecked Sendable {
    private let value = LockedState<Value?>(nil)
    // SAFETY: allocated in init, destroyed in deinit; a semaphore may be used from any thread.
    private let semaphore: UnsafeMutablePointer<sem_t>

    init() {
        unsafe semaphore = .allocate(capacity: 1)
        unsafe sem_init(semaphore, 0, 0)
    }

    deinit {
        unsafe sem_destroy(semaphore)
        unsafe semaphore.deallocate()
    }

    /// Sets the value and wakes who waits; nil says that there will be none.
    func fulfil(_ result: Value?) {
        value.withLock { $0 = result }
        unsafe sem_post(semaphore)
    }

    /// Waits for the value, at most `seconds`; nil when there is none by then.
    func wait(seconds: Int) -> Value? {
        var deadline = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &deadline)
        deadline.tv_sec += seconds
        while unsafe sem_timedwait(semaphore, &deadline) != 0 {
            guard errno == EINTR else { return nil }
        }
        return value.withLock { $0 }
    }
}
