// SPDX-License-Identifier: Apache-2.0
// Adit: AditControl

package import AditESP
package import AditIKE
package import AditWire

/// What the control thread knows, at one moment.
package struct ControlStatus: Sendable {
    /// When it was taken.
    package var now: Timestamp
    /// Every configured connection.
    package var connections: [ConnectionStatus]
    /// How much IKE keeps, and what it ignored.
    package var totals: IKETotals
    /// Packet counters of the Child SAs of ``connections``, by inbound SPI: the SA table is the control thread's to
    /// read.
    package var traffic: [SPI: SACounters]
    /// The TUN device's MTU.
    package var mtu: Int
    /// Failures of peers that fit no connection: the last one.
    package var lastUnmatchedFailure: FailureReport?
}
