// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

extension FailureReport {
    /// The report for a terminal: what failed, both sides in aligned columns, what to change.
    ///
    /// Lines that prevented the agreement begin with `!`. Values that do not fit `width` columns are continued below.
    public func sideBySide(width: Int = 80) -> String {
        let name = connection ?? "(no connection)"
        let peer = remote.map { " with \($0)" } ?? ""
        var lines = ["\(name): \(code.rawValue) in \(stage.rawValue)\(peer)", "  \(message)"]
        if !comparison.isEmpty { lines += [""] + table(width: width) + [""] }
        if !suggestion.isEmpty { lines.append("  To do: \(suggestion)") }
        return lines.joined(separator: "\n")
    }

    private func table(width: Int) -> [String] {
        let subjectWidth = comparison.map(\.subject.count).max() ?? 0
        let valueWidth = max(Self.columnMinimum, (width - subjectWidth - 6) / 2)
        let ours = comparison.map { Self.wrap($0.ours, width: valueWidth) }
        // A peer that only says no has told nothing; one that named other things has none of what it did not name.
        let isTold = comparison.contains { !$0.theirs.isEmpty }
        let theirs = comparison.map { isTold ? Self.wrap($0.theirs, width: valueWidth) : ["not told"] }
        let oursWidth = max("ours".count, ours.joined().map(\.count).max() ?? 0)
        let line = { (mark: String, subject: String, our: String, their: String) in
            let text = "\(mark) \(Self.pad(subject, subjectWidth))  \(Self.pad(our, oursWidth))  \(their)"
            return String(text.reversed().drop { $0 == " " }.reversed())
        }
        var lines = [line(" ", "", "ours", "theirs")]
        for (index, entry) in comparison.enumerated() {
            for row in 0..<max(ours[index].count, theirs[index].count) {
                lines.append(
                    line(
                        row == 0 && entry.mismatch ? "!" : " ", row == 0 ? entry.subject : "",
                        row < ours[index].count ? ours[index][row] : "",
                        row < theirs[index].count ? theirs[index][row] : ""))
            }
        }
        return lines
    }

    /// The values, separated by commas, in lines of at most `width` columns where the values allow it.
    private static func wrap(_ values: [String], width: Int) -> [String] {
        guard !values.isEmpty else { return ["none"] }
        var lines: [String] = []
        for (index, value) in values.enumerated() {
            let text = index + 1 < values.count ? "\(value)," : value
            if let last = lines.last, last.count + 1 + text.count <= width {
                lines[lines.count - 1] = "\(last) \(text)"
            } else {
                lines.append(text)
            }
        }
        return lines
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private static let columnMinimum = 16
}
