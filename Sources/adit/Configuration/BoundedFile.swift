// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Glibc

/// A small file read as a whole, with the permissions it had when it was opened.
struct BoundedFile {
    var bytes: [UInt8]
    /// The permission bits.
    var permissions: UInt32

    /// Why a file could not be read.
    struct Failure: Error {
        var reason: String
        var remedy: String
    }

    /// Reads a regular file of at most `limit` bytes.
    static func read(_ path: String, limit: Int) -> Result<BoundedFile, Failure> {
        opened(path) { descriptor, permissions in
            var bytes: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
                if count == 0 { break }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return .failure(failure(errno)) }
                bytes += chunk[..<count]
                guard bytes.count <= limit else { return .failure(tooLarge(limit)) }
            }
            return .success(BoundedFile(bytes: bytes, permissions: permissions))
        }
    }

    /// Lends the descriptor of a regular file, and its permission bits, to `body`.
    static func opened<Content>(
        _ path: String, _ body: (CInt, UInt32) -> Result<Content, Failure>
    ) -> Result<Content, Failure> {
        guard !path.utf8.contains(0) else {
            return .failure(Failure(reason: "its name contains a NUL character", remedy: "give another path"))
        }
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return .failure(failure(errno)) }
        defer { close(descriptor) }
        var information = stat()
        guard unsafe fstat(descriptor, &information) == 0 else { return .failure(failure(errno)) }
        guard information.st_mode & S_IFMT == S_IFREG else {
            return .failure(Failure(reason: "it is no regular file", remedy: "give the path of a file"))
        }
        return body(descriptor, information.st_mode & 0o7777)
    }

    static func tooLarge(_ limit: Int) -> Failure {
        Failure(reason: "it is larger than \(limit) bytes", remedy: "is it the right file?")
    }

    static func failure(_ code: Int32) -> Failure {
        let remedy =
            switch code {
            case ENOENT: "create it or give another path"
            case EACCES, EPERM: "run as its owner or as root"
            default: "check the path"
            }
        return Failure(reason: systemError(code), remedy: remedy)
    }
}

/// The system's text for an error number, in lower case as part of a sentence.
func systemError(_ code: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard unsafe strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
    let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return text.prefix(1).lowercased() + text.dropFirst()
}
