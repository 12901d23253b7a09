// SPDX-License-Identifier: Apache-2.0
// Adit: Adit

internal import AditESP
internal import AditIKE
internal import AditWire

extension GatewayConfiguration {
    /// Throws ``GatewayError/Code/invalidConfiguration`` where a value is outside of what its documentation allows;
    /// the text names the property, what was found and what is allowed.
    ///
    /// A ``Gateway`` calls it before it opens anything. A configuration file is checked further than this, by
    /// `adit check`: a program that makes its own values is taken at its word about what they mean.
    public func check() throws(GatewayError) {
        try Self.require(ikePort != natPort, "natPort: found \(natPort), the ikePort; the two ports have to differ")
        try Self.require(workers, in: 1...SATable.workerLimit, "workers")
        try Self.require(mtu, in: 576...65_535, "mtu")
        try Self.require(niceness, in: -20...19, "niceness")
        try Self.require(retransmitTries, in: 1...12, "retransmitTries")
        try Self.require(
            retransmitTimeout > .zero && retransmitTimeout <= .seconds(60),
            "retransmitTimeout: found \(retransmitTimeout); allowed is more than zero, and at most one minute")
        try Self.require(
            keepAlive >= .zero && keepAlive <= .seconds(3600),
            "keepAlive: found \(keepAlive); allowed is at most one hour, and zero for never")
        try Self.check(connections)
    }

    /// The same for connections alone, as ``IKECommand/configure(_:)`` takes them.
    static func check(_ connections: [ConnectionConfiguration]) throws(GatewayError) {
        var names: Set<String> = []
        for connection in connections {
            let place = "connection \"\(connection.name)\""
            try require(!connection.name.isEmpty, "connections: found one without a name")
            try require(names.insert(connection.name).inserted, "\(place): there are several of that name")
            try check(connection.proposals, for: .ike, "\(place): proposals")
            for (time, property) in [
                (connection.dpdDelay, "dpdDelay"), (connection.ikeRekeyTime, "ikeRekeyTime"),
                (connection.reauthTime, "reauthTime"),
            ] { try check(time, "\(place): \(property)") }
            try require(!connection.children.isEmpty, "\(place): children: there is none; at least one is needed")
            var children: Set<String> = []
            for child in connection.children {
                try require(children.insert(child.name).inserted, "\(place): two children are called \"\(child.name)\"")
                try check(child, "\(place), child \"\(child.name)\"")
            }
        }
    }

    private static func check(_ child: ChildConfiguration, _ place: String) throws(GatewayError) {
        let selectorLimit = TrafficSelectorNarrowing.selectorLimit
        try require(child.localSelectors.count, in: 1...selectorLimit, "\(place): number of localSelectors")
        try require(child.remoteSelectors.count, in: 1...selectorLimit, "\(place): number of remoteSelectors")
        let pairs = blockPairs(child)
        try require(
            pairs <= SATable.blockPairLimit,
            "\(place): the local and remote selectors make \(pairs) pairs of address blocks; allowed are "
                + "\(SATable.blockPairLimit): use fewer or wider ones, or several children")
        try check(child.proposals, for: .esp, "\(place): proposals")
        try require(child.replayWindow, in: 64...65_536, "\(place): replayWindow")
        try check(child.rekeyTime, "\(place): rekeyTime")
        try check(child.inactivity, "\(place): inactivity")
    }

    /// A range of addresses is several blocks; each local one goes with each remote one of its family and protocol.
    private static func blockPairs(_ child: ChildConfiguration) -> Int {
        let remotes = child.remoteSelectors.map { (selector: $0, blocks: $0.prefixes.count) }
        return child.localSelectors.reduce(0) { pairs, local in
            let blocks = local.prefixes.count
            return pairs
                + remotes.reduce(0) { sum, remote in
                    let other = remote.selector.ipProtocol
                    let fits =
                        remote.selector.family == local.family
                        && (local.ipProtocol == other || local.ipProtocol == 0 || other == 0)
                    return fits ? sum + blocks * remote.blocks : sum
                }
        }
    }

    private static func check(
        _ proposals: [Proposal], for wanted: SecurityProtocol, _ place: String
    ) throws(GatewayError) {
        try require(proposals.count, in: 1...proposalLimit, "\(place): number of proposals")
        for proposal in proposals {
            try require(
                proposal.securityProtocol == wanted,
                "\(place): \"\(proposal)\" is for the other of IKE and ESP")
            try require(
                proposal.transforms.count, in: 1...transformLimit, "\(place): number of transforms in a proposal")
        }
    }

    private static func check(_ duration: Duration, _ place: String) throws(GatewayError) {
        try require(
            duration >= .zero && duration <= durationLimit,
            "\(place): found \(duration); allowed is at most ten years, and zero for never")
    }

    private static func require(
        _ value: Int?, in range: ClosedRange<Int>, _ place: String
    ) throws(GatewayError) {
        guard let value, !range.contains(value) else { return }
        throw GatewayError(
            .invalidConfiguration, "\(place): found \(value); allowed is \(range.lowerBound) to \(range.upperBound)")
    }

    private static func require(
        _ isFulfilled: Bool, _ message: @autoclosure () -> String
    ) throws(GatewayError) {
        guard isFulfilled else { throw GatewayError(.invalidConfiguration, message()) }
    }

    /// Proposals of one list at the most.
    private static let proposalLimit = 16
    /// Transforms of one proposal at the most: all proposals of a list fit one unfragmented message.
    private static let transformLimit = 128
    private static let durationLimit: Duration = .seconds(3650 * 86_400)
}
