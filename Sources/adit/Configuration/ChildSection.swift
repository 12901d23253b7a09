// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import AditIKE
internal import AditWire

/// How the selectors of a child become Child SAs.
enum TrafficShape: String, CaseIterable {
    /// One Child SA for all selectors.
    case combined
    /// One for each pair of a local and a remote selector.
    case perPair = "per-pair"
    /// One that agrees on all addresses, of which only the selectors pass.
    case anyToAny = "any-to-any"
}

/// Reads the keys of a child, from its own table where it has one and else from its connection's.
struct ChildSection {
    /// The child's own table; nil when the connection is its only child.
    let own: TableReader?
    let name: String
    let common: Common

    /// What a connection's children share.
    struct Common {
        var connection: TableReader
        /// Whether the connection accepts any peer and so can never start itself.
        var anyPeer: Bool
        var allowLegacy: Bool
        var installRoutes: Bool
    }

    /// The child, or the children that its shape makes of it; nil when its selectors are missing or faulty.
    func read() -> [ChildConfiguration]? {
        let local = selectors("local_ts")
        let remote = selectors("remote_ts")
        let rest = settings()
        checkRanges(local ?? [], remote ?? [])
        let selectors = (local ?? []).compactMap(\.self)
        let theirs = (remote ?? []).compactMap(\.self)
        guard let local, let remote, selectors.count == local.count, theirs.count == remote.count else { return nil }
        var child = rest
        child.localSelectors = selectors
        child.remoteSelectors = theirs
        switch reader("ts_shape").word("ts_shape", TrafficShape.self) ?? .combined {
        case .combined: return [child]
        case .perPair: return child.perPair
        case .anyToAny:
            child.anyToAny = true
            return [child]
        }
    }

    private func settings() -> ChildConfiguration {
        var child = ChildConfiguration(name: name, localSelectors: [], remoteSelectors: [])
        let proposals = ProposalReader(reader: reader("esp_proposals"), allowLegacy: common.allowLegacy)
        if let list = proposals.read("esp_proposals", .esp) { child.proposals = list }
        child.startAction = startAction()
        if let time = reader("inactivity").duration("inactivity") { child.inactivity = time }
        if let time = reader("rekey_time").duration("rekey_time") { child.rekeyTime = time }
        child.rekeyBytes = reader("rekey_bytes").integer("rekey_bytes", in: 1...Int.max).map { UInt64($0) }
        child.rekeyPackets = reader("rekey_packets").integer("rekey_packets", in: 1...Int.max).map { UInt64($0) }
        if let window = reader("replay_window").integer("replay_window", in: 64...65_536) {
            child.replayWindow = window
        }
        if let flag = reader("esn").boolean("esn") { child.esn = flag }
        if let flag = reader("mss_clamp").boolean("mss_clamp") { child.clampMSS = flag }
        if let flag = reader("copy_dscp").boolean("copy_dscp") { child.copyDSCP = flag }
        if let flag = reader("copy_ecn").boolean("copy_ecn") { child.copyECN = flag }
        return child
    }

    private func startAction() -> ChildConfiguration.StartAction {
        let reader = reader("start_action")
        let path = reader.path + ["start_action"]
        let action = reader.word("start_action", ChildConfiguration.StartAction.self)
        guard common.anyPeer else { return action ?? .trap }
        switch action {
        case .start:
            reader.problems.error(
                path, "found \"start\" with remote_addrs \"%any\"; allowed is \"none\", or give the peer's address")
        case .trap:
            reader.problems.warning(
                path, "\"trap\" does nothing with remote_addrs \"%any\"; the gateway waits for the peer")
        case .some(.none), nil:
            break
        }
        return .none
    }

    /// The selectors, nil in place of a faulty one; nil as a whole when there is no list.
    private func selectors(_ key: String) -> [TrafficSelector?]? {
        let reader = reader(key)
        guard reader.has(key) else {
            let table = own ?? reader
            table.problems.error(table.path + [key], "missing; \(selectorsNeeded)")
            return nil
        }
        guard let items = reader.strings(key) else { return nil }
        return items.map { item -> TrafficSelector? in
            guard let selector = TrafficSelector(item.text) else {
                let note = item.text == "dynamic" ? ", which is not supported by this version" : ""
                reader.problems.error(
                    reader.path + [key], "found \(quoted(item.text))\(note); allowed is \(selectorForms)",
                    item: item.index)
                return nil
            }
            noteHostBits(item, selector, reader, key)
            return selector
        }
    }

    private func noteHostBits(
        _ item: TableReader.Item, _ selector: TrafficSelector, _ reader: TableReader, _ key: String
    ) {
        guard let prefix = IPPrefix(item.text), prefix.address != prefix.first else { return }
        reader.problems.warning(
            reader.path + [key], "\(quoted(item.text)) has bits after its length; \(selector) is meant",
            item: item.index)
    }

    /// Local and remote ranges that overlap would send a site's own traffic away; "everything" on one side is meant so.
    private func checkRanges(_ local: [TrafficSelector?], _ remote: [TrafficSelector?]) {
        let reader = reader("remote_ts")
        let path = reader.path + ["remote_ts"]
        for (index, theirs) in remote.enumerated() {
            guard let theirs else { continue }
            if isEverything(theirs) {
                guard common.installRoutes else { continue }
                reader.problems.warning(
                    path, "\(theirs) with install_routes sends all of this machine's traffic into the tunnel",
                    item: index)
            } else if let ours = local.lazy.compactMap(\.self).first(where: { overlap($0, theirs) }) {
                reader.problems.error(
                    path, "found \(theirs), which overlaps \(ours) in local_ts; the two sides' ranges must be disjoint",
                    item: index)
            }
        }
    }

    private func overlap(_ ours: TrafficSelector, _ theirs: TrafficSelector) -> Bool {
        ours.family == theirs.family && ours.first <= theirs.last && theirs.first <= ours.last && !isEverything(ours)
    }

    private func isEverything(_ selector: TrafficSelector) -> Bool { selector.prefix?.length == 0 }

    /// The table in which `key` stands.
    private func reader(_ key: String) -> TableReader {
        guard let own, own.has(key) || !common.connection.has(key) else { return common.connection }
        return own
    }

    private let selectorForms = "a prefix, an address or FIRST-LAST, each optionally with [PROTOCOL/PORT]"
    private let selectorsNeeded = "a list of selectors is needed, for example [\"10.1.0.0/16\"]"
}
