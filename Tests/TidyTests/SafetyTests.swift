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
