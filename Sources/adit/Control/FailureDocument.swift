// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import AditIKE

/// A failure as `adit explain` gets it over the control socket.
enum FailureDocument {
    /// The report and its time as JSON.
    static func json(_ failure: FailureReport, at time: WallTime?) -> JSONValue {
        .object([
            ("connection", .optional(failure.connection)),
            ("code", .string(failure.code.rawValue)),
            ("stage", .string(failure.stage.rawValue)),
            ("remote", .optional(failure.remote)),
            ("at", .optional(time?.description)),
            ("message", .string(failure.message)),
            ("suggestion", .string(failure.suggestion)),
            ("comparison", json(failure.comparison)),
            ("consequence", .string(failure.consequence.rawValue)),
        ])
    }

    /// Both sides, line by line.
    static func json(_ comparison: [FailureReport.Comparison]) -> JSONValue {
        .array(
            comparison.map { line in
                .object([
                    ("subject", .string(line.subject)),
                    ("ours", .array(line.ours.map(JSONValue.string))),
                    ("theirs", .array(line.theirs.map(JSONValue.string))),
                    ("mismatch", .boolean(line.mismatch)),
                ])
            })
    }

    /// The same, side by side, for a person; nil when the document has codes that this version does not know.
    static func text(_ failure: JSONValue) -> String? {
        guard let code = FailureReport.Code(rawValue: word(failure, "code")),
            let stage = FailureReport.Stage(rawValue: word(failure, "stage"))
        else { return nil }
        let report = FailureReport(
            connection: failure["connection"]?.stringValue, code: code, stage: stage, message: word(failure, "message"),
            suggestion: word(failure, "suggestion"), remote: failure["remote"]?.stringValue,
            comparison: (failure["comparison"]?.elements ?? []).map(comparison))
        let time = failure["at"]?.stringValue.map { "at \($0)\n" } ?? ""
        return time
            + report.sideBySide().split(separator: "\n", omittingEmptySubsequences: false)
            .map { printable(String($0)) }.joined(separator: "\n") + "\n"
    }

    private static func comparison(_ line: JSONValue) -> FailureReport.Comparison {
        FailureReport.Comparison(
            subject: word(line, "subject"), ours: (line["ours"]?.elements ?? []).compactMap(\.stringValue),
            theirs: (line["theirs"]?.elements ?? []).compactMap(\.stringValue),
            mismatch: line["mismatch"]?.isTrue ?? false)
    }

    private static func word(_ value: JSONValue, _ name: String) -> String { value[name]?.stringValue ?? "" }
}
