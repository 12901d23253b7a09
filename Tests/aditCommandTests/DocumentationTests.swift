// SPDX-License-Identifier: Apache-2.0
// Adit: aditCommandTests

import AditIKE
import Foundation
import Testing

@testable import adit

/// The rows of the tables in CONFIGURATION.md by heading: the cells of each, without the quotes of code.
private func tables() throws -> [String: [[String]]] {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..").standardized
    let text = try String(contentsOf: root.appendingPathComponent("CONFIGURATION.md"), encoding: .utf8)
    var tables: [String: [[String]]] = [:]
    var heading = ""
    for line in text.split(separator: "\n") {
        if line.hasPrefix("## ") { heading = String(line.dropFirst(3)) }
        guard line.hasPrefix("| "), !line.hasPrefix("| key "), !line.hasPrefix("| code "), !line.hasPrefix("| status ")
        else { continue }
        let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        tables[heading, default: []].append(cells.map { $0.replacingOccurrences(of: "`", with: "") })
    }
    return tables
}

@Suite struct DocumentationTests {
    @Test(arguments: [
        ("[gateway]", ConfigurationKey.gateway), ("[connections.NAME]", ConfigurationKey.connection),
        ("[connections.NAME.children.CHILD]", ConfigurationKey.child),
    ]) func everyKeyIsDocumentedWithItsDefault(heading: String, keys: [ConfigurationKey]) throws {
        let rows = try #require(try tables()[heading])
        #expect(Set(rows.map { $0[0] }) == Set(keys.map(\.name)))
        #expect(rows.count == keys.count)
        for key in keys {
            let row = try #require(rows.first { $0[0] == key.name })
            #expect(row.count == 4, "\(row)")
            #expect(row[2] == key.defaultText, "\(key.name)")
            #expect(key.unsupported == nil || row[3].hasPrefix("Not supported by this version"), "\(key.name)")
        }
    }

    @Test func everyFailureCodeIsDocumented() throws {
        let rows = try #require(try tables()["Failure codes"])
        #expect(rows.map { $0[0] } == FailureReport.Code.allCases.map(\.rawValue))
    }

    @Test func everyExitStatusIsDocumented() throws {
        #expect(try tables()["Exit status"]?.map { $0[0] } == ["0", "1", "2", "3"])
    }

    @Test func theDocumentedDefaultsOfProposals() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
            .standardized
        let text = try String(contentsOf: root.appendingPathComponent("CONFIGURATION.md"), encoding: .utf8)
        #expect(text.contains("`\(Proposal.defaultIKE[0].suiteDescription)`"))
        let first = Proposal.defaultESP[0].transforms.filter { $0.kind == .encryption }.map(\.keyword)
        #expect(text.contains("`\(first.joined(separator: "-"))`"))
        for word in Proposal.keywords(for: .ike) + Proposal.keywords(for: .esp) where word != "esn" && word != "noesn" {
            #expect(text.contains("`\(word)`"), "\(word)")
        }
    }
}
