// SPDX-License-Identifier: Apache-2.0
// Adit: aditCommandTests

import AditCrypto
import AditIKE
import Foundation
import Testing

@testable import Adit
@testable import adit

/// A directory that is gone at the end of the test.
final class TemporaryDirectory {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("adit-\(UUID().uuidString.prefix(8))").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file and returns its path.
    @discardableResult func write(_ name: String, _ bytes: some Sequence<UInt8>, mode: Int = 0o600) throws -> String {
        let file = "\(path)/\(name)"
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
        return file
    }
}

private func configuration(_ secret: String) -> String {
    """
    [connections.hq]
    remote_addrs = "192.0.2.2"
    \(secret)
    local_ts = "10.1.0.0/16"
    remote_ts = "10.2.0.0/16"
    """
}

private func key(_ file: ConfigurationFile) -> SecretBytes? {
    guard case .preSharedKey(let secret) = file.gateway?.connections.first?.authentication.local else { return nil }
    return secret
}

@Suite struct SecretReaderTests {
    @Test(
        arguments: [
            ("abcdefghijklmnopqrstuvw", Array("abcdefghijklmnopqrstuvw".utf8)), ("0x00fFa5", [0, 0xff, 0xa5]),
            ("0sAP+l", [0, 0xff, 0xa5]), ("0sAP8=", [0, 0xff]), ("0sAP8", [0, 0xff]), ("0", Array("0".utf8)),
            ("ünïcode", Array("ünïcode".utf8)),
        ] as [(String, [UInt8])]) func forms(text: String, bytes: [UInt8])
    {
        let file = ConfigurationFile.parse(Array(configuration("psk = \"\(text)\"").utf8), file: "t.toml")
        #expect(key(file) == SecretBytes(bytes))
    }

    @Test(arguments: ["", "0x", "0x0", "0xgg", "0s", "0s=", "0sA", "0sAP8==", "0sAP!8"])
    func malformedForms(text: String) {
        let file = ConfigurationFile.parse(Array(configuration("psk = \"\(text)\"").utf8), file: "t.toml")
        #expect(file.errors.count == 1 && file.errors[0].key == "connections.hq.psk" && file.errors[0].line == 3)
    }

    @Test func fileBesideTheConfiguration() throws {
        let directory = try TemporaryDirectory()
        let toml = try directory.write("adit.toml", configuration("psk_file = \"hq.psk\"").utf8)
        for (content, expected) in [
            ("0123456789abcdefghijk\n", "0123456789abcdefghijk"),
            ("0123456789abcdefghijk\r\n", "0123456789abcdefghijk"),
            ("0123456789abcdefghijk", "0123456789abcdefghijk"), (" two lines of secret\n\n", " two lines of secret\n"),
        ] {
            try directory.write("hq.psk", content.utf8)
            let file = ConfigurationFile.load(toml)
            #expect(file.problems.map(\.description) == [])
            #expect(key(file) == SecretBytes(expected.utf8))
        }
    }

    @Test(arguments: [0o640, 0o644, 0o604, 0o660, 0o606, 0o777]) func fileReadableByOthers(mode: Int) throws {
        let directory = try TemporaryDirectory()
        let toml = try directory.write("adit.toml", configuration("psk_file = \"hq.psk\"").utf8)
        let secret = try directory.write("hq.psk", "0123456789abcdefghijk".utf8, mode: mode)
        let file = ConfigurationFile.load(toml)
        #expect(file.gateway == nil)
        #expect(
            file.errors.map(\.description) == [
                "\(toml):3: connections.hq.psk_file: found \"\(secret)\" with mode \(String(mode, radix: 8)), readable "
                    + "by others; allowed is 600: chmod 600 \(secret)"
            ])
    }

    @Test func fileThatIsNone() throws {
        let directory = try TemporaryDirectory()
        let toml = try directory.write("adit.toml", configuration("psk_file = \"hq.psk\"").utf8)
        #expect(ConfigurationFile.load(toml).errors.first?.message.contains("no such file") == true)
        try FileManager.default.createDirectory(atPath: "\(directory.path)/hq.psk", withIntermediateDirectories: true)
        #expect(ConfigurationFile.load(toml).errors.first?.message.contains("it is no regular file") == true)
        try FileManager.default.removeItem(atPath: "\(directory.path)/hq.psk")
        try directory.write("hq.psk", [UInt8](repeating: 0x61, count: 5000))
        #expect(ConfigurationFile.load(toml).errors.first?.message.contains("larger than") == true)
        try directory.write("hq.psk", [UInt8](repeating: 0x61, count: 4096))
        #expect(key(ConfigurationFile.load(toml))?.count == 4096)
        try directory.write("hq.psk", [])
        #expect(ConfigurationFile.load(toml).errors.first?.message.contains("an empty secret") == true)
    }

    @Test func worldReadableConfigurationWithASecret() throws {
        let directory = try TemporaryDirectory()
        let text = configuration("psk = \"0123456789abcdefghijk\"").utf8
        let toml = try directory.write("adit.toml", text, mode: 0o644)
        let file = ConfigurationFile.load(toml)
        #expect(file.gateway != nil)
        #expect(file.problems.map(\.message) == ["this file can be read by others; chmod 600 \(toml)"])
    }

    @Test func base64RoundTrip() {
        for count in 0...64 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ count) }
            let text = encodeBase64(bytes)
            #expect(text == Data(bytes).base64EncodedString())
            var decoded: [UInt8] = []
            #expect(decodeBase64(text.utf8) { decoded.append($0) } && decoded == bytes)
        }
    }
}
