// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

/// The two ends of the datagrams of an IKE SA.
struct Path: Hashable, Sendable {
    var local: Endpoint
    var remote: Endpoint
}

/// What an IKE SA knows when both sides speak MOBIKE (RFC 4555); its successors inherit it.
struct Mobility: Sendable {
    /// Who began the first of the IKE SAs: the initiator decides which addresses are used (RFC 4555 §1.3, §2.1).
    let role: IKEReport.Role
    /// The peer's addresses beside the one that it sent them from (RFC 4555 §3.4, §3.6).
    var peerAddresses: [IPAddress] = []
    /// Our addresses beside the one in use, as we told the peer last.
    var announced: [IPAddress] = []
    /// The hash of our end as the peer saw it when a path was agreed; nil when none is known (RFC 4555 §3.8).
    var seenAs: [UInt8]?
    /// The path before the present one, and when it was left.
    var previous: Path?
    var movedAt: Timestamp?
    /// Responder: our end as it was agreed, while we have lost it and the peer goes on writing there.
    var lostEnd: Endpoint?
    /// Responder: whether the Child SAs still wait for the return routability check of the path (RFC 4555 §3.7).
    var isUnverified = false
    /// Paths that the peer refused since our addresses last changed; ``refusedLimit`` at the most.
    var refused: [Path] = []
    /// How often in a row the peer found that our addresses were changed on their way (RFC 4555 §3.9).
    var translations = 0
    /// Where the outstanding request went besides the path in use; ``probeLimit`` at the most.
    var probed: [Path] = []
    /// Since when no path leads to any of the peer's addresses.
    var offlineSince: Timestamp?

    init(role: IKEReport.Role) { self.role = role }

    /// Addresses that a peer can have beside the one in use; what it lists beyond them is left out.
    static let peerAddressLimit = 16
    /// Addresses that we tell a peer at the most.
    static let announcementLimit = 8
    /// Paths beside the one in use that a request is sent over at the most.
    static let probeLimit = 8
    static let refusedLimit = 16
    /// New requests after UNEXPECTED_NAT_DETECTED before the path counts as refused (RFC 4555 §3.9).
    static let translationLimit = 3
}

/// An INFORMATIONAL exchange of MOBIKE that waits for its response.
struct MobilityExchange: Sendable {
    let purpose: Purpose
    /// The path that it was first sent over; another one by the time of the response means that it says nothing.
    let path: Path
    /// What the peer has to send back (RFC 4555 §3.7).
    let cookie: [UInt8]

    /// What an exchange is for.
    enum Purpose: Equatable, Sendable {
        /// The initiator moves the IKE SA and its children (RFC 4555 §3.5).
        case update
        /// Our other addresses changed (RFC 4555 §3.6).
        case announce
        /// The responder checks that the initiator receives at its new address (RFC 4555 §3.7).
        case verify
    }

    /// The task that asks this again.
    var task: IKETask {
        switch purpose {
        case .update: .updateAddresses
        case .announce: .announceAddresses
        case .verify: .verifyPeer
        }
    }
}

extension IKESA {
    /// The path in use.
    var path: Path { Path(local: local, remote: remote) }

    /// Whether we decide about the addresses of an IKE SA with MOBIKE.
    var decidesPath: Bool { mobility?.role == .initiator }
}
