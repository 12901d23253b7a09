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
