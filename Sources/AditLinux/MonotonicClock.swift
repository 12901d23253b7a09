// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

public import AditWire
internal import Glibc

/// CLOCK_MONOTONIC: never set back, does not count while the machine is suspended.
public enum MonotonicClock {
    /// Now.
    public static func now() -> Timestamp {
        var time = timespec()
        // Cannot fail: the clock exists on every kernel and the pointer is good.
        _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Timestamp(nanoseconds: UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec))
    }
}
