// SPDX-License-Identifier: Apache-2.0
// Adit: adit

/// Something that is wrong, or doubtful, in a configuration file.
struct ConfigurationProblem: Hashable, Sendable {
    /// Whether the gateway can start all the same.
    enum Severity: Sendable { case error, warning }

    var severity: Severity
    /// The file as it was named on the command line.
    var file: String
    /// The line, counted from 1; nil when the file as a whole is meant.
    var line: Int?
    /// The key in dotted form, for example `connections.hq.local_ts`; empty when the syntax is broken.
    var key: String
    /// What was found; what is allowed. Never a secret.
    var message: String

    /// `FILE:LINE: key: message`, with `warning: ` before the key of a warning.
    var description: String { text(severity == .warning ? "warning: " : "") }

    /// `FILE:LINE: key: message`, for where the severity stands already.
    var withoutSeverity: String { text("") }

    private func text(_ kind: String) -> String {
        let place = line.map { "\(file):\($0)" } ?? file
        return "\(place): \(kind)\(key.isEmpty ? "" : key + ": ")\(message)"
    }
}

/// Collects problems with their places in the text.
final class ConfigurationProblems {
    let file: String
    private let root: TOMLTable
    private var found: [ConfigurationProblem] = []

    /// Problems of a document.
    init(file: String, root: TOMLTable) {
        self.file = file
        self.root = root
    }

    /// Everything found so far, in the order of the lines.
    var sorted: [ConfigurationProblem] {
        let numbered = found.enumerated().sorted {
            ($0.element.line ?? 0, $0.offset) < ($1.element.line ?? 0, $1.offset)
        }
        var seen: Set<ConfigurationProblem> = []
        return numbered.map(\.element).filter { seen.insert($0).inserted }
    }

    /// Whether an error, not only warnings, was found.
    var hasErrors: Bool { found.contains { $0.severity == .error } }

    func error(_ path: [String], _ message: String, item: Int? = nil) { add(.error, path, message, item) }

    func warning(_ path: [String], _ message: String, item: Int? = nil) { add(.warning, path, message, item) }

    /// Notes that the text is no TOML.
    func syntax(_ fault: TOMLFault) {
        found.append(
            ConfigurationProblem(
                severity: .error, file: file, line: fault.line, key: "", message: "not valid TOML: \(fault.message)"))
    }

    private func add(_ severity: ConfigurationProblem.Severity, _ path: [String], _ message: String, _ item: Int?) {
        let line = item.map { root.line(of: path, item: $0) } ?? root.line(of: path)
        found.append(
            ConfigurationProblem(
                severity: severity, file: file, line: line, key: path.map(quoteKey).joined(separator: "."),
                message: message))
    }

    /// A key as it would be written in TOML; control characters never reach a terminal.
    private func quoteKey(_ key: String) -> String {
        let bare = key.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
        }
        return bare && !key.isEmpty ? key : quoted(key)
    }
}

/// A value as a message shows it: in quotes, shortened, without control characters.
func quoted(_ text: String) -> String {
    let shown = text.unicodeScalars.prefix(quotedLimit).map { scalar -> String in
        switch scalar {
        case "\"": "\\\""
        case "\\": "\\\\"
        case _ where scalar.isInvisible: scalar.escaped
        default: String(scalar)
        }
    }
    return "\"\(shown.joined())\(text.unicodeScalars.count > quotedLimit ? "…" : "")\""
}

private let quotedLimit = 80
