// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditCrypto
internal import AditWire

// What people are told about a failure: one sentence on what happened, one on what to change, both sides side by side.
// No secret, key or proof ever enters a report.

extension IKEEndpoint {
    /// No answer to the first message.
    func unreachable(_ sa: IKESA) -> FailureReport {
        report(
            sa, .peerUnreachable, .ikeSAInit, "no answer from \(sa.remote)",
            "Check remote_addrs, that the peer's gateway runs, and that no firewall drops UDP ports 500 and 4500.")
    }

    /// This host cannot send to the peer.
    func cannotSend(_ reason: SendFailure, _ sa: IKESA) -> FailureReport {
        let (local, remote) = (sa.local.address, sa.remote.address)
        switch reason {
        case .unreachable where !local.isUnspecified && !hostAddresses.isEmpty && !hasAddress(local):
            return report(
                sa, .peerUnreachable, .ikeSAInit, "\(local) is not an address of this machine",
                "Set local_addrs to an address of this machine (ip address), or leave it out: then the route decides.")
        case .unreachable:
            return report(
                sa, .peerUnreachable, .ikeSAInit,
                "this machine has no route to \(remote)" + (local.isUnspecified ? "" : " from \(local)"),
                "Add a route (ip route get \(remote) shows what there is), or correct remote_addrs or local_addrs.")
        case .family:
            let family = remote.family == .v4 ? "IPv4" : "IPv6"
            return report(
                sa, .peerUnreachable, .ikeSAInit, "no \(family) address is listened on, so \(remote) cannot be reached",
                "Add an \(family) address to listen, enable \(family) on this machine, or correct remote_addrs.")
        }
    }

    /// The peer asked for a cookie and did not go on with it.
    func cookieInVain(_ sa: IKESA) -> FailureReport {
        report(
            sa, .cookieRequired, .ikeSAInit, "\(sa.remote) asked for a cookie, and did not answer when it had it",
            "The peer defends itself against a flood, or a NAT gives us another address with each packet: try again "
                + "with adit up, and check that nothing else uses the addresses in local_addrs.")
    }

    /// An attempt was given up before it was decided.
    func cancelled(_ connection: Connection, by reason: String) -> FailureReport {
        let sa = connection.attempt.flatMap { ikeSAs[$0] }
        let name = connection.configuration.name
        return FailureReport(
            connection: name, code: .cancelled, stage: sa.map { stage(of: $0) } ?? .resolve,
            message: "given up before it was finished: \(reason)", suggestion: "Start it again with adit up \(name).",
            remote: sa?.remote.description)
    }

    /// No answer to IKE_AUTH.
    func timeout(_ sa: IKESA) -> FailureReport {
        report(
            sa, .timeout, .ikeAuth, "\(sa.remote) answered IKE_SA_INIT but not IKE_AUTH",
            "Check that UDP port 4500 passes, and the peer's log: a request that fits no connection may be dropped."
        )
    }

    /// The peer did not go on after our answer to its first message.
    func noAuth(_ name: String, _ sa: IKESA) -> FailureReport {
        FailureReport(
            connection: name, code: .timeout, stage: .ikeAuth,
            message: "IKE_AUTH did not arrive from \(sa.remote.address) after IKE_SA_INIT",
            suggestion: "Check that UDP port 4500 is open between the two gateways, and that fragments pass; the "
                + "peer's log says whether it gave up.", remote: sa.remote.description)
    }

    /// No answer from an established peer.
    func deadPeer(_ sa: IKESA) -> FailureReport {
        report(
            sa, .deadPeer, stage(of: sa), "\(sa.remote) no longer answers",
            "Check the path to the peer; dpd_delay and dpd_action say how soon it is noticed and what happens then.")
    }

    /// The responder refused IKE_SA_INIT.
    func refusedInit(_ type: NotifyType, _ sa: IKESA) -> FailureReport {
        let ours = sa.connection.flatMap { connections[$0]?.configuration.proposals.map(\.description) } ?? []
        switch type {
        case .noProposalChosen:
            return report(
                sa, .noProposalChosen, .ikeSAInit,
                "the peer accepts none of the proposals, or has no connection for us",
                "Compare proposals with the peer's, and check that the peer has a connection for our address.",
                [FailureReport.Comparison(subject: "proposals", ours: ours, theirs: [], mismatch: true)])
        case .invalidKEPayload:
            return report(
                sa, .invalidKeyExchange, .ikeSAInit, "the peer wants a key exchange group that is not in proposals",
                "Add the peer's group to proposals.",
                [FailureReport.Comparison(subject: "proposals", ours: ours, theirs: [], mismatch: true)])
        default:
            return peerNotify(type, .ikeSAInit, sa)
        }
    }

    /// The responder's answers to IKE_SA_INIT did not fit what we asked.
    func unacceptableInit(_ fault: InitSent.Unacceptable, _ sent: InitSent, _ sa: IKESA) -> FailureReport {
        switch fault {
        case .proposal(let mismatch):
            return report(
                sa, .noProposalChosen, .ikeSAInit, "the peer chose a proposal that was not offered",
                "Compare proposals with the peer's.", mismatch.comparison)
        case .keyExchange(let group):
            let ours = sent.keyExchange.group
            let theirs = group.map { number in
                KeyExchangeGroup(transformID: number).map { "\($0)" } ?? "group \(number)"
            }
            let message =
                group == ours.transformID
                ? "the peer's key exchange value is not valid" : "the peer's key exchange is not of the group asked for"
            return report(
                sa, .invalidKeyExchange, .ikeSAInit, message, "Compare the key exchange groups in proposals.",
                [
                    FailureReport.Comparison(
                        subject: "key exchange", ours: ["\(ours)"], theirs: [theirs].compactMap { $0 }, mismatch: true)
                ])
        }
    }

    /// The responder refused IKE_AUTH as a whole.
    func refusedAuth(_ type: NotifyType, _ configuration: ConnectionConfiguration, _ sa: IKESA) -> FailureReport {
        guard type == .authenticationFailed else { return peerNotify(type, .ikeAuth, sa) }
        return report(
            sa, .authenticationFailed, .ikeAuth, "the peer refused our authentication (AUTHENTICATION_FAILED)",
            rejectionAdvice(sa), identities(configuration, theirs: nil, sa, mismatch: true))
    }

    /// The initiator could not verify us.
    func rejectedByInitiator(_ contents: PayloadContents, _ sa: IKESA) -> FailureReport {
        guard contents.notify(.authenticationFailed) != nil else {
            return peerNotify(contents.errors.first?.type ?? .invalidSyntax, .ikeAuth, sa)
        }
        return report(
            sa, .authenticationFailed, .ikeAuth, "the peer could not verify us (AUTHENTICATION_FAILED)",
            rejectionAdvice(sa))
    }

    /// The responder is not who it must be.
    func wrongIdentity(
        _ identification: IdentificationPayload, _ configuration: ConnectionConfiguration, _ sa: IKESA
    ) -> FailureReport {
        report(
            sa, .invalidIdentity, .ikeAuth, "the peer is \(identification.description), not the identity expected",
            "Set remote_id = \"\(identification.description)\", or the peer's local_id to what remote_id says.",
            identities(configuration, theirs: identification.description, sa, mismatch: true))
    }

    /// No connection takes this peer at this address.
    func noConnection(_ remote: Endpoint) -> FailureReport {
        FailureReport(
            connection: nil, code: .noMatchingConnection, stage: .ikeSAInit,
            message: "no connection is configured for \(remote.address)",
            suggestion: "Add \(remote.address) to remote_addrs of the connection it belongs to, or use \"%any\".",
            remote: remote.description)
    }

    /// No connection takes a peer with this identity.
    func noConnection(_ identity: String, _ contents: PayloadContents, _ sa: IKESA) -> FailureReport {
        if let known = contents.initiatorID.flatMap({ Identity($0) }),
            let down = connections.takenDown(local: sa.local.address, remote: sa.remote.address, identity: known)
        {
            return takenDown(down.configuration.name, .ikeAuth, sa.remote)
        }
        let expected = connections.expected(local: sa.local.address, remote: sa.remote.address)
        let name = expected.count == 1 ? expected[0].configuration.name : nil
        let wanted = expected.map { $0.configuration.remoteID?.description ?? "any" }
        let ours = expected.map { $0.configuration.identity(at: sa.local.address).description }
        var comparison = [
            FailureReport.Comparison(
                subject: "remote_id", ours: wanted, theirs: [identity],
                mismatch: !wanted.contains(identity) && !wanted.contains("any"))
        ]
        if let asked = contents.responderID?.description {
            comparison.append(
                FailureReport.Comparison(
                    subject: "local_id", ours: ours, theirs: [asked], mismatch: !ours.contains(asked)))
        }
        return FailureReport(
            connection: name, code: name == nil ? .noMatchingConnection : .invalidIdentity, stage: .ikeAuth,
            message: "no connection takes a peer called \(identity) from \(sa.remote.address)",
            suggestion: identityAdvice(comparison, isOne: name != nil),
            remote: sa.remote.description, comparison: comparison)
    }

    /// What to set where one connection could have been meant; else what to compare.
    private func identityAdvice(_ comparison: [FailureReport.Comparison], isOne: Bool) -> String {
        guard isOne, let line = comparison.first(where: \.mismatch), let ours = line.ours.first,
            let theirs = line.theirs.first
        else { return "Compare remote_id with the peer's own identity and local_id with the one that it asks for." }
        let other = line.subject == "remote_id" ? "local_id" : "remote_id"
        return "Set \(line.subject) = \"\(theirs)\", or the peer's \(other) to \(ours)."
    }

    /// The initiator wants to authenticate by EAP, which no connection does.
    func wantsEAP(_ identification: IdentificationPayload, _ sa: IKESA) -> FailureReport {
        report(
            sa, .authenticationFailed, .ikeAuth, "\(identification.description) wants to authenticate by EAP",
            "Set the peer to authenticate by a pre-shared key or a certificate.")
    }

    /// No IKE or ESP proposal is common.
    func noProposal(
        _ connection: String, _ stage: FailureReport.Stage, _ mismatch: ProposalMismatch, _ remote: Endpoint
    ) -> FailureReport {
        FailureReport(
            connection: connection, code: .noProposalChosen, stage: stage, message: mismatch.message,
            suggestion: mismatch.suggestion, remote: remote.description, comparison: mismatch.comparison)
    }

    /// No traffic selectors are common.
    func selectorsUnacceptable(
        _ connection: String, _ stage: FailureReport.Stage, _ mismatch: TrafficSelectorMismatch, _ remote: Endpoint
    ) -> FailureReport {
        FailureReport(
            connection: connection, code: .trafficSelectorsUnacceptable, stage: stage, message: mismatch.message,
            suggestion: mismatch.suggestion, remote: remote.description, comparison: mismatch.comparison)
    }

    /// The peer refused a child that we asked for.
    func refusedChild(
        _ type: NotifyType, _ negotiation: ChildNegotiation, _ configuration: ConnectionConfiguration,
        _ stage: FailureReport.Stage, _ sa: IKESA
    ) -> FailureReport {
        let name = childConfiguration(negotiation.child, sa)?.name ?? ""
        switch type {
        case .noProposalChosen, .invalidKEPayload:
            return report(
                sa, type == .noProposalChosen ? .noProposalChosen : .invalidKeyExchange, stage,
                "the peer accepts no ESP proposal of child \(name) (\(type))",
                "Compare esp_proposals with the peer's.",
                [
                    FailureReport.Comparison(
                        subject: "esp_proposals", ours: negotiation.proposals.map(\.description), theirs: [],
                        mismatch: true)
                ])
        case .tsUnacceptable, .singlePairRequired, .invalidSelectors:
            return report(
                sa, .trafficSelectorsUnacceptable, stage,
                "the peer refuses the traffic selectors of child \(name) (\(type))",
                type == .singlePairRequired
                    ? "Set ts_shape = \"per-pair\": the peer takes one pair of selectors for a Child SA."
                    : "Make local_ts the same as the peer's remote_ts, and remote_ts the same as its local_ts.",
                [
                    FailureReport.Comparison(
                        subject: "local_ts", ours: negotiation.localSelectors.map(\.description), theirs: [],
                        mismatch: true),
                    FailureReport.Comparison(
                        subject: "remote_ts", ours: negotiation.remoteSelectors.map(\.description), theirs: [],
                        mismatch: true),
                ])
        case .noAdditionalSAs:
            return report(
                sa, .limitReached, stage, "the peer makes no further Child SA on this IKE SA (NO_ADDITIONAL_SAS)",
                "Put the selectors of several children into one child, or raise the peer's limit.")
        default:
            return peerNotify(type, stage, sa)
        }
    }

    /// The peer refused to rekey the IKE SA.
    func refusedIKERekey(
        _ type: NotifyType, _ configuration: ConnectionConfiguration, _ sa: IKESA
    ) -> FailureReport {
        report(
            sa, type == .noProposalChosen ? .noProposalChosen : .peerNotify, .createChildSA,
            "the peer refuses to rekey the IKE SA (\(type)); it is made anew",
            "Compare proposals with the peer's, or set ike_rekey_time so that the peer rekeys first.",
            [
                FailureReport.Comparison(
                    subject: "proposals", ours: configuration.proposals.map(\.description), theirs: [], mismatch: true)
            ])
    }

    /// An error notification that has no case of its own.
    private func peerNotify(_ type: NotifyType, _ stage: FailureReport.Stage, _ sa: IKESA) -> FailureReport {
        report(sa, .peerNotify, stage, "the peer answered with \(type)", "The peer's log says why.")
    }

    /// The peer did something that it may not do.
    func peerFault(_ code: FailureReport.Code, _ message: String, _ sa: IKESA) -> FailureReport {
        report(sa, code, stage(of: sa), message, "Report it to the peer's vendor; restarting the connection may help.")
    }

    /// libcrypto failed.
    func cryptographicFailure(_ sa: IKESA) -> FailureReport {
        report(
            sa, .cryptographicFailure, stage(of: sa), "libcrypto failed",
            "Check that the algorithms in proposals and esp_proposals are enabled in the system's OpenSSL.")
    }

    /// libcrypto failed before there was an IKE SA.
    func cryptographicFailure(_ name: String, _ stage: FailureReport.Stage, _ remote: Endpoint) -> FailureReport {
        FailureReport(
            connection: name, code: .cryptographicFailure, stage: stage,
            message: "no key exchange of proposals is available",
            suggestion: "Check that the algorithms in proposals are enabled in the system's OpenSSL.",
            remote: remote.description)
    }

    /// One of our own limits.
    func limitReached(_ name: String, _ stage: FailureReport.Stage, _ remote: Endpoint) -> FailureReport {
        FailureReport(
            connection: name, code: .limitReached, stage: stage, message: "a limit of this gateway is reached",
            suggestion: "Close connections that are not needed, or spread them over several gateways.",
            remote: remote.description)
    }

    /// What we have to say in an exchange fits no datagram.
    func messageTooLong(_ exchange: ExchangeType, _ sa: IKESA) -> FailureReport {
        let stage: FailureReport.Stage =
            switch exchange {
            case .ikeAuth: .ikeAuth
            case .createChildSA: .createChildSA
            default: .informational
            }
        return report(
            sa, .limitReached, stage,
            "our message is longer than the \(IKEMessage.lengthLimit) bytes that IKE can carry",
            "Let cert_file have fewer or smaller certificates, or local_ts and remote_ts fewer selectors.")
    }

    /// The data plane refused a Child SA.
    func notInstalled(_ reason: String, _ sa: IKESA) -> FailureReport {
        report(
            sa, .limitReached, stage(of: sa), "the data plane cannot take the Child SA: \(reason)",
            "Use fewer or wider selectors in local_ts and remote_ts, or fewer Child SAs; or check that esp_proposals "
                + "are enabled in the system's OpenSSL.")
    }

    /// A connection that can only wait.
    func noRemoteAddress(_ name: String) -> FailureReport {
        FailureReport(
            connection: name, code: .peerUnreachable, stage: .resolve,
            message: "the connection has no remote address and waits for its peer",
            suggestion: "Set remote_addrs to the peer's address, or let the peer start the connection.")
    }

    /// Who each side is, here and there: `theirs` is who the peer says it is, `ours` who it takes us for; nil where it
    /// did not say.
    func identities(
        _ configuration: ConnectionConfiguration, theirs: String?, ours: String? = nil, _ sa: IKESA, mismatch: Bool
    ) -> [FailureReport.Comparison] {
        let remote = FailureReport.Comparison(
            subject: "remote_id", ours: [configuration.remoteID?.description ?? "any"],
            theirs: theirs.map { [$0] } ?? [], mismatch: mismatch && theirs != nil)
        let local = FailureReport.Comparison(
            subject: "local_id", ours: [configuration.identity(at: sa.local.address).description],
            theirs: ours.map { [$0] } ?? [], mismatch: mismatch && theirs == nil)
        // What is neither told nor doubtful is nothing to compare.
        return local.theirs.isEmpty && !local.mismatch ? [remote] : [remote, local]
    }

    private func stage(of sa: IKESA) -> FailureReport.Stage {
        switch sa.state {
        case .initSent: return .ikeSAInit
        case .halfOpen, .authSent: return .ikeAuth
        case .established(let session):
            switch session.exchange {
            case .child, .rekeyIKE: return .createChildSA
            case .liveness, .deleteChildren, .mobility, nil: return .informational
            }
        case .closing, .gone: return .informational
        }
    }

    func report(
        _ sa: IKESA, _ code: FailureReport.Code, _ stage: FailureReport.Stage, _ message: String,
        _ suggestion: String, _ comparison: [FailureReport.Comparison] = []
    ) -> FailureReport {
        FailureReport(
            connection: sa.connection.flatMap { connections[$0]?.configuration.name }, code: code, stage: stage,
            message: message, suggestion: suggestion, remote: sa.remote.description, comparison: comparison)
    }
}
