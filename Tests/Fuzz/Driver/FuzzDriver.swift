// SPDX-License-Identifier: Apache-2.0
// Adit: Fuzz

public import FuzzSubjects
import Glibc

private typealias Callback = @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt

/// libFuzzer's loop. SwiftPM renames an executable's main, so the library's own main cannot be used.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ argumentCount: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>, _ callback: Callback
) -> CInt

// Set once before libFuzzer's loop starts, which runs on this thread only.
nonisolated(unsafe) private var subject: FuzzSubject?

/// Fuzzes `chosen` as the command line says, and ends the process; a trap is a finding.
public func fuzz(_ chosen: FuzzSubject) -> Never {
    subject = chosen
    var count = CommandLine.argc
    var arguments = CommandLine.unsafeArgv
    exit(
        runDriver(&count, &arguments) { bytes, length in
            subject?.run(Array(UnsafeBufferPointer(start: bytes, count: length)))
            return 0
        })
}
