// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Adit
internal import AditIKE
internal import Synchronization

/// What happened since the start, counted from the gateway's events. Any thread may call it.
final class MetricsCounters: Sendable {
    /// How often something happened to each connection; the empty name stands for peers that fit none.
    struct Counts: Sendable, Equatable {
        var established: [String: UInt64] = [:]
        var childRekeys: [String: UInt64] = [:]
        var ikeRekeys: [String: UInt64] = [:]
        var failures: [String: [String: UInt64]] = [:]
    }

    private let state = Mutex(Counts())

    /// The counts so far.
    var counts: Counts { state.withLock { $0 } }

    /// Counts an event.
    func count(_ event: GatewayEvent) {
        guard case .ike(let report) = event else { return }
        state.withLock { counts in
            switch report {
            case .established(let connection, _): counts.established[connection, default: 0] += 1
            case .childInstalled(let connection, _, _, .some): counts.childRekeys[connection, default: 0] += 1
            case .ikeRekeyed(let connection, _): counts.ikeRekeys[connection, default: 0] += 1
            case .failed(let failure):
                counts.failures[failure.connection ?? "", default: [:]][failure.code.rawValue, default: 0] += 1
            default: break
            }
        }
    }
}
