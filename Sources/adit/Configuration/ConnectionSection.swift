// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import AditCrypto
internal import AditIKE
internal import AditWire

/// Reads `[connections.NAME]`.
struct ConnectionSection {
    let reader: TableReader
    let name: String
    let context: Context

    /// What a connection needs to know of the rest.
    struct Context {
        /// The configuration file's directory with its slash, for `psk_file`.
        var directory: String
        /// `install_routes`.
        var installRoutes: Bool
    }

    /// The connection; nil when it cannot be made because of errors, which are noted.
    func read() -> ConnectionConfiguration? {
        reader.checkKeys()
        checkName(name, of: "connection", path: reader.path)
        checkVersion()
        let authentication = AuthenticationReader(reader: reader, context: context).read()
        let remote = remoteAddresses()
        let allowLegacy = reader.boolean("allow_legacy") ?? false
        let shapes = childSections(anyPeer: remote?.isAny ?? false, allowLegacy: allowLegacy).map { $0.read() }
        let children = shapes.compactMap(\.self).flatMap(\.self)
        checkChildren(children)
        var connection = ConnectionConfiguration(
            name: name, authentication: authentication ?? .preSharedKey(SecretBytes([])), children: children)
        connection.remoteAddresses = remote?.addresses ?? []
        connection.remoteNames = remote?.names ?? []
        connection.localAddresses = addresses("local_addrs") ?? []
        connection.allowLegacy = allowLegacy
        if let port = reader.integer("remote_port", in: 1...65_535) { connection.remotePort = UInt16(port) }
        connection.localID = identity("local_id", mayBeAny: false)
        connection.remoteID = identity("remote_id", mayBeAny: true)
        let proposals = ProposalReader(reader: reader, allowLegacy: allowLegacy)
        if let list = proposals.read("proposals", .ike) { connection.proposals = list }
        if let delay = reader.duration("dpd_delay") { connection.dpdDelay = delay }
        if let action = reader.word("dpd_action", ConnectionConfiguration.DeadPeerAction.self) {
            connection.dpdAction = action
        }
        if let time = reader.duration("ike_rekey_time") { connection.ikeRekeyTime = time }
        if let time = reader.duration("reauth_time") { connection.reauthTime = time }
        if let policy = reader.word("childless", ConnectionConfiguration.ChildlessPolicy.self) {
            connection.childless = policy
        }
        if let policy = reader.word("unique", ConnectionConfiguration.UniquePolicy.self) { connection.unique = policy }
        if let flag = reader.boolean("encap") { connection.encap = flag }
        if let flag = reader.boolean("fragmentation") { connection.fragmentation = flag }
        if let flag = reader.boolean("mobike") { connection.mobike = flag }
        guard authentication != nil, remote != nil, !children.isEmpty, !shapes.contains(where: { $0 == nil }) else {
            return nil
        }
        warnOfNames(connection)
        return connection
    }

    /// The tunnel takes everything, and the peer's address has to be asked for outside of it.
    private func warnOfNames(_ connection: ConnectionConfiguration) {
        guard connection.remoteAddresses.isEmpty, !connection.remoteNames.isEmpty else { return }
        let selectors = connection.children.flatMap(\.remoteSelectors)
        guard selectors.contains(where: { $0.prefixes.contains { $0.length == 0 } }) else { return }
        reader.problems.warning(
            reader.path + ["remote_addrs"],
            "found only host names, and remote_ts takes every address; a name server that is not on a network of this "
                + "machine needs a host route outside the tunnel, or an address is needed beside the names")
    }

    /// Notes what is doubtful between connections: the same traffic twice, and more connections for one peer than are
    /// tried.
    static func compare(_ connections: [ConnectionConfiguration], _ problems: ConfigurationProblems) {
        compareTraffic(connections, problems)
        comparePeers(connections, problems)
    }

    /// Where several connections fit a peer, its proof tells which one it means; not all are tried.
    private static func comparePeers(_ connections: [ConnectionConfiguration], _ problems: ConfigurationProblems) {
        var known: [Peer: Rivals] = [:]
        var told: Set<Identity?> = []
        for connection in connections {
            let isAnywhere = connection.remoteAddresses.isEmpty || !connection.remoteNames.isEmpty
            let places: [IPAddress?] = isAnywhere ? [nil] : connection.remoteAddresses
            for place in Set(places) {
                let peer = Peer(
                    ours: connection.localID, at: connection.localAddresses, address: place,
                    identity: connection.remoteID)
                known[peer, default: Rivals()].add(connection.authentication.remote)
                let all = peer.wider.compactMap { known[$0] }
                let count = all.reduce(0) { $0 + $1.count }
                guard count > ConnectionConfiguration.proofLimit,
                    all.contains(where: { $0.differ || $0.first != all.first?.first }),
                    told.insert(connection.remoteID).inserted
                else { continue }
                problems.warning(
                    ["connections", connection.name, "remote_id"],
                    "\(count) connections fit one peer, and only the first \(ConnectionConfiguration.proofLimit) are "
                        + "tried; set another remote_id in each of them")
            }
        }
    }

    /// What a connection is found by.
    private struct Peer: Hashable {
        var ours: Identity?
        var at: [IPAddress]
        /// nil: anywhere.
        var address: IPAddress?
        /// nil: anybody.
        var identity: Identity?

        /// Itself, and what else its peer fits.
        var wider: Set<Peer> {
            [
                self, Peer(ours: ours, at: at, address: nil, identity: identity),
                Peer(ours: ours, at: at, address: address, identity: nil),
                Peer(ours: ours, at: at, address: nil, identity: nil),
            ]
        }
    }

    /// Connections that are found by the same.
    private struct Rivals {
        var count = 0
        var first: ConnectionConfiguration.Authentication.Remote?
        /// Whether their peers prove themselves by different secrets or authorities.
        var differ = false

        mutating func add(_ remote: ConnectionConfiguration.Authentication.Remote) {
            count += 1
            if let first { differ = differ || first != remote } else { first = remote }
        }
    }

    private static func compareTraffic(_ connections: [ConnectionConfiguration], _ problems: ConfigurationProblems) {
        var owners: [Pair: String] = [:]
        for connection in connections {
            for child in connection.children {
                for local in child.localSelectors {
                    for remote in child.remoteSelectors {
                        let pair = Pair(local: local, remote: remote)
                        guard let owner = owners[pair], owner != connection.name else {
                            owners[pair] = connection.name
                            continue
                        }
                        problems.warning(
                            ["connections", connection.name, "remote_ts"],
                            "\(local) to \(remote) also belongs to connection \"\(owner)\", which comes first"
                        )
                    }
                }
            }
        }
    }

    private struct Pair: Hashable {
        var local: TrafficSelector
        var remote: TrafficSelector
    }

    private func checkVersion() {
        guard let version = reader.integer("version", in: Int.min...Int.max), version != 2 else { return }
        let found = version == 1 ? "1: IKEv1 is not supported by this version" : "\(version)"
        reader.refuse("version", found: found)
    }

    /// Where the peer is.
    private struct Remote {
        var addresses: [IPAddress] = []
        var names: [RemoteName] = []
        var isAny: Bool { addresses.isEmpty && names.isEmpty }
    }

    /// Where the peer is; nil after an error.
    private func remoteAddresses() -> Remote? {
        guard reader.has("remote_addrs") else { return Remote() }
        guard let items = reader.strings("remote_addrs", limit: addressLimit) else { return nil }
        if items.contains(where: { $0.text == anyPeer }) {
            guard items.count == 1 else {
                reader.refuse("remote_addrs", found: "\"%any\" beside other addresses")
                return nil
            }
            return Remote()
        }
        var remote = Remote()
        var isRefused = false
        for item in items {
            if let address = IPAddress(item.text) {
                remote.addresses.append(address)
            } else if isHostName(item.text) {
                remote.names.append(RemoteName(item.text, position: remote.addresses.count))
            } else {
                reader.refuse("remote_addrs", found: quoted(item.text), item: item.index)
                isRefused = true
            }
        }
        return isRefused ? nil : remote
    }

    /// RFC 1123 §2.1: labels of letters, digits and hyphens (and the underscore that some use); the last one is no
    /// number, so that a mistyped address is not looked up.
    private func isHostName(_ text: String) -> Bool {
        let name = text.hasSuffix(".") ? text.dropLast() : text[...]
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...253).contains(name.utf8.count), let last = labels.last, !last.utf8.allSatisfy(isDigit) else {
            return false
        }
        return labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
                && label.utf8.allSatisfy {
                    isDigit($0) || isLetter($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
                }
        }
    }

    private func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte | 0x20) }

    private func addresses(_ key: String) -> [IPAddress]? {
        guard let items = reader.strings(key, limit: addressLimit, mayBeEmpty: true) else { return nil }
        return items.count == 1 && items[0].text == anyPeer ? [] : parse(items, key)
    }

    private func parse(_ items: [TableReader.Item], _ key: String) -> [IPAddress]? {
        let addresses = items.map { item -> IPAddress? in
            guard let address = IPAddress(item.text) else {
                reader.refuse(key, found: quoted(item.text), item: item.index)
                return nil
            }
            return address
        }
        return addresses.contains(nil) ? nil : addresses.compactMap(\.self)
    }

    private func identity(_ key: String, mayBeAny: Bool) -> Identity? {
        guard let text = reader.string(key) else { return nil }
        if mayBeAny, text == anyPeer { return nil }
        guard text.utf8.count <= identityLimit else {
            reader.problems.error(
                reader.path + [key], "found a text of \(text.utf8.count) bytes; allowed are \(identityLimit)")
            return nil
        }
        let identity = Identity(text)
        if identity == nil { reader.refuse(key, found: quoted(text)) }
        return identity
    }

    private func childSections(anyPeer: Bool, allowLegacy: Bool) -> [ChildSection] {
        let tables = reader.namedTables("children")
        let common = ChildSection.Common(
            connection: reader, anyPeer: anyPeer, allowLegacy: allowLegacy, installRoutes: context.installRoutes)
        guard reader.has("children") else { return [ChildSection(own: nil, name: name, common: common)] }
        if reader.isEmptyTable("children") { reader.refuse("children", found: "no child") }
        if tables.count > childLimit {
            reader.refuse("children", found: "\(tables.count) children, more than \(childLimit)")
        }
        return tables.prefix(childLimit).map { name, table in
            let own = TableReader(
                table: table, path: reader.path + ["children", name], keys: ConfigurationKey.child,
                problems: reader.problems)
            own.checkKeys()
            checkName(name, of: "child", path: own.path)
            return ChildSection(own: own, name: name, common: common)
        }
    }

    private func checkChildren(_ children: [ChildConfiguration]) {
        if children.count > childLimit {
            reader.problems.error(
                reader.path, "\(children.count) Child SAs with ts_shape \"per-pair\"; allowed are \(childLimit)")
        }
        if children.count > 1, let child = children.first(where: \.anyToAny) {
            reader.problems.error(
                reader.path + (reader.has("children") ? ["children", child.name] : []) + ["ts_shape"],
                "found \"any-to-any\" beside other children; allowed is one child, as it takes all addresses")
        }
        for (index, child) in children.enumerated() {
            let twin = children[..<index].first {
                $0.localSelectors == child.localSelectors && $0.remoteSelectors == child.remoteSelectors
            }
            guard let twin else { continue }
            reader.problems.error(
                reader.path + ["children", child.name],
                "the same selectors as child \"\(twin.name)\"; each child needs its own local_ts and remote_ts")
        }
    }

    private func checkName(_ name: String, of kind: String, path: [String]) {
        let fits = (1...nameLimit).contains(name.utf8.count)
        let isPlain = name.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                || "_-.@".utf8.contains(byte)
        }
        guard !fits || !isPlain || name.hasPrefix("-") else { return }
        reader.problems.error(
            path, "found a \(kind) named \(quoted(name)); allowed are 1 to \(nameLimit) letters, digits, _ - . @")
    }

    private let anyPeer = "%any"
    private let addressLimit = 32
    private let childLimit = 256
    private let identityLimit = 1024
    private let nameLimit = 64
}
