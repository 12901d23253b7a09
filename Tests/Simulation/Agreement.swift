// SPDX-License-Identifier: Apache-2.0
// Adit: Simulation

import AditCrypto
import AditESP
import AditIKE
import AditWire

/// Whether two gateways have the same SAs, mirrored.
package enum Agreement {
    /// What they do not agree on; nil when all is the same.
    package static func difference(_ left: SimulatedGateway, _ right: SimulatedGateway) -> String? {
        let ours = left.dataPlane.pairs.values.map(\.installation)
        let theirs = right.dataPlane.pairs.values.map(\.installation)
        guard ours.count == theirs.count else { return "\(ours.count) pairs of SAs against \(theirs.count)" }
        for pair in ours {
            guard
                let other = theirs.first(where: {
                    $0.inboundSPI == pair.outboundSPI && $0.outboundSPI == pair.inboundSPI
                })
            else { return "no counterpart of \(pair.inboundSPI)" }
            guard other.inboundKey == pair.outboundKey, other.outboundKey == pair.inboundKey else {
                return "the keys of \(pair.inboundSPI) differ"
            }
            guard other.localSelectors == pair.remoteSelectors, other.remoteSelectors == pair.localSelectors else {
                return "the selectors of \(pair.inboundSPI) differ"
            }
            guard other.suite == pair.suite, other.esn == pair.esn else {
                return "the suites of \(pair.inboundSPI) differ"
            }
        }
        let statuses = [left, right].map { $0.status()?.ikeSA }
        guard statuses[0]?.initiatorSPI == statuses[1]?.initiatorSPI,
            statuses[0]?.responderSPI == statuses[1]?.responderSPI
        else { return "the two sides use different IKE SAs" }
        return nil
    }
}
