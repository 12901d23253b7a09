// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Adit
internal import AditIKE
internal import TOMLKit

/// A configuration file, read and checked as a whole.
struct ConfigurationFile {
    /// The checked values; nil when there is an error.
    var gateway: GatewayConfiguration?
    /// What only the executable needs.
    var settings = ExecutableSettings()
    /// Every error and warning, in the order of the lines.
    var problems: [ConfigurationProblem]

    /// The part of `[gateway]` that is about the process, not the gateway.
    struct ExecutableSettings: Equatable {
        var control: String?
        var logLevel: LogThreshold?
    }

    /// The errors alone.
    var errors: [ConfigurationProblem] { problems.filter { $0.severity == .error } }

    /// Reads the file at `path`; secret files are looked up beside it.
    static func load(_ path: String) -> ConfigurationFile {
        switch BoundedFile.read(path, limit: sizeLimit) {
        case .failure(let failure):
            return refused(path, line: nil, "cannot be read: \(failure.reason); \(failure.remedy)")
        case .success(let file):
            return parse(file.bytes, file: path, readableByOthers: file.permissions & 0o077 != 0)
        }
    }

    /// Checks a text that was not read from a file; for tests and fuzzing. Never traps, whatever the bytes are.
    static func parse(_ text: [UInt8], file: String, readableByOthers: Bool = false) -> ConfigurationFile {
        guard text.count <= sizeLimit else {
            return refused(file, line: nil, "the file has \(text.count) bytes; allowed are \(sizeLimit)")
        }
        guard let string = String(validating: text, as: UTF8.self) else {
            return refused(file, line: firstInvalidLine(text), "not UTF-8; a configuration file is UTF-8 text")
        }
        // TOMLKit hands strings through C, where NUL would cut them short unnoticed.
        if let line = firstNULLine(text) {
            return refused(file, line: line, "a NUL character; allowed is any other text")
        }
        let locations = KeyLocations(text)
        if let stop = locations.stop, stop.reason == .nesting {
            return refused(file, line: stop.line, "tables or lists nested too deeply; allowed are 16 levels")
        }
        let root: TOMLTable
        do {
            root = try TOMLTable(string: locations.stop == nil ? string : prefix(of: text, lines: locations.stop?.line))
        } catch let error as TOMLParseError {
            return refused(file, line: error.source.begin.line, "not valid TOML: \(error.description)")
        } catch {
            return refused(file, line: 1, "not valid TOML")
        }
        if let stop = locations.stop { return refused(file, line: stop.line, "not valid TOML") }
        return check(root, ConfigurationProblems(file: file, locations: locations), readableByOthers)
    }

    private static func check(
        _ root: TOMLTable, _ problems: ConfigurationProblems, _ readableByOthers: Bool
    ) -> ConfigurationFile {
        let reader = TableReader(table: root, path: [], keys: ConfigurationKey.tables, problems: problems)
        reader.checkKeys()
        var gateway = GatewayConfiguration()
        var settings = ExecutableSettings()
        if let table = reader.tableValue("gateway") {
            let section = TableReader(
                table: table, path: ["gateway"], keys: ConfigurationKey.gateway, problems: problems)
            GatewaySection(reader: section).read(into: &gateway, &settings)
        }
        let context = ConnectionSection.Context(
            directory: directory(of: problems.file), readableByOthers: readableByOthers,
            installRoutes: gateway.installRoutes)
        let tables = reader.namedTables("connections")
        gateway.connections = tables.compactMap { name, table in
            let section = TableReader(
                table: table, path: ["connections", name],
                keys: ConfigurationKey.connection + ConfigurationKey.child, problems: problems)
            return ConnectionSection(reader: section, name: name, context: context).read()
        }
        if tables.isEmpty, !problems.hasErrors {
            problems.error(["connections"], "no connection; at least one [connections.NAME] is needed")
        }
        ConnectionSection.compare(gateway.connections, problems)
        return ConfigurationFile(
            gateway: problems.hasErrors ? nil : gateway, settings: settings, problems: problems.sorted)
    }

    private static func refused(_ file: String, line: Int?, _ message: String) -> ConfigurationFile {
        ConfigurationFile(problems: [
            ConfigurationProblem(severity: .error, file: file, line: line, key: "", message: message)
        ])
    }

    private static func prefix(of text: [UInt8], lines: Int?) -> String {
        var remaining = lines ?? 0
        let end = text.firstIndex { byte in
            if byte == 0x0a { remaining -= 1 }
            return remaining == 0
        }
        return String(decoding: text[..<(end ?? text.count)], as: UTF8.self)
    }

    private static func firstInvalidLine(_ text: [UInt8]) -> Int {
        let lines = text.split(separator: 0x0a, omittingEmptySubsequences: false)
        return 1 + (lines.firstIndex { String(validating: $0, as: UTF8.self) == nil } ?? 0)
    }

    private static func firstNULLine(_ text: [UInt8]) -> Int? {
        let lines = text.split(separator: 0x0a, omittingEmptySubsequences: false)
        return lines.firstIndex { line in
            line.contains(0) || contains(line, Array("\\u0000".utf8)) || contains(line, Array("\\U00000000".utf8))
        }.map { $0 + 1 }
    }

    private static func contains(_ line: ArraySlice<UInt8>, _ word: [UInt8]) -> Bool {
        line.indices.contains { line[$0] == word[0] && line[$0...].starts(with: word) }
    }

    private static func directory(of file: String) -> String {
        file.lastIndex(of: "/").map { String(file[...$0]) } ?? ""
    }

    private static let sizeLimit = 4 * 1024 * 1024
}
