// SPDX-License-Identifier: Apache-2.0
// Adit: adit

/// The levels of the log, in swift-log's words.
enum LogThreshold: String, CaseIterable, Sendable {
    case trace, debug, info, notice, warning, error, critical

    /// The words in order of severity.
    static var words: [String] { allCases.map(\.rawValue) }
}
