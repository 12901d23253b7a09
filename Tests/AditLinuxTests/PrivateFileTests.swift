// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinuxTests

import Foundation
import Testing

@testable import AditLinux

@Suite struct PrivateFileTests {
    /// A fresh path that is removed at the end.
    private func inFolder(_ body: (String) throws -> Void) rethrows {
        let path = NSTemporaryDirectory() + "adit-private-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    private func mode(_ path: String) -> mode_t {
        var information = stat()
        return stat(path, &information) == 0 ? information.st_mode & 0o777 : 0
    }

    private func refusal(_ directory: String) -> SystemError? {
        do throws(SystemError) {
            _ = try PrivateFile("keys", in: directory)
            return nil
        } catch {
            return error
        }
    }

    @Test func linesAreAppendedToAFileThatNobodyElseCanRead() throws {
        try inFolder { folder in
            let before = umask(0)
            defer { umask(before) }
            for line in ["one\n", "two\n"] {
                let file = try PrivateFile("keys", in: folder)
                #expect(file.append(line))
                #expect(file.path == folder + "/keys")
            }
            #expect(mode(folder) == 0o700 && mode(folder + "/keys") == 0o600)
            #expect(try String(contentsOfFile: folder + "/keys", encoding: .utf8) == "one\ntwo\n")
        }
    }

    @Test func whatOthersCouldHavePreparedIsRefused() throws {
        try inFolder { folder in
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
            chmod(folder, 0o777)
            #expect(refusal(folder)?.description.contains("others may write to it") == true)
            chmod(folder, 0o700)
            symlink("/dev/null", folder + "/keys")
            #expect(refusal(folder)?.remedy?.contains("symbolic link") == true)
            unlink(folder + "/keys")
            #expect(FileManager.default.createFile(atPath: folder + "/keys", contents: nil))
            chmod(folder + "/keys", 0o644)
            #expect(refusal(folder)?.remedy?.contains("mode 600") == true)
            #expect(refusal(folder + "/none/such")?.code == ENOENT)
            #expect(refusal(folder + "/keys")?.code == ENOTDIR)
            chmod(folder + "/keys", 0o600)
            #expect(refusal(folder) == nil)
        }
    }
}
