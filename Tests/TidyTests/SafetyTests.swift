// SPDX-License-Identifier: Apache-2.0
// Adit: TidyTests

import Testing

/// What can crash, race or leak: CONTRIBUTING.md, "Errors" and "Unsafe".
@Suite struct SafetyTests {
    @Test func nothingIsForced() {
        let violations = objections(in: SourceTree.sources) { _, line in
            if line.contains("try!") { return "try!" }
            if line.contains(" as! ") { return "as!" }
            return forcedUnwrap(line) ? "a force unwrap" : nil
        }
        #expect(violations.isEmpty, "\(list(violations))")
    }

    @Test func librariesDoNotPrint() {
        let violations = objections(in: SourceTree.sources.filter { $0.target != "adit" }) { _, line in
            line.contains(/(^|[^A-Za-z0-9_.])(print|debugPrint|dump)\(/) ? "prints" : nil
        }
        #expect(violations.isEmpty, "\(list(violations))")
    }

    @Test func filesWithPointersSayWhyTheyAreSafe() {
        let violations = SourceTree.sources.filter { file in
            file.code.contains { $0.contains(/Unsafe[A-Za-z]*Pointer|OpaquePointer|@unchecked/) }
                && !file.lines.contains { $0.contains("SAFETY") }
        }.map { "\($0.path): pointers or @unchecked, and no `// SAFETY:` line" }
        #expect(violations.isEmpty, "\(list(violations))")
    }

    /// A `Mutex` that is free makes no call, so that no count of locks sees it (scripts/hotpath): it is kept away by
    /// name.
    @Test func thePacketPathHasNoLock() {
        let modules = ["AditESP", "AditForwarding", "AditLinux"]
        // Starting threads, resolving names, and the lock for such as these.
        let cold = ["LockedState.swift", "NameResolver.swift", "PinnedThread.swift"].map { "Sources/AditLinux/\($0)" }
        let path = SourceTree.sources.filter { modules.contains($0.target) && !cold.contains($0.path) }
        let violations = objections(in: path) { _, line in lock(in: line).map { "locks with \($0)" } }
        #expect(violations.isEmpty, "\(list(violations))")
        #expect(path.count > 50 && cold.allSatisfy { name in SourceTree.sources.contains { $0.path == name } })
        #expect(lock(in: "private let state: Mutex<Int>") == "Mutex")
        #expect(lock(in: "let lock = NSLock()") == "NSLock")
        #expect(lock(in: "import Synchronization") == nil)
    }

    private func lock(in line: String) -> String? {
        line.firstMatch(of: /\b(Mutex|LockedState|NSLock|NSRecursiveLock|DispatchQueue|pthread_[a-z]+_(try)?lock)\b/)
            .map { String($0.1) }
    }

    @Test func nothingIsLeftToDo() {
        let words = ["TO" + "DO", "FIX" + "ME", "filled in by the", "not implemented", "not yet implemented"]
        let violations = objections(in: SourceTree.everything, codeOnly: false) { file, line in
            file.path.hasPrefix("Tests/TidyTests/") ? nil : words.first { line.contains($0) }
        }
        #expect(violations.isEmpty, "\(list(violations))")
    }

    @Test func nothingNamesAMachine() {
        let paths = ["/wo" + "rk/", "/tmp/" + "team", "/ro" + "ot/", "/home" + "/", "/ho" + "st/"]
        let violations = objections(in: SourceTree.everything, codeOnly: false) { _, line in
            paths.first { line.contains($0) }.map { "names \($0)" }
        }
        #expect(violations.isEmpty, "\(list(violations))")
    }

    @Test func forcedUnwrapsAreRecognised() {
        #expect(forcedUnwrap("let a = b!"))
        #expect(forcedUnwrap("f(b!.c)"))
        #expect(forcedUnwrap("var x: Int!"))
        #expect(forcedUnwrap("a[0]! + 1"))
        #expect(!forcedUnwrap("a != b && !c"))
        #expect(!forcedUnwrap("guard !a, !(b) else { }"))
    }

    private func forcedUnwrap(_ line: String) -> Bool { line.contains(/[A-Za-z0-9_)\]>"]!($|[^=])/) }
}
