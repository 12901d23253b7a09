// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

internal import Glibc

/// A system call that failed: what was tried, the errno, and what an operator can do about it.
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was tried, in words: `open /dev/net/tun`, `bind UDP port 500`.
    public let operation: String
    /// The errno.
    public let code: CInt
    /// What an operator can do, as a clause; nil when there is nothing usual.
    public let remedy: String?

    /// An error; without a `remedy` the usual one for the code is used.
    public init(_ operation: String, code: CInt, remedy: String? = nil) {
        self.operation = operation
        self.code = code
        self.remedy = remedy ?? Self.usualRemedy(for: code)
    }

    /// One sentence: the operation, the system's text, the remedy.
    public var description: String {
        // SAFETY: strerror returns a string of static or thread-local storage, which is copied at once.
        let text = unsafe strerror(code).map { unsafe String(cString: $0) } ?? "errno \(code)"
        return "\(operation): \(text)" + (remedy.map { "; \($0)" } ?? "")
    }

    private static func usualRemedy(for code: CInt) -> String? {
        switch code {
        case EPERM, EACCES: "run it as root, or give it CAP_NET_ADMIN and CAP_NET_BIND_SERVICE"
        case EADDRINUSE: "another program uses this address and port"
        case EADDRNOTAVAIL: "no interface of this machine has that address"
        case EMFILE, ENFILE: "raise the limit of open files (ulimit -n)"
        case ENOMEM, ENOBUFS: "the machine is short of memory"
        case EAFNOSUPPORT: "this kernel has no such address family (IPv6 may be disabled)"
        default: nil
        }
    }
}
