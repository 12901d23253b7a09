// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinuxTests

import AditLinux
import AditWire
import CLinux
import Glibc

/// What these tests may do here.
enum Privilege {
    /// Whether this process may make network namespaces and TUN devices.
    static let canUseNamespaces: Bool = {
        guard geteuid() == 0, access("/dev/net/tun", R_OK | W_OK) == 0 else { return false }
        return (try? inNamespace { true }) ?? false
    }()

    static let reason = "needs root, network namespaces and /dev/net/tun"
}

/// Runs `body` on a thread of its own in a new network namespace whose loopback is up; the namespace ends with it.
func inNamespace<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
    final class Outcome: @unchecked Sendable { var result: Result<Value, any Error>? }
    let outcome = Outcome()
    let thread = try PinnedThread(name: "namespace") {
        outcome.result = Result {
            guard unshare(CLONE_NEWNET) == 0 else { throw SystemError("unshare", code: errno) }
            let netlink = try Netlink()
            try netlink.setUp(true, link: 1)
            return try body()
        }
    }
    thread.join()
    return try outcome.result!.get()
}
