// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

/// A pair of ESP SAs as its IKE SA keeps it.
struct ChildSA: Sendable {
    /// Which of the connection's children it is.
    let child: ChildID
    let inbound: SPI
    let outbound: SPI
    /// The suite in swanctl's keywords.
    let proposal: String
    let esn: Bool
    /// What was agreed, what was asked for (by whichever side began), and what is let through of it.
    let localSelectors: [TrafficSelector]
    let remoteSelectors: [TrafficSelector]
    let asked: SelectorPair
    let passed: SelectorPair
    let installedAt: Timestamp
    /// When packets were last seen to pass, or its predecessor's time.
    var lastTraffic: Timestamp
    var rekeyAt: Timestamp?
    /// Whether we send on it; false after a rekey by the peer, until the peer shows that it receives on it.
    var outboundActive: Bool
    /// Whether we asked for it.
    let weInitiated: Bool
    /// The SA that this one replaces.
    var replaces: SPI?
    var phase = Phase.installed
    /// The IKE SA that it belonged to, and went without it.
    var leftBy: IKESPI?

    /// Where it stands.
    enum Phase: Equatable, Sendable {
        case installed
        /// Replaced by the SA with this inbound SPI, which the peer created; the peer deletes this one.
        case superseded(by: SPI)
        /// We asked the peer to delete it, or are about to.
        case deleting
        /// Replaced and deleted at the peer; it still receives what is under way.
        case draining
    }
}

extension ChildSA {
    /// Whether it carries all that was agreed.
    func covers(_ agreement: ChildAgreement) -> Bool {
        SelectorPair(local: localSelectors, remote: remoteSelectors)
            .covers(SelectorPair(local: agreement.local, remote: agreement.remote))
    }
}

/// Something that an IKE SA will ask of its peer as soon as the window is free.
enum IKETask: Equatable, Sendable {
    /// Create this child.
    case createChild(ChildID)
    /// Replace the Child SA with this inbound SPI.
    case rekeyChild(SPI)
    /// Delete these Child SAs.
    case deleteChildren([SPI])
    /// Replace the IKE SA.
    case rekeyIKE
    /// Ask whether the peer lives.
    case liveness
    /// Tell the peer that the path changed (RFC 4555 §3.5).
    case updateAddresses
    /// Tell the peer our other addresses (RFC 4555 §3.6).
    case announceAddresses
    /// Check that the peer receives where it says it is (RFC 4555 §3.7).
    case verifyPeer
}

extension IKETask {
    /// The Child SA that the peer must know for this.
    var childSPI: SPI? {
        switch self {
        case .rekeyChild(let spi): spi
        case .deleteChildren(let spis): spis.first
        case .createChild, .rekeyIKE, .liveness, .updateAddresses, .announceAddresses, .verifyPeer: nil
        }
    }
}
