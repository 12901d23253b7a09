// SPDX-License-Identifier: Apache-2.0
// Adit: TidyTests

import Testing

/// The module graph of ARCHITECTURE.md, file by file. The compiler checks the arrows between targets, but not that
/// a pure target keeps clear of the system's modules.
@Suite struct ImportTests {
    /// What each target may import besides the standard library and `Synchronization`.
    static let allowed: [String: Set<String>] = [
        "AditWire": [],
        "AditCrypto": ["COpenSSL"],
        "AditESP": ["AditWire", "AditCrypto"],
        "AditIKE": ["AditWire", "AditCrypto"],
        "AditLinux": ["AditWire", "CLinux", "Glibc"],
        "AditForwarding": ["AditESP", "AditLinux", "AditWire"],
        "AditControl": ["AditIKE", "AditESP", "AditLinux", "AditWire", "AditCrypto", "Glibc"],
        "Adit": [
            "AditControl", "AditForwarding", "AditIKE", "AditESP", "AditLinux", "AditWire", "AditCrypto", "Glibc",
        ],
        "AditPKI": ["AditIKE", "AditWire", "AditCrypto", "X509", "SwiftASN1", "FoundationEssentials"],
        "adit": [
            "Adit", "AditPKI", "AditIKE", "AditWire", "AditCrypto", "ArgumentParser", "Logging", "Glibc",
            "Foundation", "Dispatch",
        ],
    ]

    @Test func everyImportFollowsTheModuleGraph() {
        let violations = objections(in: SourceTree.sources) { file, line in
            guard let module = importedModule(line), module != "Synchronization" else { return nil }
            guard let targets = Self.allowed[file.target] else { return "\(file.target) is not in the module graph" }
            return targets.contains(module) ? nil : "\(file.target) must not import \(module)"
        }
        #expect(violations.isEmpty, "\(list(violations))")
    }

    @Test func everyTargetOfTheGraphExists() {
        let targets = Set(SourceTree.sources.map(\.target))
        #expect(targets == Set(Self.allowed.keys))
    }

    @Test func importsAreRecognised() {
        #expect(importedModule("public import AditWire") == "AditWire")
        #expect(importedModule("@testable import struct Glibc.timespec") == "Glibc")
        #expect(importedModule("internal import Foundation") == "Foundation")
        #expect(importedModule("let important = 1") == nil)
    }

    private func importedModule(_ line: String) -> String? {
        var words = line.split(separator: " ").map(String.init)
        let modifiers: Set = ["public", "package", "internal", "fileprivate", "private"]
        while let first = words.first, first.hasPrefix("@") || modifiers.contains(first) { words.removeFirst() }
        guard words.count > 1, words.removeFirst() == "import" else { return nil }
        let kinds: Set = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
        if kinds.contains(words[0]) { words.removeFirst() }
        return words.first.map { String($0.prefix { $0 != "." }) }
    }
}
