// SPDX-License-Identifier: Apache-2.0
// Adit: adit

/// The text without the characters that a peer could use to write elsewhere on the terminal, or in another order.
func printable(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: \.isInvisible) else { return text }
    return text.unicodeScalars.map { $0.isInvisible ? $0.escaped : String($0) }.joined()
}

extension Unicode.Scalar {
    /// Whether it moves the cursor, ends a line or turns the direction of what follows, and shows nothing itself.
    var isInvisible: Bool {
        switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }

    /// `\u{202e}`
    var escaped: String { "\\u{\(String(value, radix: 16))}" }
}
