// SPDX-License-Identifier: Apache-2.0
// Adit: AditControlTests

import AditLinux
import Glibc

/// Whether this process may make network namespaces and TUN devices.
let canUseNamespaces: Bool = {
    guard geteuid() == 0, access("/dev/net/tun", R_OK | W_OK) == 0 else { return false }
    return (try? inNamespace { true }) ?? false
}()

/// Runs `body` on a thread of its own in a new network namespace whose loopback is up; the namespace ends with it.
func inNamespace<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
    let outcome = Outcome<Value>()
    let thread = try PinnedThread(name: "namespace") {
        outcome.result = Result {
            // Glibc declares unshare for C with _GNU_SOURCE only.
            typealias Unshare = @convention(c) (CInt) -> CInt
            let unshare = unsafeBitCast(dlsym(nil, "unshare"), to: Unshare.self)
            guard unshare(newNetworkNamespace) == 0 else { throw SystemError("unshare", code: errno) }
            try Netlink().setUp(true, link: 1)
            return try body()
        }
    }
    thread.join()
    return try outcome.result!.get()
}

/// CLONE_NEWNET.
private let newNetworkNamespace: CInt = 0x4000_0000

private final class Outcome<Value>: @unchecked Sendable { var result: Result<Value, any Error>? }
