// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// What a peer asks with MOBIKE (RFC 4555 §3.5 to §3.9).

extension IKEEndpoint {
    /// The peer's IKE_AUTH speaks of MOBIKE, and so do we: what it says is kept; otherwise neither does.
    func settleMobility(_ contents: PayloadContents, _ sa: inout IKESA) {
        guard contents.supportsMobility, sa.mobility != nil else {
            sa.mobility = nil
            return
        }
        sa.mobility?.peerAddresses = contents.additionalAddresses ?? []
    }

    /// What the answer to the peer's IKE_AUTH says of MOBIKE; nil when the peer was refused because of it.
    mutating func acceptMobility(
        _ contents: PayloadContents, _ configuration: ConnectionConfiguration, _ arrival: Arrival, _ sa: inout IKESA
    ) -> [Payload]? {
        guard configuration.mobike, contents.supportsMobility else { return [] }
        guard !contents.isTranslated(local: arrival.local, remote: arrival.remote) else {
            // RFC 4555 §3.9: the initiator begins again.
            answer([.notify(NotifyPayload(.unexpectedNATDetected))], arrival, &sa)
            fail(&sa, addressesTranslated(sa), .linger)
            return nil
        }
        let payloads = offerMobility(configuration, .responder, &sa)
        settleMobility(contents, &sa)
        return payloads
    }

    /// Does what MOBIKE asks in an INFORMATIONAL request; returns what the answer says of it.
    mutating func answerMobility(_ contents: PayloadContents, _ arrival: Arrival, _ sa: inout IKESA) -> [Payload] {
        guard sa.mobility != nil, let configuration = sa.connection.flatMap({ connections[$0]?.configuration }) else {
            return []
        }
        let cookie = contents.routabilityCookie.map { [MobilityNotifies.cookie($0)] } ?? []
        let addresses = contents.additionalAddresses
        let isUpdate = contents.notify(.updateSAAddresses) != nil && !sa.decidesPath
        if isUpdate || addresses != nil, contents.isTranslated(local: arrival.local, remote: arrival.remote) {
            return [.notify(NotifyPayload(.unexpectedNATDetected))] + cookie
        }
        let path = Path(local: arrival.local, remote: arrival.remote)
        if isUpdate, !isAcceptable(path, configuration) {
            return [.notify(NotifyPayload(.unacceptableAddresses))] + cookie
        }
        if let addresses { notePeerAddresses(addresses, path, &sa) }
        if isUpdate { follow(path, contents, arrival, &sa) }
        // RFC 4555 §3.8: asked with NAT detection, answered with it, over the path that the request took.
        guard contents.notify(.natDetectionSourceIP) != nil, sa.natTraversal else { return cookie }
        let detection = NATDetection.payloads(
            initiatorSPI: sa.initiatorSPI, responderSPI: sa.responderSPI, local: path.local, remote: path.remote,
            pretendNAT: configuration.encap)
        return detection + cookie
    }

    /// Whether the peer may have its SAs here: at an address of ours that the connection uses, and at one that a host
    /// can have.
    private func isAcceptable(_ path: Path, _ configuration: ConnectionConfiguration) -> Bool {
        let locals = configuration.localAddresses
        return path.remote.address.isUnicast && path.remote.port != 0
            && (locals.isEmpty || locals.contains(path.local.address))
    }

    /// The peer's complete list (RFC 4555 §3.6).
    private mutating func notePeerAddresses(_ addresses: [IPAddress], _ path: Path, _ sa: inout IKESA) {
        let source = path.remote.address
        let list = addresses.contains(source) ? addresses : [source] + addresses
        sa.mobility?.peerAddresses = list
        // RFC 4555 §3.5: the address in use may be none of the peer's any more.
        guard sa.decidesPath, !list.contains(sa.remote.address) else { return }
        changePath(to: path, &sa)
    }

    /// The initiator moved: the IKE SA at once, its children when the peer has shown that it receives there
    /// (RFC 4555 §3.5, §3.7).
    private mutating func follow(
        _ path: Path, _ contents: PayloadContents, _ arrival: Arrival, _ sa: inout IKESA
    ) {
        noteNAT(contents, arrival, &sa)
        sa.mobility?.lostEnd = nil
        // Also to where only the IKE SA is yet.
        guard path != sa.path || sa.mobility?.isUnverified ?? false else { return }
        if path != sa.path {
            let previous = sa.path
            sa.mobility?.previous = previous
            sa.mobility?.movedAt = now
        }
        sa.mobility?.isUnverified = true
        take(path, children: false, &sa)
        addUrgent(.verifyPeer, &sa)
    }
}
