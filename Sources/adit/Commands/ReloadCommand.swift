// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import ArgumentParser

/// `adit reload`
struct ReloadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Make the gateway read its configuration again, or show what that would do.",
        discussion: """
            Prints the plan, one line a connection that is touched, and does it:

              + NAME: added
              - NAME: removed; its SAs are deleted
              ~ NAME: KEY before -> after; its SAs stay
              ~ NAME: KEY before -> after; the IKE SA stays; child CHILD is deleted and made anew
              ~ NAME: KEY before -> after; its SAs are deleted and made anew
              ! [gateway]: KEY before -> after; takes effect after a restart

            A connection, or a child, that did not change keeps its SAs and loses no packet. With an error in the \
            file nothing changes, and every error is printed as 'adit check' prints it; the status is 1 then. With \
            --dry-run nothing changes in any case. Secrets are named, never shown.

            EXAMPLES
              adit reload --dry-run
              adit reload
              adit reload --dry-run --json | jq -r '.plan.connections[] | select(.action != "unchanged").name'
            """)

    @Flag(help: "Only show the plan; change nothing.") var dryRun = false
    @Flag(help: "Print one JSON document, for programs.") var json = false
    @OptionGroup var control: ControlOptions

    func run() throws {
        var lines: [String] = []
        let client = ControlClient(path: control.path)
        do throws(CommandFailure) {
            let result = try client.perform(.reload(dryRun: dryRun)) { line in
                lines.append(line)
                if !json { writeToStandardOutput(printable(line) + "\n") }
            }
            let message = result["message"]?.stringValue ?? ""
            writeToStandardOutput((json ? result.text : printable(message)) + "\n")
        } catch {
            if json, error.status == .failed {
                let errors = JSONValue.array(lines.map(JSONValue.string))
                writeToStandardOutput(
                    JSONValue.object([("applied", .boolean(false)), ("errors", errors)]).text + "\n")
            }
            throw error
        }
    }
}
