// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Adit
internal import ArgumentParser
internal import Glibc

/// The `adit` command: its subcommands and how it exits.
@main
struct AditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "adit",
        abstract: "A userspace IPsec VPN gateway: IKEv2, and ESP in UDP.",
        discussion: """
            Adit carries traffic between two sites inside ESP packets, under keys that IKEv2 agrees with the peer. \
            It needs no kernel module: packets enter and leave through a TUN device.

            FILES
              /etc/adit/adit.toml      the configuration (see CONFIGURATION.md)
              /run/adit/control.sock   the control socket of a running gateway, mode 0600

            EXIT STATUS
              0  done
              1  what was asked for failed; the reason is on standard error
              2  the command line is wrong
              3  no gateway is running

            EXAMPLES
              adit genpsk > /etc/adit/hq.psk     make a secret for both sides
              adit check                         look for errors in the configuration
              adit run                           run the gateway in the foreground
              adit up hq && adit status          bring a connection up and look at it
              adit explain hq                    why did the last attempt fail?
            """,
        version: "adit \(Gateway.version)",
        subcommands: [
            RunCommand.self, CheckCommand.self, StatusCommand.self, UpCommand.self, DownCommand.self,
            RekeyCommand.self, ExplainCommand.self, ReloadCommand.self, GeneratePSKCommand.self,
            CompletionsCommand.self,
        ])

    /// Parses and runs, and maps every ending to the exit status that design and manual promise.
    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let failure as CommandFailure {
            if let message = failure.message { writeToStandardError("adit: \(message)\n") }
            Glibc.exit(failure.status.rawValue)
        } catch {
            let text = fullMessage(for: error) + "\n"
            guard exitCode(for: error) == .success else {
                writeToStandardError(text)
                Glibc.exit(CommandFailure.Status.usage.rawValue)
            }
            writeToStandardOutput(text)
        }
    }
}

/// How a command ended when it did not do what was asked for.
struct CommandFailure: Error, Equatable {
    /// The exit statuses besides 0.
    enum Status: Int32 {
        case failed = 1
        case usage = 2
        case noGateway = 3
    }

    var status: Status
    /// One sentence for standard error; nil when everything has been said.
    var message: String?

    /// What was asked for failed.
    static func failed(_ message: String? = nil) -> CommandFailure { CommandFailure(status: .failed, message: message) }
}

/// Options that every command takes.
struct ControlOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "The gateway's control socket (default: \(ControlSocketAddress.standard)).", valueName: "path"),
        completion: .file())
    var control: String?

    /// The socket to talk to.
    var path: String { control ?? ControlSocketAddress.standard }

    func validate() throws {
        guard let control, !ControlSocketAddress.isUsable(control) else { return }
        throw ValidationError("--control takes a path of 1 to \(ControlSocketAddress.pathLimit) bytes.")
    }
}

/// The option that names the configuration file.
struct ConfigurationOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp("The configuration file.", valueName: "file"), completion: .file(extensions: ["toml"]))
    var config = "/etc/adit/adit.toml"
}
