// SPDX-License-Identifier: Apache-2.0
// Adit: adit

/// The text without control characters, which a peer could use to write to the terminal.
func printable(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return text }
    let scalars = text.unicodeScalars.map { scalar in
        scalar.properties.generalCategory == .control ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
    }
    return scalars.joined()
}
