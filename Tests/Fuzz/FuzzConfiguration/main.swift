// SPDX-License-Identifier: Apache-2.0
// Adit: Fuzz

import FuzzDriver
import FuzzSubjects

// The parser is part of the executable: this target compiles the same files (see Package.swift).
fuzz(
    FuzzSubject(name: "Configuration") { bytes in
        let parsed = ConfigurationFile.parse(bytes, file: "fuzz.toml")
        precondition(parsed.gateway != nil || !parsed.errors.isEmpty, "what is refused is explained")
        precondition(parsed.gateway == nil || parsed.errors.isEmpty, "what has an error is refused")
        for problem in parsed.problems { precondition(!problem.description.contains("\n"), "one line a problem") }
    })
