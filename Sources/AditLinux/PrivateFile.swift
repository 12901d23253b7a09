// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

internal import Glibc

/// A file of secrets that lines are appended to: mode 0600, in a directory that only its owner can change.
package final class PrivateFile: Sendable {
    /// Where it is.
    package let path: String
    private let descriptor: CInt

    /// Opens or creates `name` in `directory`, which is created when it is missing.
    ///
    /// Nothing is followed or changed that somebody else could have prepared: no symbolic link as the file, no file of
    /// another user, no file that others may read, no directory that others may write to.
    package init(_ name: String, in directory: String) throws(SystemError) {
        path = directory.hasSuffix("/") ? directory + name : "\(directory)/\(name)"
        let folder = try Self.openDirectory(directory)
        defer { close(folder) }
        let flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC
        let opened = unsafe openat(folder, name, flags, 0o600)
        guard opened >= 0 else {
            let code = errno
            let remedy = code == ELOOP ? "it is a symbolic link: remove it" : "choose a directory of your own"
            throw SystemError("open \(path)", code: code, remedy: remedy)
        }
        var information = stat()
        guard unsafe fstat(opened, &information) == 0, information.st_mode & S_IFMT == S_IFREG,
            information.st_uid == geteuid(), information.st_mode & 0o077 == 0
        else {
            close(opened)
            throw SystemError(
                "open \(path)", code: EACCES, remedy: "it must be a file of this user with mode 600: remove it")
        }
        descriptor = opened
    }

    deinit { close(descriptor) }

    /// Appends the whole of `text` in one go; false when the file system takes no more, or when the file would then be
    /// longer than `limit` bytes.
    package func append(_ text: String, limit: Int = .max) -> Bool {
        let bytes = Array(text.utf8)
        var information = stat()
        guard unsafe fstat(descriptor, &information) == 0, limit - bytes.count >= information.st_size else {
            return false
        }
        while true {
            let written = unsafe write(descriptor, bytes, bytes.count)
            if written < 0, errno == EINTR { continue }
            return written == bytes.count
        }
    }

    private static func openDirectory(_ directory: String) throws(SystemError) -> CInt {
        guard unsafe mkdir(directory, 0o700) == 0 || errno == EEXIST else {
            throw SystemError("create the directory \(directory)", code: errno, remedy: "create it, with mode 700")
        }
        let folder = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else {
            throw SystemError("open the directory \(directory)", code: errno, remedy: "name a directory of your own")
        }
        var information = stat()
        guard unsafe fstat(folder, &information) == 0, [0, geteuid()].contains(information.st_uid),
            information.st_mode & 0o022 == 0
        else {
            close(folder)
            throw SystemError(
                "use the directory \(directory)", code: EACCES,
                remedy: "others may write to it: chmod 700 it, or name one of your own")
        }
        return folder
    }
}
