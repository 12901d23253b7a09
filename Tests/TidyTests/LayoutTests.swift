// SPDX-License-Identifier: Apache-2.0
// Adit: TidyTests

import Testing

/// Sizes, headers and names: CONTRIBUTING.md, "Shape".
@Suite struct LayoutTests {
    static let fileLines = 500
    static let functionLines = 70
    static let lineColumns = 120

    @Test func everySwiftFileHasTheTwoHeaderLines() {
        let violations = SourceTree.swift.compactMap { file -> String? in
            let lines =
                file.lines.first?.hasPrefix("// swift-tools-version") == true ? file.lines.dropFirst() : file.lines[...]
            guard lines.first == "// SPDX-License-Identifier: Apache-2.0" else { return "\(file.path): no SPDX line" }
            let isManifest = file.name == "Package"
            guard isManifest || lines.dropFirst().first == "// Adit: \(expectedOwner(of: file))" else {
                return "\(file.path): the second line must be `// Adit: \(expectedOwner(of: file))`"
            }
            return nil
        }
        #expect(violations.isEmpty, "\(list(violations))")
    }

    @Test func everyScriptHasALicenceLine() {
        let kinds = ["scripts/", ".ci/", "Tests/Interop/"]
        let violations = SourceTree.everything.filter { file in
            kinds.contains { file.path.hasPrefix($0) } && !file.path.hasSuffix(".txt") && !file.path.hasSuffix(".md")
                && !file.lines.prefix(3).contains { $0.contains("SPDX-License-Identifier: Apache-2.0") }
        }.map(\.path)
        #expect(violations.isEmpty, "\(list(violations))")
    }

    @Test func filesAreShort() {
        let violations = SourceTree.swift.filter { $0.lines.count > Self.fileLines }
            .map { "\($0.path): \($0.lines.count) lines, at most \(Self.fileLines)" }
        #expect(violations.isEmpty, "\(list(violations))")
    }

    @Test func linesAreShort() {
        let violations = objections(in: SourceTree.swift, codeOnly: false) { _, line in
            line.count > Self.lineColumns ? "\(line.count) columns, at most \(Self.lineColumns)" : nil
        }
        #expect(violations.isEmpty, "\(list(violations))")
    }

    @Test func functionsAreShort() {
        let violations = SourceTree.sources.flatMap { file in
            functions(in: file.code).filter { $0.length > Self.functionLines }
                .map { "\(file.path):\($0.line): a function of \($0.length) lines, at most \(Self.functionLines)" }
        }
        #expect(violations.isEmpty, "\(list(violations))")
    }

    @Test func noFileIsADrawer() {
        let drawers = ["Utils", "Utilities", "Helper", "Helpers", "Common", "Manager", "Misc", "Extras"]
        let violations = SourceTree.swift.filter { file in drawers.contains { file.name.hasSuffix($0) } }.map(\.path)
        #expect(violations.isEmpty, "\(list(violations))")
    }

    @Test func functionLengthIsMeasured() {
        let code = ["struct S {", "    func a() {", "        b()", "    }", "    init() { c() }", "}"]
        #expect(functions(in: code).map(\.length) == [3])
    }

    private func expectedOwner(of file: SourceFile) -> String {
        file.path.hasPrefix("Tests/Fuzz/") ? "Fuzz" : file.path.hasPrefix("Benchmarks/") ? "Benchmarks" : file.target
    }

    /// Where functions of more than one line begin and how many lines they have, by their indentation:
    /// the formatter puts the closing brace where the declaration begins.
    private func functions(in code: [String]) -> [(line: Int, length: Int)] {
        var found: [(line: Int, length: Int)] = []
        for (start, line) in code.enumerated() {
            let words = line.split { " (<?".contains($0) }
            guard words.contains("func") || words.contains("init") || words.contains("deinit") else { continue }
            guard !line.contains("{") || line.hasSuffix("{") else { continue }
            let indent = line.prefix { $0 == " " }
            guard let end = code[start...].firstIndex(of: indent + "}") else { continue }
            found.append((start + 1, end - start + 1))
        }
        return found
    }
}
