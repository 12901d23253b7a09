// SPDX-License-Identifier: Apache-2.0
// Adit: Adit

extension Gateway {
    /// The version of this library and of the `adit` command, as `adit --version` and `adit status --json` print it.
    public static let version = "0.1.0"
}
