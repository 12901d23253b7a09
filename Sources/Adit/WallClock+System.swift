// SPDX-License-Identifier: Apache-2.0
// Adit: Adit

public import AditIKE
internal import Glibc

extension WallClock {
    /// The system's time of day.
    public static let system = WallClock { Int64(time(nil)) }
}
