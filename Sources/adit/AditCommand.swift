// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import ArgumentParser

@main
struct AditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "adit", abstract: "A userspace IPsec VPN gateway.")
}
