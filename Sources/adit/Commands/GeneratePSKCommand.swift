// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import ArgumentParser

/// `adit genpsk`
struct GeneratePSKCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "genpsk",
        abstract: "Make a pre-shared key: 256 random bits in base64.",
        discussion: """
            The text is the secret as it stands: put the same text into psk or psk_file on both sides, or into the \
            peer's configuration (strongSwan: secret = "…").

            EXAMPLES
              (umask 077; adit genpsk > /etc/adit/hq.psk)
            """)

    @OptionGroup(visibility: .hidden) var control: ControlOptions

    func run() throws {
        // The system's generator is a cryptographic one: getrandom(2) on Linux.
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
        writeToStandardOutput(encodeBase64(bytes) + "\n")
    }
}
