// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Glibc

/// Where the control socket is.
enum ControlSocketAddress {
    /// The default path.
    static let standard = "/run/adit/control.sock"
    /// `sun_path` without its final NUL.
    static let pathLimit = 107

    /// Whether `path` fits a Unix socket's address.
    static func isUsable(_ path: String) -> Bool {
        (1...pathLimit).contains(path.utf8.count) && !path.utf8.contains(0)
    }

    /// Lends `path` as a socket address to `body`; `abstract` puts a NUL in place of the first character.
    static func withAddress<Result>(
        _ path: String, abstract: Bool = false, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result? {
        guard isUsable(path) else { return nil }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        // SAFETY: the path and its final NUL fit sun_path (isUsable); the pointers live only inside the closures.
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { field in
            unsafe field.copyBytes(from: path.utf8)
            if abstract { unsafe field[0] = 0 }
        }
        let base = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
        let length = socklen_t(base + path.utf8.count + (abstract ? 0 : 1))
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, length) }
        }
    }
}
