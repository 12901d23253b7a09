// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// What peers take for the traffic of one Child SA differs: all selectors at once, one pair of them, or everything.

/// Both sides of a Child SA's traffic.
struct SelectorPair: Hashable, Sendable {
    var local: [TrafficSelector]
    var remote: [TrafficSelector]

    /// Whether every selector of the other lies in one of these.
    func covers(_ other: SelectorPair) -> Bool {
        other.local.allSatisfy { one in local.contains { $0.contains(one) } }
            && other.remote.allSatisfy { one in remote.contains { $0.contains(one) } }
    }
}

extension ChildConfiguration {
    /// One child for each pair of a local and a remote selector of one family, called NAME#1, NAME#2, …: for peers that
    /// take a single pair for a Child SA. A child with only one pair keeps its name.
    public var perPair: [ChildConfiguration] {
        let pairs = localSelectors.flatMap { local in
            remoteSelectors.filter { $0.family == local.family }.map { (local, $0) }
        }
        var single = self
        single.asksForPacket = false
        guard pairs.count > 1 else { return [single] }
        return pairs.enumerated().map { index, pair in
            var child = single
            child.name = "\(name)#\(index + 1)"
            child.localSelectors = [pair.0]
            child.remoteSelectors = [pair.1]
            return child
        }
    }

    /// What is offered and accepted on our side.
    var offeredLocalSelectors: [TrafficSelector] { anyToAny ? everything : localSelectors }

    /// What is offered and accepted on the peer's side.
    var offeredRemoteSelectors: [TrafficSelector] { anyToAny ? everything : remoteSelectors }

    /// What passes of the traffic that was agreed: nothing outside the configuration does.
    func passed(of agreed: NarrowedSelectors) throws(TrafficSelectorMismatch) -> SelectorPair {
        guard anyToAny else { return SelectorPair(local: agreed.local, remote: agreed.remote) }
        let passed = try TrafficSelectorNarrowing.narrow(
            requestedLocal: agreed.local, requestedRemote: agreed.remote, configuredLocal: localSelectors,
            configuredRemote: remoteSelectors)
        return SelectorPair(local: passed.local, remote: passed.remote)
    }

    /// All addresses of the families that both sides have.
    private var everything: [TrafficSelector] {
        [IPAddress.Family.v4, .v6].filter { family in
            localSelectors.contains { $0.family == family } && remoteSelectors.contains { $0.family == family }
        }.compactMap { IPPrefix(IPAddress.bounds(of: $0).first, length: 0).map { TrafficSelector($0) } }
    }
}
