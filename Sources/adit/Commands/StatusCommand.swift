// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import ArgumentParser
internal import Glibc

/// `adit status`
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show connections, their SAs, traffic and failures.",
        discussion: """
            STATES
              down          not asked for
              trap          waits for the first packet that matches
              waiting       waits for the peer to start
              connecting    a handshake is under way
              established   both sides are authenticated
              failed        the last attempt failed; see 'adit explain'

            The JSON document is stable: fields may be added, none is renamed or removed.

            EXAMPLES
              adit status
              adit status --watch
              adit status --json | jq '.connections[] | {name, state}'
            """)

    @Flag(help: "Print one JSON document, for programs.") var json = false
    @Flag(help: "Print again every second, until interrupted.") var watch = false
    @OptionGroup var control: ControlOptions

    func run() throws {
        let client = ControlClient(path: control.path)
        let isTerminal = isatty(STDOUT_FILENO) == 1
        repeat {
            let document = try client.perform(.status)
            let text = json ? document.text + "\n" : StatusTable(document: document).text
            // On a terminal the new table takes the place of the old one.
            writeToStandardOutput(watch && isTerminal && !json ? "\u{1b}[H\u{1b}[2J" + text : text)
            if watch { sleep(1) }
        } while watch
    }
}
