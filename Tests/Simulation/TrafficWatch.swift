// SPDX-License-Identifier: Apache-2.0
// Adit: Simulation

import AditIKE
import AditWire

/// Follows every probe: what the network loses is the network's, but a gateway that has no SA to send on, or cannot
/// open what its peer sent, is a gap. A gap is excused only while there is a reason for it.
package struct TrafficWatch {
    /// The traffic of one child in one direction.
    package struct Flow: Hashable, Sendable {
        package let sender: Int
        package let connection: String
        package let child: String
    }

    package private(set) var problems: [String] = []
    /// Probes that were opened by the other side.
    package private(set) var delivered: [Flow: Int] = [:]
    /// Gaps that were excused, in probes.
    package private(set) var excused = 0
    /// How long traffic may go to where a NAT does not take it to its receiver any more.
    package var reboundLimit: Duration = .seconds(30)
    private var excusedUntil = Timestamp(nanoseconds: .max)
    private var excusedChildren: [String: Timestamp] = [:]
    private var flows: [UInt64: Flow] = [:]
    private var next: UInt64 = 0

    package init() {}

    /// How many probes were sent, of all flows.
    package var total: Int { Int(next) }

    /// How many probes arrived, of all flows.
    package var deliveredCount: Int { delivered.values.reduce(0, +) }

    /// From now on every gap is a fault.
    package mutating func demand() {
        excusedUntil = Timestamp(nanoseconds: 0)
        excusedChildren = [:]
    }

    /// Gaps are nobody's fault before this.
    package mutating func excuse(until time: Timestamp) { excusedUntil = max(excusedUntil, time) }

    /// Gaps in the traffic of one child are nobody's fault before this.
    package mutating func excuse(_ child: String, until time: Timestamp) {
        excusedChildren[child] = max(excusedChildren[child] ?? time, time)
    }

    /// Forgets what arrived.
    package mutating func reset() {
        delivered = [:]
        flows = [:]
    }

    mutating func begin(_ flow: Flow) -> UInt64 {
        next += 1
        flows[next] = flow
        return next
    }

    mutating func deliver(_ number: UInt64, _ letter: Letter, at time: Timestamp) {
        if letter.probe != nil, letter.probe != number { problems.append("a probe was changed on the way") }
        guard let flow = flows.removeValue(forKey: number) else { return }
        delivered[flow, default: 0] += 1
    }

    mutating func fail(_ number: UInt64, _ reason: String, at time: Timestamp) {
        gap(reason, flows.removeValue(forKey: number), at: time)
    }

    mutating func refuse(_ letter: Letter, _ reason: String, at time: Timestamp) {
        guard let number = letter.probe else { return }
        // The other copy of a probe that the network doubled may have been opened long ago.
        guard let flow = flows.removeValue(forKey: number) else { return }
        gap(reason, flow, at: time)
    }

    /// A packet for an endpoint that a NAT has not, at which its receiver is not to be found since `left`.
    mutating func lostAtNAT(_ letter: Letter, _ left: Timestamp?, at time: Timestamp) {
        guard letter.kind == .esp, let left, time - left > reboundLimit else { return }
        let flow = letter.probe.flatMap { flows[$0] }
        gap("traffic goes to a NAT mapping that is gone since \(time - left)", flow, at: time)
    }

    /// A gateway that gave its peer up has a reason for a gap, for as long as it takes to come back.
    mutating func hear(_ report: IKEReport, at time: Timestamp) {
        guard case .failed(let failure) = report else { return }
        switch failure.code {
        case .deadPeer, .timeout, .peerUnreachable: excuse(until: time + Self.recovery)
        default: break
        }
    }

    private mutating func gap(_ reason: String, _ flow: Flow?, at time: Timestamp) {
        let limit = max(excusedUntil, flow.flatMap { excusedChildren[$0.child] } ?? excusedUntil)
        guard time >= limit else {
            excused += 1
            return
        }
        guard problems.count < Self.problemLimit else { return }
        problems.append("at \(time.nanoseconds / 1_000_000) ms a gap: \(reason)")
    }

    /// What an attempt takes at the most that nothing disturbs any more: back-off, handshake, the other children.
    static let recovery: Duration = .seconds(150)
    private static let problemLimit = 5
}
