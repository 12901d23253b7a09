// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Glibc
internal import Logging

extension LogThreshold {
    /// swift-log's level.
    var level: Logger.Level {
        switch self {
        case .trace: .trace
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        case .critical: .critical
        }
    }
}

/// How a line of the log is written.
enum LogFormat: String, CaseIterable, Sendable {
    case text, json
}

/// Makes one line of each message, for a ``LineWriter`` that brings it to standard error.
///
/// The metadata key `connection` names the connection; in text it stands before the message.
struct LineLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    private let format: LogFormat
    private let clock: @Sendable () -> WallTime
    private let write: @Sendable (String) -> Void

    /// A handler; `write` takes each line and must not wait, `clock` is replaced in tests.
    init(
        level: Logger.Level, format: LogFormat, clock: @escaping @Sendable () -> WallTime = { .now() },
        write: @escaping @Sendable (String) -> Void
    ) {
        self.logLevel = level
        self.format = format
        self.clock = clock
        self.write = write
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let merged = metadata.merging(event.metadata ?? [:]) { $1 }
        write(line(event.level, event.message.description, merged))
    }

    /// The line of a message, with its newline.
    func line(_ level: Logger.Level, _ message: String, _ metadata: Logger.Metadata = [:]) -> String {
        let time = clock().description
        let connection = metadata["connection"]?.description
        switch format {
        case .text:
            let name = connection.map { " " + printable($0) } ?? ""
            return "\(time) \(level.rawValue)\(name): \(printable(message))\n"
        case .json:
            var members: [(String, JSONValue)] = [("time", .string(time)), ("level", .string(level.rawValue))]
            if let connection { members.append(("connection", .string(connection))) }
            members.append(("message", .string(message)))
            for (key, value) in metadata.sorted(by: { $0.key < $1.key }) where key != "connection" {
                members.append((key, Self.json(value)))
            }
            return JSONValue.object(members).text + "\n"
        }
    }

    private static func json(_ value: Logger.Metadata.Value) -> JSONValue {
        if case .stringConvertible(let json as JSONValue) = value { return json }
        return .string(value.description)
    }
}

/// Writes to standard error, whole or not at all when it is closed.
@Sendable func writeToStandardError(_ text: String) { writeAll(text, to: STDERR_FILENO) }

/// Writes to standard output.
func writeToStandardOutput(_ text: String) { writeAll(text, to: STDOUT_FILENO) }

private func writeAll(_ text: String, to descriptor: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        // SAFETY: the pointer is used only during the call.
        let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
    }
}
