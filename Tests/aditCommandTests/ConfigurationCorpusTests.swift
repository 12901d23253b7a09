// SPDX-License-Identifier: Apache-2.0
// Adit: aditCommandTests

import Foundation
import Testing

@testable import adit

/// The corpus of `scripts/fuzz Configuration` as an ordinary test: whatever a file holds, it is read or refused in
/// words.
@Suite struct ConfigurationCorpusTests {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fuzz/Corpus/Configuration")

    @Test func everyInputIsReadOrRefusedInWords() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
        #expect(!names.isEmpty, "there is a corpus")
        for name in names {
            let bytes = Array(try Data(contentsOf: Self.folder.appendingPathComponent(name)))
            check(bytes, name)
            for length in stride(from: 0, to: bytes.count, by: 7) { check(Array(bytes.prefix(length)), name) }
        }
    }

    private func check(_ bytes: [UInt8], _ name: String) {
        let parsed = ConfigurationFile.parse(bytes, file: "fuzz.toml")
        #expect((parsed.gateway == nil) == !parsed.errors.isEmpty, "\(name): refused if and only if explained")
        #expect(parsed.problems.allSatisfy { !$0.description.contains("\n") }, "\(name): one line a problem")
    }
}
