// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditCrypto
internal import AditWire

// What IKE_AUTH and CREATE_CHILD_SA have in common: offering, accepting and installing a Child SA (RFC 7296 §1.2, §1.3,
// §2.17).

/// What both sides agreed for a Child SA.
struct ChildAgreement: Sendable {
    let child: ChildID
    let choice: ProposalChoice
    let outbound: SPI
    let local: [TrafficSelector]
    let remote: [TrafficSelector]
    /// What the side that began asked for, or what the SA that is replaced was asked for.
    let asked: SelectorPair
    /// Whether ADDITIONAL_TS_POSSIBLE is due.
    var additionalPossible = false
}

/// Why a Child SA was refused: what the peer is told, and what people are told.
struct ChildRefusal: Error {
    let notify: NotifyPayload
    var report: FailureReport?
}

/// The keys' ingredients of a Child SA, and which side of the exchange we are.
struct ChildKeying {
    let initiatorNonce: [UInt8]
    let responderNonce: [UInt8]
    var secret: SecretBytes?
    let weInitiated: Bool
}

extension IKEEndpoint {
    /// The proposals of a child as they are offered or accepted.
    func childProposals(_ child: ChildConfiguration, keyExchange: Bool) -> [Proposal] {
        child.proposals.map { proposal in
            (keyExchange ? proposal : proposal.withoutKeyExchange).withSequenceNumbers(extended: child.esn)
        }
    }

    /// Judges a peer's request for a Child SA; `rekeying` is the SA that it replaces.
    func agree(
        _ contents: PayloadContents, _ configuration: ConnectionConfiguration, rekeying: ChildSA?,
        keyExchange: Bool, _ sa: IKESA
    ) throws(ChildRefusal) -> ChildAgreement {
        guard let offer = contents.securityAssociation, let theirs = contents.initiatorSelectors,
            let ours = contents.responderSelectors
        else { throw ChildRefusal(notify: NotifyPayload(.invalidSyntax)) }
        let stage: FailureReport.Stage = keyExchange ? .createChildSA : .ikeAuth
        let narrowed = try narrow(ours, theirs, configuration, rekeying, stage, sa)
        let selection = ProposalSelection(
            childProposals(narrowed.configuration, keyExchange: keyExchange), allowLegacy: configuration.allowLegacy)
        let choice: ProposalChoice
        do throws(ProposalMismatch) {
            choice = try selection.choose(from: offer, sentGroup: contents.keyExchange?.group)
        } catch {
            throw ChildRefusal(
                notify: NotifyPayload(.noProposalChosen),
                report: noProposal(configuration.name, stage, error, sa.remote))
        }
        guard let outbound = choice.espSPI else { throw ChildRefusal(notify: NotifyPayload(.invalidSyntax)) }
        if let group = choice.group, contents.keyExchange?.group != group.transformID {
            // RFC 7296 §1.3: the group that we want, in two octets.
            throw ChildRefusal(
                notify: NotifyPayload(.invalidKEPayload, data: ProposalSelection.invalidKEData(group)))
        }
        return ChildAgreement(
            child: narrowed.child, choice: choice, outbound: outbound, local: narrowed.selectors.local,
            remote: narrowed.selectors.remote,
            asked: rekeying?.asked ?? SelectorPair(local: ours, remote: theirs),
            additionalPossible: narrowed.selectors.additionalPossible)
    }

    private func narrow(
        _ ours: [TrafficSelector], _ theirs: [TrafficSelector], _ configuration: ConnectionConfiguration,
        _ rekeying: ChildSA?, _ stage: FailureReport.Stage, _ sa: IKESA
    ) throws(ChildRefusal) -> (child: ChildID, configuration: ChildConfiguration, selectors: NarrowedSelectors) {
        guard let children = sa.connection.flatMap({ connections[$0]?.children }) else {
            throw ChildRefusal(notify: NotifyPayload(.temporaryFailure))
        }
        do throws(TrafficSelectorMismatch) {
            if let rekeying, let child = children[rekeying.child] {
                let selectors = try TrafficSelectorNarrowing.narrow(
                    requestedLocal: ours, requestedRemote: theirs, configuredLocal: child.offeredLocalSelectors,
                    configuredRemote: child.offeredRemoteSelectors)
                return (rekeying.child, child, selectors)
            }
            let (index, selectors) = try TrafficSelectorNarrowing.choose(
                among: configuration.children, requestedLocal: ours, requestedRemote: theirs)
            _ = try configuration.children[index].passed(of: selectors)
            return (children.ids[index], configuration.children[index], selectors)
        } catch {
            throw ChildRefusal(
                notify: NotifyPayload(.tsUnacceptable),
                report: selectorsUnacceptable(configuration.name, stage, error, sa.remote))
        }
    }

    /// Judges a peer's answer to our request for a Child SA.
    func check(
        _ contents: PayloadContents, _ negotiation: ChildNegotiation, _ configuration: ConnectionConfiguration,
        _ stage: FailureReport.Stage, _ sa: IKESA
    ) throws(FailureReport) -> ChildAgreement {
        guard let answer = contents.securityAssociation, let theirs = contents.responderSelectors,
            let ours = contents.initiatorSelectors
        else { throw peerFault(.invalidSyntax, "the peer's answer lacks SA or selectors", sa) }
        let selection = ProposalSelection(negotiation.proposals, allowLegacy: configuration.allowLegacy)
        let choice: ProposalChoice
        do throws(ProposalMismatch) {
            choice = try selection.check(answer: answer)
        } catch { throw noProposal(configuration.name, stage, error, sa.remote) }
        let selectors: NarrowedSelectors
        do throws(TrafficSelectorMismatch) {
            selectors = try TrafficSelectorNarrowing.check(
                answeredLocal: ours, answeredRemote: theirs, offeredLocal: negotiation.localSelectors,
                offeredRemote: negotiation.remoteSelectors)
            _ = try childConfiguration(negotiation.child, sa)?.passed(of: selectors)
        } catch { throw selectorsUnacceptable(configuration.name, stage, error, sa.remote) }
        guard let outbound = choice.espSPI else {
            throw peerFault(.invalidSyntax, "the peer's answer has no valid SPI", sa)
        }
        return ChildAgreement(
            child: negotiation.child, choice: choice, outbound: outbound, local: selectors.local,
            remote: selectors.remote,
            asked: negotiation.asked
                ?? SelectorPair(local: negotiation.localSelectors, remote: negotiation.remoteSelectors))
    }

    /// Installs a Child SA; the report is for after the answer is sent.
    mutating func install(
        _ agreement: ChildAgreement, inbound: SPI, _ keying: ChildKeying, replaces: SPI?, outboundActive: Bool,
        _ sa: inout IKESA
    ) -> IKEReport? {
        guard let ike = sa.keying, let id = sa.connection, let configuration = connections[id]?.configuration,
            let child = childConfiguration(agreement.child, sa)
        else { return nil }
        let keys = KeySchedule.childSAKeys(
            prf: ike.choice.pseudoRandomFunction, suite: agreement.choice.suite, skD: ike.skD,
            sharedSecret: keying.secret, initiatorNonce: keying.initiatorNonce,
            responderNonce: keying.responderNonce)
        let agreed = NarrowedSelectors(local: agreement.local, remote: agreement.remote, additionalPossible: false)
        guard let passed = try? child.passed(of: agreed) else { return nil }
        let entry = ChildSA(
            child: agreement.child, inbound: inbound, outbound: agreement.outbound,
            proposal: agreement.choice.proposal.suiteDescription,
            esn: agreement.choice.extendedSequenceNumbers, localSelectors: agreement.local,
            remoteSelectors: agreement.remote, asked: agreement.asked, passed: passed, installedAt: now,
            lastTraffic: lastTraffic(of: replaces, sa) ?? now,
            rekeyAt: child.rekeyTime > .zero ? now + jittered(child.rekeyTime) : nil,
            outboundActive: outboundActive, weInitiated: keying.weInitiated, replaces: replaces)
        let ends = espEndpoints(sa)
        effects.append(
            .installChild(
                ChildSAInstallation(
                    connection: configuration.name, child: child.name, inboundSPI: inbound,
                    outboundSPI: agreement.outbound, suite: agreement.choice.suite, esn: entry.esn,
                    inboundKey: keying.weInitiated ? keys.responderToInitiator : keys.initiatorToResponder,
                    outboundKey: keying.weInitiated ? keys.initiatorToResponder : keys.responderToInitiator,
                    localSelectors: passed.local, remoteSelectors: passed.remote, local: ends.local,
                    remote: ends.remote, replaces: replaces, outboundActive: outboundActive, configuration: child)))
        childOwners[inbound] = sa.spi
        if let rekeyAt = entry.rekeyAt {
            timers.set(.rekeyChild(inbound), at: rekeyAt)
            timers.set(.expireChild(inbound), at: now + hardLifetime(child))
        }
        watchInactivity(entry, child)
        connections[id]?.idle.remove(agreement.child)
        connections[id]?.pardon(agreement.child)
        outboundSPIs[agreement.outbound, default: []].append(inbound)
        sa.session?.children.append(entry)
        if !keying.weInitiated {
            sa.session?.unconfirmed = Session.Unconfirmed(inbound: inbound, until: now + Self.confirmationLimit)
        }
        return .childInstalled(
            connection: configuration.name, child: child.name, status(of: entry, child), replaces: replaces)
    }

    /// RFC 7296 §2.8: an SA that could not be rekeyed in time must not be used.
    ///
    /// But a lost answer, or a peer that puts it off, does not end it: both take longer than a tenth of seconds.
    func hardLifetime(_ child: ChildConfiguration) -> Duration {
        child.rekeyTime + max(child.rekeyTime / 10, Self.hardLifetimeMargin)
    }

    /// Takes a Child SA out of the data plane and out of its IKE SA.
    mutating func removeChild(at index: Int, _ sa: inout IKESA) {
        guard let child = sa.session?.children.remove(at: index) else { return }
        forgetSPI(child.inbound)
        outboundSPIs[child.outbound]?.removeAll { $0 == child.inbound }
        if outboundSPIs[child.outbound]?.isEmpty ?? false { outboundSPIs[child.outbound] = nil }
        if let before = child.replaces, let owner = childOwners[before], owner != sa.spi,
            sa.session?.live(child: child.child, passing: child.passed) == nil,
            ikeSAs[owner]?.session?.isInUse(before) ?? false
        {
            // The SA of another IKE SA to the same peer, from which this one had taken over.
            effects.append(.activateOutbound(inboundSPI: before))
        }
        effects.append(.removeChild(inboundSPI: child.inbound))
        guard let id = sa.connection, let connection = connections[id],
            let configured = connection.children[child.child]
        else { return }
        effects.append(
            .report(
                .childRemoved(
                    connection: connection.configuration.name, child: configured.name, inboundSPI: child.inbound)))
    }

    /// How a child of an IKE SA's connection is configured, or was when a reload retired it.
    func childConfiguration(_ id: ChildID, _ sa: IKESA) -> ChildConfiguration? {
        sa.connection.flatMap { connections[$0]?.children[id] }
    }

    /// The data plane does not have a Child SA: the peer is asked to delete its half.
    mutating func installationFailed(_ spi: SPI, _ reason: String) {
        guard let owner = childOwners[spi] else { return }
        withIKESA(owner) { endpoint, sa in
            guard let index = sa.session?.index(inbound: spi), let child = sa.session?.children[index],
                child.phase != .deleting
            else { return }
            if let old = child.replaces.flatMap({ sa.session?.index(inbound: $0) }),
                sa.session?.children[old].phase == .superseded(by: spi)
            {
                // Its predecessor has no successor any more: when the peer deletes it, it is lost.
                sa.session?.children[old].phase = .installed
            }
            if sa.session?.unconfirmed?.inbound == spi {
                sa.session?.unconfirmed?.isRefused = true
                sa.session?.unconfirmed?.until = endpoint.now + Self.failedInstallationWait
            }
            if let id = sa.connection { endpoint.connections[id]?.takeBackPardon() }
            endpoint.childFailed(child.child, endpoint.notInstalled(reason, sa), &sa)
            endpoint.startDelete([spi], &sa)
        }
    }

    /// The peer gets the answer again that accepted a Child SA which the data plane did not take: it cannot have known
    /// of it when it was asked to delete it, and is asked once more.
    mutating func deleteRefusedAgain(_ sa: inout IKESA) {
        guard let unconfirmed = sa.session?.unconfirmed, unconfirmed.isRefused else { return }
        sa.session?.unconfirmed?.until = now + Self.failedInstallationWait
        addTask(.deleteChildren([unconfirmed.inbound]), &sa)
    }

    /// An SPI of ours is free again.
    mutating func forgetSPI(_ spi: SPI) {
        childOwners[spi] = nil
        timers.cancel(.rekeyChild(spi))
        timers.cancel(.expireChild(spi))
        timers.cancel(.inactivity(spi))
    }

    /// The outer endpoints of ESP: always the NAT traversal ports, as ESP always goes in UDP (RFC 7296 §2.23: never on
    /// 500).
    func espEndpoints(_ sa: IKESA) -> (local: Endpoint, remote: Endpoint) {
        guard sa.local.port != limits.natPort else { return (sa.local, sa.remote) }
        return (
            Endpoint(sa.local.address, port: limits.natPort), Endpoint(sa.remote.address, port: limits.remoteNATPort)
        )
    }

    /// How long after its rekey time a Child SA is used at the least; otherwise it is a tenth of that time.
    private static let hardLifetimeMargin: Duration = .seconds(60)
    private static let confirmationLimit: Duration = .seconds(60)
    /// An answer takes no longer than this to arrive, when it arrives.
    private static let failedInstallationWait: Duration = .seconds(3)
}
