// SPDX-License-Identifier: Apache-2.0
// Adit: adit

/// One key of the configuration file: the only list of keys, which the parser and CONFIGURATION.md are checked against.
struct ConfigurationKey: Sendable {
    /// The name, as written in the file.
    var name: String
    /// What is allowed, as a message says it.
    var allowed: String
    /// The default as CONFIGURATION.md prints it; empty when the key is required or off.
    var defaultText: String
    /// Why this version refuses the key; nil when it does not.
    var unsupported: String?

    init(_ name: String, _ allowed: String, _ defaultText: String = "", unsupported: String? = nil) {
        self.name = name
        self.allowed = allowed
        self.defaultText = defaultText
        self.unsupported = unsupported
    }
}

extension ConfigurationKey {
    /// The tables at the top of a file.
    static let tables = [
        ConfigurationKey("gateway", "a table: [gateway]"),
        ConfigurationKey("connections", "a table of connections: [connections.NAME]"),
    ]

    /// `[gateway]`
    static let gateway = [
        ConfigurationKey("interface", "a device name of 1 to 15 characters without space or \"/\"", "\"adit0\""),
        ConfigurationKey("address", "a list of ADDRESS/LENGTH, for example [\"10.1.0.1/24\"]", "[]"),
        ConfigurationKey("mtu", "\"auto\" or a number from 576 to 65535", "\"auto\""),
        ConfigurationKey("listen", "a list of IPv4 or IPv6 addresses", "[] (all)"),
        ConfigurationKey("ike_port", "a number from 1 to 65535", "500"),
        ConfigurationKey("nat_port", "a number from 1 to 65535, other than ike_port", "4500"),
        ConfigurationKey("workers", "\"auto\" or a number from 1 to 64", "\"auto\""),
        ConfigurationKey("nice", "a number from -20 to 19", "-10"),
        ConfigurationKey(
            "offloads", "a list of \"tun\", \"tso\", \"uso\", \"gso\" and \"gro\"",
            "[\"tun\", \"gso\", \"gro\"]"),
        ConfigurationKey("control", "an absolute path of at most 107 bytes", "\"/run/adit/control.sock\""),
        ConfigurationKey("metrics", "a loopback address and a port, for example \"127.0.0.1:9500\""),
        ConfigurationKey("install_routes", "true or false", "true"),
        ConfigurationKey("retransmit_timeout", "a duration from \"1s\" to \"1m\"", "\"1s\""),
        ConfigurationKey("retransmit_tries", "a number from 1 to 12", "6"),
        ConfigurationKey("keep_alive", "a duration of at most \"1h\", \"0s\" for never", "\"20s\""),
        ConfigurationKey("log_level", quotedList(LogThreshold.words), "\"info\""),
    ]

    /// `[connections.NAME]`, besides the keys of a child.
    static let connection = [
        ConfigurationKey("version", "2 (IKEv2)", "2"),
        ConfigurationKey("local_addrs", "a list of IPv4 or IPv6 addresses", "[] (the route decides)"),
        ConfigurationKey("remote_addrs", "a list of IPv4 or IPv6 addresses and host names, or \"%any\"", "\"%any\""),
        ConfigurationKey("remote_port", "a number from 1 to 65535", "500"),
        ConfigurationKey("local_id", identityForms, "the certificate's subject, else our outer address"),
        ConfigurationKey("remote_id", identityForms + ", or \"%any\"", "\"%any\""),
        ConfigurationKey("psk", "a string of 1 to 4096 bytes; 0x… is hexadecimal, 0s… is base64"),
        ConfigurationKey("psk_file", "the path of a file that only its owner can read"),
        ConfigurationKey("cert_file", "the path of a file of certificates (PEM), our own first"),
        ConfigurationKey("key_file", "the path of a file with a private key (PEM) that only its owner can read"),
        ConfigurationKey("key_passphrase_file", "the path of a file that only its owner can read"),
        ConfigurationKey("ca_file", "the path of a file of certificates (PEM)"),
        ConfigurationKey("crl_file", "the path of a file of revocation lists (PEM)"),
        ConfigurationKey(
            "proposals", "a list of 1 to 16 IKE proposals, for example [\"aes256gcm16-prfsha384-x25519\"]",
            "see below"),
        ConfigurationKey("dpd_delay", durationForms, "\"30s\""),
        ConfigurationKey("dpd_action", "\"restart\", \"trap\" or \"clear\"", "\"restart\""),
        ConfigurationKey("ike_rekey_time", durationForms, "\"4h\""),
        ConfigurationKey("reauth_time", durationForms, "\"0s\""),
        ConfigurationKey("childless", "\"allow\", \"prefer\", \"force\" or \"never\"", "\"allow\""),
        ConfigurationKey("unique", "\"replace\", \"keep\" or \"never\"", "\"replace\""),
        ConfigurationKey("encap", "true or false", "true"),
        ConfigurationKey("fragmentation", "true or false", "true"),
        ConfigurationKey("mobike", "true or false", "true"),
        ConfigurationKey("allow_legacy", "true or false", "false"),
        ConfigurationKey("children", "a table of children: [connections.NAME.children.CHILD]"),
    ]

    /// `[connections.NAME.children.CHILD]`; at the connection they are the defaults for its children.
    static let child = [
        ConfigurationKey("local_ts", "a list of 1 to 255 selectors, for example [\"10.1.0.0/16\"]"),
        ConfigurationKey("remote_ts", "a list of 1 to 255 selectors, for example [\"10.2.0.0/16\"]"),
        ConfigurationKey(
            "esp_proposals", "a list of 1 to 16 ESP proposals, for example [\"aes128gcm16-x25519\"]", "see below"),
        ConfigurationKey("start_action", "\"start\", \"trap\" or \"none\"", "\"trap\""),
        ConfigurationKey("rekey_time", durationForms, "\"1h\""),
        ConfigurationKey("rekey_bytes", "a number from 1", "no limit"),
        ConfigurationKey("rekey_packets", "a number from 1", "what the sequence number allows"),
        ConfigurationKey("replay_window", "a number from 64 to 65536", "4096"),
        ConfigurationKey("esn", "true or false", "true"),
        ConfigurationKey("ts_shape", quotedList(TrafficShape.allCases.map(\.rawValue)), "\"combined\""),
        ConfigurationKey("inactivity", durationForms, "\"0s\""),
        ConfigurationKey("mss_clamp", "true or false", "true"),
        ConfigurationKey("copy_dscp", "true or false", "true"),
        ConfigurationKey("copy_ecn", "true or false", "true"),
    ]

    /// The table in which the key `name` belongs; nil when no table has it.
    static func home(of name: String) -> String? {
        if gateway.contains(where: { $0.name == name }) { return "[gateway]" }
        return (connection + child).contains { $0.name == name } ? "[connections.NAME]" : nil
    }

    /// The valid key that `word` was most likely meant to be.
    static func nearest(to word: String, among keys: [ConfigurationKey]) -> String? {
        nearestWord(to: word, among: keys.map(\.name))
    }

    private static let identityForms =
        "a domain name, an address, user@domain, a name such as \"C=CH, CN=paris\", keyid:HEX or asn1dn:#HEX"
    private static let durationForms =
        "a duration such as \"30s\", \"5m\", \"8h\" or \"1d\", at most \"3650d\", \"0s\" for never"
}

/// `"a", "b" or "c"`.
func quotedList(_ words: [String]) -> String {
    let shown = words.map { "\"\($0)\"" }
    guard let last = shown.last, shown.count > 1 else { return shown.first ?? "" }
    return shown.dropLast().joined(separator: ", ") + " or " + last
}

/// The word with the smallest edit distance, the first of several; nil when all are further away than half of the
/// longer word.
func nearestWord(to word: String, among words: [String]) -> String? {
    guard word.utf8.count <= nearestLengthLimit else { return nil }
    let scored = words.map { (word: $0, distance: editDistance(word, $0)) }
    guard let best = scored.min(by: { $0.distance < $1.distance }) else { return nil }
    return best.distance * 2 <= max(word.utf8.count, best.word.utf8.count) ? best.word : nil
}

/// How many insertions, deletions, replacements and swaps of neighbours make one text of the other.
func editDistance(_ left: String, _ right: String) -> Int {
    let left = Array(left.lowercased().utf8)
    let right = Array(right.lowercased().utf8)
    var beforeLast: [Int] = []
    var last = Array(0...right.count)
    for (row, byte) in left.enumerated() {
        var next = [row + 1]
        for (column, other) in right.enumerated() {
            var cost = min(last[column + 1] + 1, next[column] + 1, last[column] + (byte == other ? 0 : 1))
            if row > 0, column > 0, byte == right[column - 1], other == left[row - 1] {
                cost = min(cost, beforeLast[column - 1] + 1)
            }
            next.append(cost)
        }
        beforeLast = last
        last = next
    }
    return last[right.count]
}

private let nearestLengthLimit = 64
