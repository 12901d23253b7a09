// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

import AditLinux
import AditWire
import Glibc
import Testing

/// What these tests may do here.
enum Privilege {
    /// Whether this process may make network namespaces and TUN devices.
    static let canUseNamespaces: Bool = {
        guard geteuid() == 0, access("/dev/net/tun", R_OK | W_OK) == 0 else { return false }
        return (try? inNamespace { true }) ?? false
    }()

    static let reason: Comment = "needs root, network namespaces and /dev/net/tun"
}

/// Runs `body` on a thread of its own in a new network namespace whose loopback is up.
func inNamespace<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
    try running(body).value()
}

/// Starts `body` on a thread of its own in a new network namespace.
func running<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> NamespaceThread<Value> {
    try NamespaceThread(body)
}

final class NamespaceThread<Value: Sendable>: @unchecked Sendable {
    // Written by the thread, read after it was joined.
    private var result: Result<Value, any Error>?
    private var thread: PinnedThread?

    init(_ body: @escaping @Sendable () throws -> Value) throws {
        thread = try PinnedThread(name: "namespace") { [self] in
            result = Result {
                // Glibc declares unshare for C with _GNU_SOURCE only.
                typealias Unshare = @convention(c) (CInt) -> CInt
                let unshare = unsafeBitCast(dlsym(nil, "unshare"), to: Unshare.self)
                let newNetworkNamespace: CInt = 0x4000_0000
                guard unshare(newNetworkNamespace) == 0 else { throw SystemError("unshare", code: errno) }
                try Netlink().setUp(true, link: 1)
                return try body()
            }
        }
    }

    func value() throws -> Value {
        thread?.join()
        guard let result else { throw SystemError("thread", code: ECHILD) }
        return try result.get()
    }
}

/// Writes one of the kernel's settings of the calling thread's namespace.
func setSysctl(_ path: String, _ value: String) {
    let descriptor = open("/proc/sys/net/" + path, O_WRONLY)
    guard descriptor >= 0 else { return }
    _ = value.withCString { write(descriptor, $0, strlen($0)) }
    close(descriptor)
}
