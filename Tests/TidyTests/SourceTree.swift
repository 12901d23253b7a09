// SPDX-License-Identifier: Apache-2.0
// Adit: TidyTests

import Foundation

/// A text file of the repository.
struct SourceFile {
    /// The path below the repository's root.
    let path: String
    /// The lines, without their ends.
    let lines: [String]

    /// The target's folder name for a file in `Sources` or `Tests`: `Sources/AditWire/SPI.swift` gives `AditWire`.
    var target: String {
        let parts = path.split(separator: "/")
        return parts.count > 2 ? String(parts[1]) : ""
    }

    /// The file name without its extension.
    var name: String { ((path as NSString).lastPathComponent as NSString).deletingPathExtension }

    /// The lines with string literals emptied and comments removed; line numbers stay true.
    var code: [String] {
        var inLongString = false
        return lines.map { line in
            let quotes = line.components(separatedBy: "\"\"\"").count - 1
            defer { if quotes % 2 == 1 { inLongString.toggle() } }
            if inLongString { return "" }
            return stripped(quotes > 0 ? line.components(separatedBy: "\"\"\"")[0] : line)
        }
    }

    private func stripped(_ line: String) -> String {
        var result = ""
        var inString = false
        var previous: Character = " "
        var escaped = false
        for character in line {
            if inString {
                if escaped {
                    escaped = false
                } else if character == "\\" {
                    escaped = true
                } else if character == "\"" {
                    inString = false
                    result.append(character)
                }
            } else if character == "/" && previous == "/" {
                result.removeLast()
                break
            } else {
                if character == "\"" { inString = true }
                result.append(character)
            }
            previous = character
        }
        return result
    }
}

/// The repository as files; everything else in this target is a rule over it.
enum SourceTree {
    /// The repository's root, from where this file lies.
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The library targets and the executable.
    static let sources = files(below: "Sources", withExtension: ["swift"])
    /// Every Swift file that is ours.
    static let swift =
        sources + files(below: "Tests", withExtension: ["swift"]) + files(below: "Benchmarks", withExtension: ["swift"])
    /// Every text file of the repository, whatever its kind, but for licence texts.
    static let everything =
        swift + files(below: "scripts", withExtension: nil) + files(below: ".ci", withExtension: nil)
        + files(below: "Tests", withExtension: ["py", "txt", "toml", "conf", "md"])
        + files(below: "Sources", withExtension: ["c", "h", "md", "modulemap"])
        + files(below: "docs", withExtension: ["md"]) + files(below: "", withExtension: ["md", "swift"], deep: false)

    /// Files below a folder, in path order; hidden ones and build folders are left out.
    private static func files(below folder: String, withExtension extensions: [String]?, deep: Bool = true)
        -> [SourceFile]
    {
        let start = folder.isEmpty ? root : root.appendingPathComponent(folder)
        let manager = FileManager.default
        let names =
            deep
            ? manager.enumerator(atPath: start.path)?.compactMap { $0 as? String } ?? []
            : (try? manager.contentsOfDirectory(atPath: start.path)) ?? []
        return names.sorted().compactMap { name in
            let hidden = name.split(separator: "/").contains { $0.hasPrefix(".") || $0 == "__pycache__" }
            let suffix = (name as NSString).pathExtension
            guard !hidden, extensions?.contains(suffix) ?? true else { return nil }
            let file = start.appendingPathComponent(name)
            let isLink = (try? manager.destinationOfSymbolicLink(atPath: file.path)) != nil
            guard !isLink, let text = try? String(contentsOf: file, encoding: .utf8) else { return nil }
            let path = folder.isEmpty ? name : "\(folder)/\(name)"
            var lines = text.components(separatedBy: "\n")
            if lines.last == "" { lines.removeLast() }
            return SourceFile(path: path, lines: lines)
        }
    }
}

/// Where each line of `files` that `rule` objects to stands, as `path:line: what`.
func objections(in files: [SourceFile], codeOnly: Bool = true, _ rule: (SourceFile, String) -> String?) -> [String] {
    files.flatMap { file in
        (codeOnly ? file.code : file.lines).enumerated().compactMap { index, line in
            rule(file, line).map { "\(file.path):\(index + 1): \($0)" }
        }
    }
}

/// One message that names every violation.
func list(_ violations: [String]) -> String { "\n" + violations.joined(separator: "\n") }
