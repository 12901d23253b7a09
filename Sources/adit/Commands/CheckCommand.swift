// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Adit
internal import AditIKE
internal import ArgumentParser

/// `adit check`
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Look for errors in a configuration, all at once.",
        discussion: """
            Reads the configuration and the secret files that it names, as 'adit run' would, and changes nothing. \
            Each problem is one line on standard error:

              FILE:LINE: KEY: what was found; what is allowed
              FILE:LINE: warning: KEY: what is doubtful

            The status is 0 when there is no error, warnings or not, and 1 otherwise.

            EXAMPLES
              adit check
              adit check --config ./adit.toml
            """)

    @OptionGroup var file: ConfigurationOptions
    @OptionGroup(visibility: .hidden) var control: ControlOptions

    func run() throws {
        let checked = ConfigurationFile.load(file.config)
        for problem in checked.problems { writeToStandardError(problem.description + "\n") }
        let warnings = checked.problems.count - checked.errors.count
        guard let gateway = checked.gateway else {
            throw CommandFailure.failed("\(count(checked.errors.count, "error")) in \(file.config)")
        }
        let children = gateway.connections.reduce(0) { $0 + $1.children.count }
        let found = "\(count(gateway.connections.count, "connection")), \(count(children, "child", "children"))"
        let doubts = warnings == 0 ? "" : ", \(count(warnings, "warning"))"
        writeToStandardOutput("\(file.config): no errors (\(found)\(doubts))\n")
    }
}

/// `1 error`, `2 errors`.
func count(_ number: Int, _ one: String, _ many: String? = nil) -> String {
    "\(number) \(number == 1 ? one : many ?? one + "s")"
}
