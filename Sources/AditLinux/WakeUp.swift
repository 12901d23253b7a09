// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

internal import CLinux
internal import Glibc

/// An eventfd that wakes a thread out of its ``EventPoll``. Thread-safe.
public final class WakeUp: Sendable {
    /// Readable after ``signal()`` until ``acknowledge()``.
    public var descriptor: CInt { owned.value }

    private let owned: OwnedDescriptor

    /// An unsignalled one.
    public init() throws(SystemError) {
        let flags = CInt(EFD_CLOEXEC | EFD_NONBLOCK)
        owned = OwnedDescriptor(try SystemCall.check("create an eventfd") { eventfd(0, flags) })
    }

    /// Makes the descriptor readable.
    public func signal() {
        var one: UInt64 = 1
        // A full counter refuses, and is readable then anyway.
        _ = SystemCall.attempt { unsafe write(owned.value, &one, MemoryLayout<UInt64>.size) }
    }

    /// Makes it unreadable.
    public func acknowledge() {
        var value: UInt64 = 0
        _ = SystemCall.attempt { unsafe read(owned.value, &value, MemoryLayout<UInt64>.size) }
    }
}
