// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import AditCrypto
internal import Glibc

/// A file that holds a secret: it is read straight into memory that is cleansed, and must not be readable by others.
struct SecretFile {
    var secret: SecretBytes
    /// The permission bits.
    var permissions: UInt32

    /// Reads a regular file of at most `limit` bytes.
    static func read(_ path: String, limit: Int) -> Result<SecretFile, BoundedFile.Failure> {
        BoundedFile.opened(path) { descriptor, permissions in
            var length = 0
            var code: CInt = 0
            // SAFETY: the memory is lent for this closure, and read(2) gets what is left of it.
            let whole = unsafe SecretBytes(count: limit + 1) { memory in
                while length < memory.count {
                    let count = unsafe Glibc.read(
                        descriptor, memory.baseAddress?.advanced(by: length), memory.count - length)
                    if count == 0 { break }
                    if count < 0, errno == EINTR { continue }
                    guard count > 0 else {
                        code = errno
                        break
                    }
                    length += count
                }
            }
            guard code == 0 else { return .failure(BoundedFile.failure(code)) }
            guard length <= limit else { return .failure(BoundedFile.tooLarge(limit)) }
            return .success(SecretFile(secret: whole.slice(0..<length), permissions: permissions))
        }
    }
}

extension TableReader {
    /// The secret file that a key names, with its path; nil without the key, or after an error.
    func secretFile(_ key: String, in directory: String, limit: Int) -> (secret: SecretBytes, path: String)? {
        guard let name = string(key) else { return nil }
        let path = name.hasPrefix("/") ? name : directory + name
        switch SecretFile.read(path, limit: limit) {
        case .failure(let failure):
            problems.error(self.path + [key], "found \(quoted(path)): \(failure.reason); \(failure.remedy)")
            return nil
        case .success(let file):
            guard file.permissions & 0o077 == 0 else {
                let mode = String(file.permissions & 0o777, radix: 8)
                problems.error(
                    self.path + [key],
                    "found \(quoted(path)) with mode \(mode), readable by others; allowed is 600: chmod 600 \(path)")
                return nil
            }
            return (file.secret, path)
        }
    }
}
