// SPDX-License-Identifier: Apache-2.0
// Adit: TidyTests

import Foundation
import Testing

/// ARCHITECTURE.md is the map: every source file has its line there, and nothing that is gone has one.
@Suite struct ArchitectureTests {
    let map: [String]

    init() throws {
        let file = SourceTree.root.appendingPathComponent("ARCHITECTURE.md")
        map = try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n")
    }

    /// What EMBEDDING.md shows is what a test compiles and runs.
    @Test func examplesAreCompiled() throws {
        let page = try #require(SourceTree.everything.first { $0.path == "EMBEDDING.md" })
        let compiled = try #require(SourceTree.swift.first { $0.path == "Tests/AditTests/EmbeddingTests.swift" })
        let code = compiled.lines.map(Self.bare).joined(separator: "\n")
        var examples = 0
        for block in page.lines.joined(separator: "\n").components(separatedBy: "```swift\n").dropFirst() {
            let text = block.components(separatedBy: "\n```")[0].components(separatedBy: "\n").map(Self.bare)
            #expect(code.contains(text.joined(separator: "\n")), "not in EmbeddingTests: \(text.first ?? "")")
            examples += 1
        }
        #expect(examples >= 6)
    }

    private static func bare(_ line: String) -> String {
        let trimmed = line.trimmingCharacters(in: .whitespaces)
        return trimmed.hasPrefix("private ") ? String(trimmed.dropFirst(8)) : trimmed
    }

    @Test func everySourceFileIsOnTheMap() {
        let words = Set(map.flatMap { quoted($0) })
        let missing = SourceTree.sources.filter { !words.contains($0.name) && !words.contains("\($0.name).swift") }
        #expect(missing.isEmpty, "without a line in ARCHITECTURE.md:\(list(missing.map(\.path)))")
    }

    @Test func everyFileOnTheMapExists() {
        let names = Set(SourceTree.everything.map { ($0.path as NSString).lastPathComponent })
        let gone = map.flatMap { quoted($0) }.filter {
            $0.hasSuffix(".swift") && !$0.contains("/") && !names.contains($0)
        }
        #expect(gone.isEmpty, "on the map, but gone:\(list(gone))")
    }

    /// The words of a line that stand between backquotes.
    private func quoted(_ line: String) -> [String] {
        line.components(separatedBy: "`").enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
    }
}
