// SPDX-License-Identifier: Apache-2.0
// Adit: adit

/// What a client can ask of a running gateway: one JSON object in one line.
enum ControlRequest: Equatable, Sendable {
    case status
    case up(connection: String)
    case down(connection: String)
    case rekey(connection: String, ike: Bool)
    case explain(connection: String?)
    /// Read the configuration again; with `dryRun` only say what would be done.
    case reload(dryRun: Bool)

    /// The request in a line; nil when it is none.
    init?(parsing line: [UInt8]) {
        guard let value = JSONValue(parsing: line), let word = value["request"]?.stringValue else { return nil }
        let connection = value["connection"]?.stringValue
        switch (word, connection) {
        case ("status", _): self = .status
        case ("up", .some(let name)): self = .up(connection: name)
        case ("down", .some(let name)): self = .down(connection: name)
        case ("rekey", .some(let name)): self = .rekey(connection: name, ike: value["ike"]?.isTrue ?? false)
        case ("explain", _): self = .explain(connection: connection)
        case ("reload", _): self = .reload(dryRun: value["dry_run"]?.isTrue ?? false)
        default: return nil
        }
    }

    /// Whether its answer waits for something to happen, for up to minutes.
    var waits: Bool {
        switch self {
        case .up, .down, .rekey: true
        case .status, .explain, .reload: false
        }
    }

    /// The request as it is sent.
    var json: JSONValue {
        switch self {
        case .status: .object([("request", .string("status"))])
        case .up(let name): .object([("request", .string("up")), ("connection", .string(name))])
        case .down(let name): .object([("request", .string("down")), ("connection", .string(name))])
        case .rekey(let name, let ike):
            .object([("request", .string("rekey")), ("connection", .string(name)), ("ike", .boolean(ike))])
        case .explain(let name): .object([("request", .string("explain")), ("connection", .optional(name))])
        case .reload(let dryRun): .object([("request", .string("reload")), ("dry_run", .boolean(dryRun))])
        }
    }
}

/// An answer: any number of `progress` lines, then one `result` or one `error`, each an object in one line.
enum ControlAnswer: Sendable {
    case progress(String)
    case result(JSONValue)
    case error(code: String, message: String, suggestion: String)

    /// The answer in a line; nil when it is none.
    init?(parsing line: [UInt8]) {
        guard let value = JSONValue(parsing: line) else { return nil }
        if let text = value["progress"]?.stringValue {
            self = .progress(text)
        } else if let result = value["result"] {
            self = .result(result)
        } else if let error = value["error"] {
            self = .error(
                code: error["code"]?.stringValue ?? "", message: error["message"]?.stringValue ?? "",
                suggestion: error["suggestion"]?.stringValue ?? "")
        } else {
            return nil
        }
    }

    /// The answer as it is sent.
    var json: JSONValue {
        switch self {
        case .progress(let text): .object([("progress", .string(text))])
        case .result(let value): .object([("result", value)])
        case .error(let code, let message, let suggestion):
            .object([
                (
                    "error",
                    .object([
                        ("code", .string(code)), ("message", .string(message)), ("suggestion", .string(suggestion)),
                    ])
                )
            ])
        }
    }
}
