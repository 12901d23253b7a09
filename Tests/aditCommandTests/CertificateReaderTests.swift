// SPDX-License-Identifier: Apache-2.0
// Adit: aditCommandTests

import AditCrypto
import AditIKE
import Foundation
import Testing

@testable import adit

/// `cert_file`, `key_file`, `ca_file` and what belongs to them; the files are made with the openssl command.
@Suite(.enabled(if: OpenSSLCommand.isThere, "there is no openssl command")) struct CertificateReaderTests {
    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        let openssl = OpenSSLCommand(directory: directory.path)
        for name in ["ca", "paris", "other"] {
            try openssl.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out \(name).key")
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o600], ofItemAtPath: "\(directory.path)/\(name).key")
        }
        try openssl.run("req -x509 -new -key ca.key -subj /CN=Root -days 3650 -out ca.pem")
        try openssl.issue("paris", days: 3650)
        try openssl.run("pkcs8 -topk8 -in paris.key -out encrypted.key -passout pass:opensesame")
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o600], ofItemAtPath: "\(directory.path)/encrypted.key")
    }

    private static let all = "cert_file = \"paris.pem\"\nkey_file = \"paris.key\"\nca_file = \"ca.pem\""

    @Test func certificatesOnBothSides() throws {
        let file = try load(Self.all)
        let connection = try #require(file.gateway?.connections.first, "\(file.problems.map(\.description))")
        #expect(file.problems.isEmpty, "\(file.problems.map(\.description))")
        guard case .signature(let credential) = connection.authentication.local,
            case .certificate(let validator) = connection.authentication.remote
        else {
            Issue.record("no certificates")
            return
        }
        #expect(credential.chain.count == 1)
        #expect(Identity.distinguishedName(credential.subject).description == "CN=paris")
        #expect(validator.authorities.count == 1)
        #expect(try load(Self.all).gateway == file.gateway, "a reload changes nothing")
    }

    @Test func oneSideOnly() throws {
        let psk = "psk = \"a secret of twenty bytes or more\"\n"
        let signing = try load(psk + "cert_file = \"paris.pem\"\nkey_file = \"paris.key\"").gateway?.connections.first
        guard case .signature = signing?.authentication.local, case .preSharedKey = signing?.authentication.remote
        else {
            Issue.record("not a signature here and a secret there")
            return
        }
        let trusting = try load(psk + "ca_file = \"ca.pem\"").gateway?.connections.first
        guard case .preSharedKey = trusting?.authentication.local, case .certificate = trusting?.authentication.remote
        else {
            Issue.record("not a secret here and a certificate there")
            return
        }
    }

    static let faults = [
        ("cert_file = \"paris.pem\"\nca_file = \"ca.pem\"", "key_file: missing beside cert_file"),
        ("key_file = \"paris.key\"\nca_file = \"ca.pem\"", "cert_file: missing beside key_file"),
        ("cert_file = \"paris.pem\"\nkey_file = \"paris.key\"", "psk: missing; ca_file is needed"),
        ("ca_file = \"ca.pem\"", "psk: missing; cert_file and key_file are needed"),
        (all + "\npsk = \"a secret of twenty bytes or more\"", "psk: found beside cert_file and ca_file"),
        ("psk = \"a secret of twenty bytes or more\"\ncrl_file = \"x\"", "crl_file: found without ca_file"),
        (all.replacing("paris.pem", with: "absent.pem"), "absent.pem\": no such file or directory; create it"),
        (all.replacing("paris.pem", with: "paris.key"), "with PEM with PRIVATE KEY but no certificate"),
        (all.replacing("\"ca.pem", with: "\"ca.key"), "ca_file: found"),
        (all.replacing("paris.key", with: "other.key"), "that does not belong to CN=paris (ECDSA P-256)"),
        (all.replacing("paris.key", with: "paris.pem"), "readable by others; allowed is 600: chmod 600"),
        (
            all.replacing("paris.key", with: "encrypted.key"),
            "with an encrypted key; allowed is the same with key_passphrase_file"
        ),
        (
            all.replacing("paris.key", with: "encrypted.key") + "\nkey_passphrase_file = \"wrong\"",
            "key_passphrase_file: found a passphrase that does not open key_file"
        ),
        (all + "\ncrl_file = \"ca.pem\"", "with PEM with CERTIFICATE but no revocation list"),
    ]

    @Test(arguments: faults) func eachFault(_ keys: String, _ message: String) throws {
        try directory.write("wrong", Array("not it\n".utf8))
        let file = try load(keys)
        #expect(file.gateway == nil)
        #expect(file.errors.count == 1, "\(file.errors.map(\.description))")
        #expect(file.errors.first?.description.contains(message) == true, "\(file.errors.map(\.description))")
    }

    /// What no peer takes, or no message has room for, is found before anything is started.
    @Test func certificatesThatAreTooLong() throws {
        let openssl = OpenSSLCommand(directory: directory.path)
        let fits = try String(contentsOfFile: "\(directory.path)/paris.pem", encoding: .utf8)
        try openssl.issue("paris", days: 3650, names: 1200)
        #expect(
            try load(Self.all).errors.first?.description.contains("bytes at place 1; allowed is at most 16384 bytes")
                == true)
        try openssl.issue("other", days: 3650, names: 400)
        let long = try String(contentsOfFile: "\(directory.path)/other.pem", encoding: .utf8)
        try directory.write("paris.pem", Array((fits + String(repeating: long, count: 2)).utf8))
        #expect(try load(Self.all).errors.isEmpty)
        try directory.write("paris.pem", Array((fits + String(repeating: long, count: 4)).utf8))
        let text = try load(Self.all).errors.first?.description
        #expect(text?.contains("bytes together; allowed is at most 32768 bytes") == true, "\(text ?? "no error")")
    }

    @Test func encryptedKeys() throws {
        try directory.write("passphrase", Array("opensesame\n".utf8))
        let keys =
            Self.all.replacing("paris.key", with: "encrypted.key") + "\nkey_passphrase_file = \"passphrase\""
        #expect(try load(keys).gateway != nil)
        try directory.write("passphrase", Array("opensesame\n".utf8), mode: 0o644)
        #expect(try load(keys).errors.first?.description.contains("readable by others") == true)
    }

    @Test func doubtfulCertificatesAreWarnings() throws {
        let mismatch = try load(Self.all + "\nlocal_id = \"lyon.example.com\"")
        #expect(mismatch.gateway != nil)
        let text = mismatch.problems.first?.description
        #expect(text?.contains("local_id: \"lyon.example.com\" is not in the certificate of cert_file") == true)
        #expect(text?.contains("CN=paris, DNS:paris.example.com") == true)
        try OpenSSLCommand(directory: directory.path).issue("paris", days: -1)
        let expired = try load(Self.all)
        #expect(expired.gateway != nil)
        #expect(expired.problems.first?.description.contains("cert_file: the certificate CN=paris expired on") == true)
    }

    private func load(_ keys: String) throws -> ConfigurationFile {
        let text = """
            [connections.hq]
            remote_addrs = "192.0.2.2"
            local_ts = "10.1.0.0/16"
            remote_ts = "10.2.0.0/16"
            \(keys)
            """
        return ConfigurationFile.load(try directory.write("adit.toml", Array(text.utf8)))
    }
}

/// Debian's `openssl`, to make keys and certificates with.
private struct OpenSSLCommand {
    let directory: String

    static let isThere = FileManager.default.isExecutableFile(atPath: "/usr/bin/openssl")

    func run(_ arguments: String) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = arguments.split(separator: " ").map(String.init)
        process.currentDirectoryURL = URL(fileURLWithPath: directory)
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "openssl \(arguments)")
    }

    /// NAME.pem for NAME.key, of the authority ca; valid until so many days from now, with so many names.
    func issue(_ name: String, days: Int, names: Int = 1) throws {
        let list = (0..<names).map { "DNS:\(names == 1 ? name : name + String($0)).example.com" }
        let extensions = "subjectAltName = \(list.joined(separator: ","))\nkeyUsage = digitalSignature\n"
        try Data(extensions.utf8).write(to: URL(fileURLWithPath: "\(directory)/extensions"))
        try run("req -new -key \(name).key -subj /CN=\(name) -out \(name).csr")
        try run(
            "x509 -req -in \(name).csr -CA ca.pem -CAkey ca.key -set_serial 7 -days \(days) -extfile extensions "
                + "-out \(name).pem")
    }
}
