// SPDX-License-Identifier: Apache-2.0
// Adit: Adit

public import AditIKE

/// An IPsec gateway: a TUN device, UDP sockets, packet threads and a control thread, as one object.
///
/// Several can live in one process. All members may be called from any thread; none waits for the network.
public final class Gateway: Sendable {
    /// Opens the device and the sockets and starts the threads; nothing is left behind when it throws.
    public init(_ configuration: GatewayConfiguration) throws(GatewayError) { fatalError("filled in by the lead") }

    /// What happens, from now on. A slow reader loses the oldest events, never holds the gateway up.
    public func events() -> AsyncStream<GatewayEvent> { fatalError("filled in by the lead") }

    /// Asks the control thread to do something; progress and outcome come as ``events()``.
    public func perform(_ command: IKECommand) { fatalError("filled in by the lead") }

    /// A snapshot.
    public func status() -> GatewayStatus { fatalError("filled in by the lead") }

    /// The last failure of a connection, or of peers that fit none (`nil`).
    public func lastFailure(of connection: String?) -> FailureReport? { fatalError("filled in by the lead") }

    /// Deletes the SAs at the peers, removes routes and interface, ends the threads; returns within 2 s.
    public func stop() { fatalError("filled in by the lead") }
}

/// Something that happened in a gateway.
public enum GatewayEvent: Sendable {
    /// From the IKE machine: one per state transition.
    case ike(IKEReport)
    /// An operational message for the log: a problem of the system, not of a peer.
    case warning(String)
}

/// Why a gateway could not start or go on: one sentence, with the remedy.
public struct GatewayError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Stable words, for programs.
    public enum Code: String, Sendable {
        case permissionDenied = "permission_denied"
        case deviceUnavailable = "device_unavailable"
        case addressInUse = "address_in_use"
        case addressUnavailable = "address_unavailable"
        case systemCall = "system_call"
        case unsupported = "unsupported"
    }

    /// What kind of failure.
    public var code: Code
    /// What failed and what to do about it.
    public var description: String

    /// An error.
    public init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
