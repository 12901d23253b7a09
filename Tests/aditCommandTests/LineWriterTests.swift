// SPDX-License-Identifier: Apache-2.0
// Adit: aditCommandTests

import Foundation
import Glibc
import Synchronization
import Testing

@testable import adit

/// Somebody who reads lines, or does not.
private final class Reader: Sendable {
    let lines = Mutex<[String]>([])
    let gate = Mutex(())

    func take(_ line: String) {
        gate.withLock { _ in }
        lines.withLock { $0.append(line) }
    }
}

@Suite(.timeLimit(.minutes(1))) struct LineWriterTests {
    private func writer(_ reader: Reader) -> LineWriter {
        LineWriter(output: reader.take) { "\($0) lost\n" }
    }

    @Test func linesComeInTheirOrder() {
        let reader = Reader()
        let writer = writer(reader)
        for index in 0..<500 { writer.write("\(index)\n") }
        writer.flush(within: .seconds(20))
        #expect(reader.lines.withLock { $0 } == (0..<500).map { "\($0)\n" })
    }

    @Test func whoLogsNeverWaitsAndWhatIsLostIsCounted() {
        let reader = Reader()
        let writer = writer(reader)
        let sent = 3 * LineWriter.lineLimit
        reader.gate.withLock { _ in
            let start = ContinuousClock.now
            for index in 0..<sent { writer.write("\(index)\n") }
            writer.flush(within: .milliseconds(50))
            #expect(start.duration(to: .now) < .seconds(10))
        }
        writer.write("last\n")
        writer.flush(within: .seconds(20))
        let lines = reader.lines.withLock { $0 }
        let lost = lines.filter { $0.hasSuffix(" lost\n") }.compactMap { Int($0.dropLast(6)) }
        // The writer may have begun before some were lost, or after: it tells of each batch.
        #expect((1...2).contains(lost.count), "\(lost)")
        #expect(lines.count - lost.count - 1 + lost.reduce(0, +) == sent, "\(lost)")
        #expect(lines.count <= 2 * LineWriter.lineLimit + 3 && lines.first == "0\n")
    }

    @Test func manyBytesAreAsManyLines() {
        let reader = Reader()
        let writer = writer(reader)
        let line = String(repeating: "x", count: LineWriter.byteLimit / 4)
        reader.gate.withLock { _ in for _ in 0..<20 { writer.write(line) } }
        writer.flush(within: .seconds(20))
        #expect(reader.lines.withLock { $0.filter { $0.hasSuffix(" lost\n") }.count } >= 1)
        #expect(reader.lines.withLock { $0.filter { $0 == line }.count } <= 9)
    }

    @Test func aPipeThatNobodyReadsHoldsNobodyUp() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        // It stays open: the writing thread waits in it for as long as the process lives.
        let pipe = ends
        let writer = LineWriter(
            output: { line in _ = Array(line.utf8).withUnsafeBytes { Glibc.write(pipe[1], $0.baseAddress, $0.count) } },
            note: { "\($0)\n" })
        let start = ContinuousClock.now
        for _ in 0..<5000 { writer.write(String(repeating: "x", count: 1000)) }
        writer.flush(within: .milliseconds(500))
        #expect(start.duration(to: .now) < .seconds(10))
    }
}
