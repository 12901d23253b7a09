// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

internal import CLinux
internal import Glibc

/// The one policy for system calls: an interrupted one is made again, a failed one throws its errno.
enum SystemCall {
    /// How often an interrupted call is made again before its EINTR is taken for its result.
    static let interruptionLimit = 100

    /// Makes the call; the result is not negative.
    @discardableResult
    static func check<Value: SignedInteger>(
        _ operation: @autoclosure () -> String, remedy: (CInt) -> String? = { _ in nil }, _ call: () -> Value
    ) throws(SystemError) -> Value {
        let (value, code) = attempt(call)
        guard code == 0 else { throw SystemError(operation(), code: code, remedy: remedy(code)) }
        return value
    }

    /// Makes the call; the errno is 0 when the result is not negative. Takes no lock and allocates nothing.
    @inline(__always)
    static func attempt<Value: SignedInteger>(_ call: () -> Value) -> (value: Value, code: CInt) {
        for _ in 0..<interruptionLimit {
            let value = call()
            if value >= 0 { return (value, 0) }
            let code = adit_errno()
            if code != EINTR { return (value, code) }
        }
        return (-1, EINTR)
    }
}

/// A descriptor with one owner, closed when the owner lets go of it.
final class OwnedDescriptor: Sendable {
    let value: CInt

    init(_ value: CInt) { self.value = value }

    deinit { close(value) }
}
