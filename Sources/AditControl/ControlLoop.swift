// SPDX-License-Identifier: Apache-2.0
// Adit: AditControl

internal import AditESP
package import AditIKE
package import AditLinux
internal import AditWire
internal import Synchronization

// The control thread, in order:
//  1. sleep in epoll until a datagram, a request, a hint or the IKE machine's deadline is due
//  2. feed what arrived to the IKE machine, one event at a time
//  3. perform its effects in their order (EffectApplier)
//  4. free retired SAs that no worker can hold any more
// It shares exactly two objects with the packet threads: the SA table and the mailbox.

/// The thread that runs IKE. Start it once; ``stop()`` ends it. All other members may be called from any thread.
package final class ControlLoop: Sendable {
    private let requests: ControlRequests
    private let thread = Mutex<PinnedThread?>(nil)

    /// Prepares the thread's side of things; nothing runs before ``start(_:)``.
    package init() throws(SystemError) { requests = try ControlRequests() }

    /// Starts the thread, which takes `parts` over.
    package func start(_ parts: sending ControlParts) throws(SystemError) {
        let driver = try ControlDriver(parts, requests: requests)
        let started = try PinnedThread(name: "adit-control") { driver.run() }
        thread.withLock { $0 = started }
    }

    /// Hands `command` to the IKE machine; false when too many wait already.
    @discardableResult
    package func perform(_ command: IKECommand) -> Bool { requests.post(.command(command)) }

    /// A snapshot; nil when the thread has ended.
    package func status() -> ControlStatus? {
        let reply = Reply<ControlStatus>()
        guard requests.post(.status(reply)) else { return nil }
        return reply.wait(seconds: Self.statusTimeoutSeconds)
    }

    /// Deletes all SAs at the peers, removes the routes, and waits for the thread's end.
    package func stop() {
        let running = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        guard let running else { return }
        while !requests.post(.stop) { ControlDriver.yieldProcessor() }
        running.join()
    }

    private static let statusTimeoutSeconds = 5
}
