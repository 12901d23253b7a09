// SPDX-License-Identifier: Apache-2.0
// Adit: AditCryptoTests

import Foundation

/// Published test vectors that lie beside the repository, where they are (`ADIT_SHARED`, else `../shared`).
enum SharedVectors {
    static let directory: String =
        ProcessInfo.processInfo.environment["ADIT_SHARED"]
        ?? URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../../shared")
        .standardizedFileURL.path

    /// Why the tests that need them do not run.
    static let absent = "no shared/vectors beside the repository (set ADIT_SHARED)"
    static var present: Bool { FileManager.default.fileExists(atPath: directory + "/vectors/README.md") }

    /// One file of `vectors`.
    static func data(_ path: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: directory + "/vectors/" + path))
    }

    /// A file of NIST's CAVS text: each case with its `[section = value]` lines; flags such as `FAIL` map to "".
    static func cases(_ path: String, startingWith first: String = "COUNT") throws -> [[String: String]] {
        var cases: [[String: String]] = []
        var sections: [String: String] = [:]
        var inSections = false
        for line in String(decoding: try data(path), as: UTF8.self).split(whereSeparator: \.isNewline) {
            let line = line.trimmingCharacters(in: .whitespaces)
            if line.isEmpty || line.hasPrefix("#") { continue }
            let isSection = line.hasPrefix("[")
            let text = line.trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                .map { $0.trimmingCharacters(in: .whitespaces) }
            let value = parts.count > 1 ? parts[1] : ""
            if isSection {
                if !inSections { sections = [:] }
                sections[parts[0]] = value
            } else if parts[0].uppercased() == first {
                cases.append(sections.merging([parts[0]: value]) { $1 })
            } else if !cases.isEmpty {
                cases[cases.count - 1][parts[0]] = value
            }
            inSections = isSection
        }
        return cases
    }

    /// A file of Wycheproof.
    static func wycheproof(_ name: String) throws -> Wycheproof {
        try JSONDecoder().decode(Wycheproof.self, from: data("wycheproof/" + name))
    }
}

/// The parts of Wycheproof's schemas that these tests read.
struct Wycheproof: Decodable {
    var testGroups: [Group]

    struct Group: Decodable {
        var ivSize: Int?
        var keySize: Int?
        var tagSize: Int?
        var tests: [Case]
    }

    struct Case: Decodable {
        var tcId: Int
        var flags: [String]
        var result: String
        var key: String?
        var iv: String?
        var aad: String?
        var msg: String?
        var ct: String?
        var tag: String?
        var `public`: String?
        var `private`: String?
        var shared: String?
    }
}
