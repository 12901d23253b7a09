// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// Signs of life and changes of address (RFC 7296 §2.4, §2.23).

extension IKEEndpoint {
    /// A fresh authenticated message arrived on an IKE SA.
    mutating func noteInbound(_ arrival: Arrival, _ sa: inout IKESA) {
        guard sa.session != nil else { return }
        sa.session?.lastInbound = now
        sa.session?.suspicion = nil
        sa.movedUnannounced = false
        // RFC 7296 §2.23: only new messages move the peer; responses may have taken an older path.
        // RFC 4555 §3.8: with MOBIKE nothing but UPDATE_SA_ADDRESSES does.
        guard !arrival.header.isResponse, sa.mobility == nil else { return }
        move(&sa, local: arrival.local, remote: arrival.remote)
    }

    /// Authenticated traffic arrived on a Child SA.
    mutating func noteActivity(_ spi: SPI) {
        guard let owner = childOwners[spi] else { return }
        withIKESA(owner) { endpoint, sa in
            guard let index = sa.session?.index(inbound: spi) else { return }
            // A suspicion stays: what the data plane tells can be a second old, and a peer that lives answers.
            sa.session?.lastInbound = endpoint.now
            if sa.session?.unconfirmed?.inbound == spi {
                sa.session?.unconfirmed = nil
                endpoint.reviewHandovers(sa)
            }
            // RFC 7296 §2.8: the peer sends on it, so it receives on it; one that is to go is no successor.
            let phase = sa.session?.children[index].phase
            if phase != .deleting, phase != .draining { endpoint.activateOutbound(at: index, &sa) }
            if let child = sa.session?.children[index] { endpoint.follow(child, &sa) }
        }
    }

    /// From now on a Child SA is sent on.
    mutating func activateOutbound(at index: Int, _ sa: inout IKESA) {
        guard let children = sa.session?.children, !children[index].outboundActive else { return }
        let child = children[index]
        // Of several that were replaced one after the other, an older one never takes over from a newer one.
        var replaced = [child.inbound]
        for later in children[index...] where later.replaces.map({ replaced.contains($0) }) ?? false {
            guard !later.outboundActive else { return }
            replaced.append(later.inbound)
        }
        guard !isOvertaken(child, sa) else { return }
        sa.session?.children[index].outboundActive = true
        effects.append(.activateOutbound(inboundSPI: child.inbound))
    }

    /// Whether what `child` replaced within its IKE SA has meanwhile been replaced by one that we send on, of an IKE SA
    /// that was authenticated anew: the IKE SA of `child` is about to go.
    private func isOvertaken(_ child: ChildSA, _ sa: IKESA) -> Bool {
        guard let before = child.replaces, childOwners[before] == sa.spi else { return false }
        return rivals(of: sa).contains { spi in
            ikeSAs[spi]?.session?.children.contains {
                $0.replaces == before && $0.outboundActive && $0.phase == .installed
            } ?? false
        }
    }

    /// The newest authenticated packet of a Child SA came from another address.
    mutating func peerMoved(_ spi: SPI, to remote: Endpoint) {
        guard let owner = childOwners[spi] else { return }
        withIKESA(owner) { endpoint, sa in
            guard sa.session?.index(inbound: spi) != nil else { return }
            // ESP goes over the NAT traversal port, and so does IKE when both share a path.
            guard sa.local.port == endpoint.limits.natPort else { return }
            if sa.mobility != nil {
                endpoint.peerSentFrom(remote, &sa)
            } else {
                endpoint.move(&sa, local: sa.local, remote: remote)
            }
        }
    }

    private mutating func move(_ sa: inout IKESA, local: Endpoint, remote: Endpoint) {
        guard remote != sa.remote, let id = sa.connection, let configuration = connections[id]?.configuration else {
            return
        }
        // RFC 7296 §2.23: a host behind a NAT does not follow; nor do we where the peer's place is fixed.
        guard !sa.localBehindNAT, sa.remoteBehindNAT || configuration.remoteAddresses.isEmpty else {
            testPath(&sa)
            return
        }
        sa.remote = remote
        if !local.address.isUnspecified { sa.local = local }
        childrenFollow(&sa)
    }

    /// Starts the clock after which the peer is asked whether it lives, or stops it.
    mutating func watchLiveness(_ configuration: ConnectionConfiguration, _ sa: inout IKESA) {
        guard configuration.dpdDelay > .zero else {
            sa.session?.livenessDelay = nil
            timers.cancel(.liveness(sa.spi))
            return
        }
        // Tunnels that came up together do not ask together for ever.
        let delay = near(configuration.dpdDelay)
        sa.session?.livenessDelay = delay
        timers.set(.liveness(sa.spi), at: now + delay)
    }

    /// The liveness timer ran out: the peer is asked when nothing came from it for that long.
    mutating func checkLiveness(_ spi: IKESPI) {
        withIKESA(spi) { endpoint, sa in
            guard let session = sa.session, let delay = session.livenessDelay else { return }
            let due = session.lastInbound + delay
            guard due <= endpoint.now else {
                endpoint.timers.set(.liveness(spi), at: due)
                return
            }
            endpoint.timers.set(.liveness(spi), at: endpoint.now + delay)
            // An outstanding request is a liveness check already.
            if sa.window.outstanding == nil { endpoint.addTask(.liveness, &sa) }
        }
    }

    /// RFC 3948 §4: a NAT before us keeps its mapping.
    mutating func sendKeepalive(_ spi: IKESPI) {
        withIKESA(spi) { endpoint, sa in
            guard sa.session != nil, sa.localBehindNAT else { return }
            endpoint.effects.append(.sendKeepalive(local: sa.local, remote: sa.remote))
            endpoint.timers.set(.keepalive(spi), at: endpoint.now + endpoint.limits.keepaliveInterval)
        }
    }
}
