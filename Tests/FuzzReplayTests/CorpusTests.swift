// SPDX-License-Identifier: Apache-2.0
// Adit: FuzzReplayTests

import Foundation
import FuzzSubjects
import Testing

/// The fuzzers' corpora as ordinary tests: nothing that was found once comes back. A failure is a trap, which names
/// its line.
@Suite struct CorpusTests {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fuzz/Corpus")

    @Test(arguments: FuzzSubject.all.map(\.name))
    func everyInputIsTaken(_ name: String) throws {
        let subject = try #require(FuzzSubject.all.first { $0.name == name })
        let inputs = try corpus(of: name)
        #expect(!inputs.isEmpty, "there is a corpus")
        for input in inputs { subject.run(input) }
    }

    /// A short walk around each input, the same every time: what libFuzzer would try first.
    @Test(arguments: FuzzSubject.all.map(\.name))
    func everyInputIsTakenBent(_ name: String) throws {
        let subject = try #require(FuzzSubject.all.first { $0.name == name })
        var generator = SystemIndependentGenerator(state: 1)
        for input in try corpus(of: name).prefix(32) {
            for length in 0..<min(input.count, 64) { subject.run(Array(input.prefix(length))) }
            for _ in 0..<64 where !input.isEmpty {
                var bent = input
                for _ in 0..<Int.random(in: 1...3, using: &generator) {
                    bent[Int.random(in: 0..<bent.count, using: &generator)] = UInt8.random(
                        in: 0...255, using: &generator)
                }
                subject.run(bent)
            }
        }
    }

    /// `ADIT_WRITE_SEEDS=1 swift test --filter CorpusTests` writes the seeds anew.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["ADIT_WRITE_SEEDS"] == "1", "only when asked to"))
    func seedsAreWritten() throws {
        for subject in FuzzSubject.all {
            let folder = Self.folder.appendingPathComponent(subject.name)
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            for seed in subject.seeds() { try Data(seed.bytes).write(to: folder.appendingPathComponent(seed.name)) }
        }
    }

    private func corpus(of name: String) throws -> [[UInt8]] {
        let folder = Self.folder.appendingPathComponent(name)
        return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().map {
            Array(try Data(contentsOf: folder.appendingPathComponent($0)))
        }
    }
}

/// A generator that gives the same numbers everywhere (xorshift64).
struct SystemIndependentGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
