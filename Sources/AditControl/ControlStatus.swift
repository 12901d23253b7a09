// SPDX-License-Identifier: Apache-2.0
// Adit: AditControl

package import AditIKE
package import AditWire

/// What the control thread knows, at one moment.
package struct ControlStatus: Sendable {
    /// When it was taken.
    package var now: Timestamp
    /// Every configured connection.
    package var connections: [ConnectionStatus]
    /// The TUN device's MTU.
    package var mtu: Int
    /// Failures of peers that fit no connection: the last one.
    package var lastUnmatchedFailure: FailureReport?
}
