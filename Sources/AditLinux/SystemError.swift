// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

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
        self.remedy = remedy
    }

    /// One sentence: the operation, the system's text, the remedy.
    public var description: String { "\(operation): errno \(code)" + (remedy.map { "; \($0)" } ?? "") }
}
