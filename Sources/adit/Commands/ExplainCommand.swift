// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import ArgumentParser

/// `adit explain`
struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Say why the last attempt failed: both sides next to each other, and what to change.",
        discussion: """
            Without a name: every connection that failed, and the last peer that fits no connection. The failure of a \
            connection is kept until its next success. The codes are listed in CONFIGURATION.md.

            EXAMPLES
              adit explain hq
              adit explain --json
            """)

    @Argument(help: ArgumentHelp("The connection; all when left out.", valueName: "name")) var name: String?
    @Flag(help: "Print JSON, for programs.") var json = false
    @OptionGroup var control: ControlOptions

    func run() throws {
        let result = try ControlClient(path: control.path).perform(.explain(connection: name))
        if json { return writeToStandardOutput(result.text + "\n") }
        let failures = result["failures"]?.elements ?? []
        guard failures.isEmpty else {
            return writeToStandardOutput(
                failures.map { FailureDocument.text($0) ?? $0.text + "\n" }.joined(separator: "\n"))
        }
        let state = result["state"]?.stringValue.map { " (state: \($0))" } ?? ""
        writeToStandardOutput("\(name.map { $0 + ": " } ?? "")no failure to explain\(state)\n")
    }
}
