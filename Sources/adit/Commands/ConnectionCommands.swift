// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import ArgumentParser

/// `adit up`
struct UpCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Bring a connection up and wait until it carries traffic.",
        discussion: """
            Prints what happens on the way. The status is 0 when a tunnel is installed; 1 with the failure's code and \
            message when it is not (see 'adit explain' for both sides in detail).

            EXAMPLES
              adit up hq
            """)

    @Argument(help: ArgumentHelp("The connection.", valueName: "name")) var name: String
    @OptionGroup var control: ControlOptions

    func run() throws { try performNamed(.up(connection: name), control) }
}

/// `adit down`
struct DownCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down",
        abstract: "Take a connection down; it stays down until it is asked for again.",
        discussion: """
            EXAMPLES
              adit down hq
            """)

    @Argument(help: ArgumentHelp("The connection.", valueName: "name")) var name: String
    @OptionGroup var control: ControlOptions

    func run() throws { try performNamed(.down(connection: name), control) }
}

/// `adit rekey`
struct RekeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rekey",
        abstract: "Give a connection's tunnels, or its IKE SA, new keys without interruption.",
        discussion: """
            EXAMPLES
              adit rekey hq          new keys for every child
              adit rekey hq --ike    new keys for the IKE SA
            """)

    @Argument(help: ArgumentHelp("The connection.", valueName: "name")) var name: String
    @Flag(help: "Rekey the IKE SA instead of the children.") var ike = false
    @OptionGroup var control: ControlOptions

    func run() throws { try performNamed(.rekey(connection: name, ike: ike), control) }
}

/// Sends a request, prints its progress and its outcome.
private func performNamed(_ request: ControlRequest, _ control: ControlOptions) throws {
    let result = try ControlClient(path: control.path).perform(request) { writeToStandardOutput(printable($0) + "\n") }
    if let message = result["message"]?.stringValue { writeToStandardOutput(printable(message) + "\n") }
}
