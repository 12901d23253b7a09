// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

internal import Glibc

/// State that several threads share, under a POSIX lock. For the cold side only: the packet path takes no lock.
///
/// `Mutex` would do the same, but where it has to wait it waits in a library that the thread sanitizer does not see
/// into, which then reports every access as a race. A POSIX lock it knows, so that its silence means something.
@safe package final class LockedState<State: Sendable>: @unchecked Sendable {
    private var state: State
    // SAFETY: allocated in init, destroyed in deinit, when nobody can hold it any more; used for locking only.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>

    /// State that begins as `initial`.
    package init(_ initial: State) {
        state = initial
        unsafe mutex = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
    }

    deinit {
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    /// Runs `body` while no other thread does; it must not come here again.
    package func withLock<Result, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return try body(&state)
    }
}
