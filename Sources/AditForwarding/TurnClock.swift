// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditLinux
internal import AditWire

/// The time of a turn, asked for where it is first needed.
///
/// After a sleep the way to the system's clock is cold memory, and neither a lone packet's seal and send nor its open
/// and write need the time.
struct TurnClock {
    private var asked: Timestamp?

    /// The time when this was first called.
    mutating func now() -> Timestamp {
        if let asked { return asked }
        let now = MonotonicClock.now()
        asked = now
        return now
    }
}
