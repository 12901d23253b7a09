// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Adit
internal import AditIKE
internal import AditWire

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
        /// Where metrics are served; nil nowhere.
        var metrics: Endpoint?
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
        guard String(validating: text, as: UTF8.self) != nil else {
            return refused(file, line: firstInvalidLine(text), "not UTF-8; a configuration file is UTF-8 text")
        }
        let (root, faults) = TOMLParser.parse(text)
        let problems = ConfigurationProblems(file: file, root: root)
        for fault in faults { problems.syntax(fault) }
        return check(root, problems, readableByOthers)
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
            directory: directory(of: problems.file), installRoutes: gateway.installRoutes)
        let tables = reader.namedTables("connections")
        gateway.connections = tables.compactMap { name, table in
            let section = TableReader(
                table: table, path: ["connections", name],
                keys: ConfigurationKey.connection + ConfigurationKey.child, problems: problems)
            return ConnectionSection(reader: section, name: name, context: context).read()
        }
        // Once a file, where the first secret stands.
        if readableByOthers, let first = tables.first(where: { $0.table["psk"] != nil }) {
            problems.warning(
                ["connections", first.name, "psk"], "this file can be read by others; chmod 600 \(problems.file)")
        }
        if tables.isEmpty, !problems.hasErrors {
            problems.error(["connections"], "no connection; at least one [connections.NAME] is needed")
        }
        ConnectionSection.compare(gateway.connections, problems)
        if !problems.hasErrors {
            do {
                try gateway.check()
            } catch { problems.error(["connections"], error.description) }
        }
        return ConfigurationFile(
            gateway: problems.hasErrors ? nil : gateway, settings: settings, problems: problems.sorted)
    }

    private static func refused(_ file: String, line: Int?, _ message: String) -> ConfigurationFile {
        ConfigurationFile(problems: [
            ConfigurationProblem(severity: .error, file: file, line: line, key: "", message: message)
        ])
    }

    private static func firstInvalidLine(_ text: [UInt8]) -> Int {
        let lines = text.split(separator: 0x0a, omittingEmptySubsequences: false)
        return 1 + (lines.firstIndex { String(validating: $0, as: UTF8.self) == nil } ?? 0)
    }

    private static func directory(of file: String) -> String {
        file.lastIndex(of: "/").map { String(file[...$0]) } ?? ""
    }

    private static let sizeLimit = 4 * 1024 * 1024
}
