// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

/// A named kernel thread, optionally bound to one processor.
public final class PinnedThread: Sendable {
    /// Starts `body` on a new thread; `name` is cut to 15 bytes. All signals are blocked in it.
    public init(name: String, processor: Int? = nil, _ body: sending @escaping () -> Void) throws(SystemError) {
        fatalError("filled in by linux")
    }

    /// Waits until the body has returned. May be called more than once; not from the thread itself.
    public func join() { fatalError("filled in by linux") }

    /// How many processors this process may use.
    public static var processorCount: Int { fatalError("filled in by linux") }
}
