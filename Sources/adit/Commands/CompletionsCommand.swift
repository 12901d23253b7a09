// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import ArgumentParser

/// `adit completions`
struct CompletionsCommand: ParsableCommand {
    /// The shells whose completion scripts can be made.
    enum Shell: String, CaseIterable, ExpressibleByArgument { case bash, zsh, fish }

    static let configuration = CommandConfiguration(
        commandName: "completions",
        abstract: "Print a completion script for a shell.",
        discussion: """
            EXAMPLES
              adit completions bash > /etc/bash_completion.d/adit
              adit completions zsh > "${fpath[1]}/_adit"
              adit completions fish > ~/.config/fish/completions/adit.fish
            """)

    @Argument(help: "The shell: bash, zsh or fish.") var shell: Shell
    @OptionGroup(visibility: .hidden) var control: ControlOptions

    func run() throws {
        let kind: CompletionShell =
            switch shell {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        writeToStandardOutput(AditCommand.completionScript(for: kind) + "\n")
    }
}
