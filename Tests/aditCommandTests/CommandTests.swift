// SPDX-License-Identifier: Apache-2.0
// Adit: aditCommandTests

import Foundation
import Testing

@testable import Adit
@testable import adit

/// What a run of the built executable left.
private struct Outcome {
    var status: Int32
    var output: String
    var errors: String
}

/// The executable stands beside the test program.
private let executable: String = {
    let program = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return URL(fileURLWithPath: program).deletingLastPathComponent().appendingPathComponent("adit").path
}()

/// Runs `adit` to its end.
private func adit(_ arguments: String...) throws -> Outcome { try finish(arguments) }

private func finish(_ arguments: [String]) throws -> Outcome {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: executable)
    process.arguments = arguments
    let (output, errors) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    let written = output.fileHandleForReading.readDataToEndOfFile()
    let complaints = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return Outcome(
        status: process.terminationStatus, output: String(decoding: written, as: UTF8.self),
        errors: String(decoding: complaints, as: UTF8.self))
}

@Suite(.timeLimit(.minutes(1))) struct CommandTests {
    private let good = """
        [connections.hq]
        remote_addrs = "203.0.113.7"
        psk = "0123456789abcdefghijkl"
        local_ts = "10.1.0.0/16"
        remote_ts = "10.2.0.0/16"

        """

    @Test func version() throws {
        let run = try adit("--version")
        #expect(run.status == 0 && run.output == "adit \(Gateway.version)\n" && run.errors.isEmpty)
    }

    @Test(arguments: [
        "", "run", "check", "status", "up", "down", "rekey", "explain", "reload", "genpsk", "completions",
    ])
    func helpReadsLikeAManual(command: String) throws {
        let run = command.isEmpty ? try adit("--help") : try adit(command, "--help")
        #expect(run.status == 0 && run.errors.isEmpty)
        #expect(run.output.contains("OVERVIEW: ") && run.output.contains("USAGE: adit"))
        let examples = run.output.components(separatedBy: "EXAMPLES\n").dropFirst().first ?? ""
        #expect(examples.contains("adit \(command)"))
    }

    @Test(arguments: [
        ["bogus"], ["up"], ["up", "a", "b"], ["status", "--jason"], ["run", "--log-level", "loud"],
        ["run", "--log-format", "xml"], ["completions", "tcsh"], ["check", "--config"], ["status", "--control", ""],
    ]) func usageErrors(arguments: [String]) throws {
        let run = try finish(arguments)
        #expect(run.status == 2, "\(run)")
        #expect(run.output.isEmpty && run.errors.hasPrefix("Error: "))
    }

    @Test(arguments: [
        ["status"], ["status", "--json"], ["up", "hq"], ["down", "hq"], ["rekey", "hq", "--ike"], ["explain"],
        ["reload"],
    ]) func noGateway(arguments: [String]) throws {
        let directory = try TemporaryDirectory()
        let run = try finish(arguments + ["--control", "\(directory.path)/none.sock"])
        #expect(run.status == 3, "\(run)")
        #expect(
            run.errors.hasPrefix("adit: no gateway is running at \(directory.path)/none.sock; start one with: adit run")
        )
    }

    @Test func check() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write("adit.toml", good.utf8)
        let fine = try adit("check", "--config", path)
        #expect(fine.status == 0 && fine.errors.isEmpty)
        #expect(fine.output == "\(path): no errors (1 connection, 1 child)\n")
        try directory.write("adit.toml", Array((good + "esm = 1\nencap = 2\n").utf8))
        let bad = try adit("check", "--config", path, "--control", "/anywhere")
        #expect(bad.status == 1 && bad.output.isEmpty)
        #expect(
            bad.errors
                == "\(path):6: connections.hq.esm: unknown key; did you mean \"esn\"?\n"
                + "\(path):7: connections.hq.encap: found the number 2; allowed is true or false\n"
                + "adit: 2 errors in \(path)\n")
        let missing = try adit("check", "--config", "\(directory.path)/none.toml")
        #expect(missing.status == 1)
        #expect(
            missing.errors.hasPrefix(
                "\(directory.path)/none.toml: cannot be read: no such file or directory; create it"))
    }

    @Test func runRefusesAFaultyConfiguration() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write("adit.toml", Array((good + "esm = 1\n").utf8))
        let run = try adit("run", "--config", path, "--control", "\(directory.path)/c.sock")
        #expect(run.status == 1)
        #expect(run.errors.hasSuffix("adit: 1 error in \(path); nothing was started\n"))
        #expect(!FileManager.default.fileExists(atPath: "\(directory.path)/c.sock"))
    }

    @Test func runDoesNotDisturbAnotherGateway() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write("adit.toml", good.utf8)
        let server = try ControlServer(path: "\(directory.path)/c.sock")
        let run = try adit("run", "--config", path, "--control", "\(directory.path)/c.sock")
        #expect(run.status == 1)
        #expect(run.errors.hasPrefix("adit: another gateway is running at \(directory.path)/c.sock; stop it"))
        #expect(FileManager.default.fileExists(atPath: "\(directory.path)/c.sock"))
        server.stop()
    }

    @Test func generatedKeys() throws {
        let keys = try (0..<2).map { _ in try adit("genpsk").output }
        for key in keys {
            #expect(key.count == 45 && key.hasSuffix("\n"))
            var count = 0
            #expect(decodeBase64(key.dropLast().utf8) { _ in count += 1 } && count == 32)
        }
        #expect(keys[0] != keys[1])
    }

    @Test(arguments: ["bash", "zsh", "fish"]) func completions(shell: String) throws {
        let run = try adit("completions", shell)
        #expect(run.status == 0 && run.output.count > 1000)
        for command in ["genpsk", "explain", "rekey"] { #expect(run.output.contains(command)) }
    }
}
