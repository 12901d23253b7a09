// SPDX-License-Identifier: Apache-2.0
// Adit: aditCommandTests

import AditCrypto
import AditIKE
import AditWire
import Testing

@testable import Adit
@testable import adit

/// The lines that `adit check` prints for a text.
private func lines(_ text: String) -> [String] {
    ConfigurationFile.parse(Array(text.utf8), file: "t.toml").problems.map(\.description)
}

private let secret = "0123456789abcdefghijkl"

/// A connection without fault whose keys can be added to.
private func connection(_ more: String = "", remote: String = "\"192.0.2.2\"") -> String {
    """
    [connections.hq]
    remote_addrs = \(remote)
    psk = "\(secret)"
    local_ts = "10.1.0.0/16"
    remote_ts = "10.2.0.0/16"
    \(more)
    """
}

@Suite struct ConfigurationFileTests {
    @Test func everyKeyArrives() throws {
        let text = """
            [gateway]
            interface = "adit7"
            address = ["10.1.0.1/24", "2001:db8::1/64"]
            mtu = 1400
            listen = "192.0.2.1"
            ike_port = 5500
            nat_port = 5501
            workers = 2
            nice = -5
            offloads = ["gso", "tso"]
            control = "/run/x.sock"
            install_routes = false
            retransmit_timeout = "2s"
            retransmit_tries = 3
            keep_alive = "10s"
            log_level = "debug"

            [connections.hq]
            version = 2
            local_addrs = ["192.0.2.1"]
            remote_addrs = ["192.0.2.2", "2001:db8::2"]
            remote_port = 5500
            local_id = "paris.example.com"
            remote_id = "alice@example.com"
            psk = "0x00ff"
            proposals = ["aes256gcm16-prfsha384-ecp384", "aes128-sha256-modp2048"]
            dpd_delay = "5m"
            dpd_action = "clear"
            ike_rekey_time = "8h"
            reauth_time = "1d"
            childless = "prefer"
            unique = "keep"
            encap = false
            fragmentation = false
            allow_legacy = true

            [connections.hq.children.a]
            local_ts = ["10.1.0.0/16", "10.9.0.1-10.9.0.7[tcp/80]"]
            remote_ts = "10.2.0.0/16"
            esp_proposals = "aes128gcm16-x25519"
            start_action = "start"
            rekey_time = "1d"
            rekey_bytes = 1000000
            rekey_packets = 5000
            replay_window = 128
            esn = false
            ts_shape = "any-to-any"
            inactivity = "10m"
            mss_clamp = false
            copy_dscp = false
            copy_ecn = false
            """
        let file = ConfigurationFile.parse(Array(text.utf8), file: "t.toml")
        #expect(file.errors.map(\.description) == [])
        let gateway = try #require(file.gateway)
        #expect(gateway.interface == "adit7")
        #expect(gateway.addresses.map(\.description) == ["10.1.0.1/24", "2001:db8::1/64"])
        #expect(gateway.mtu == 1400 && gateway.workers == 2 && gateway.niceness == -5 && !gateway.installRoutes)
        #expect(gateway.offloads == [.tso, .gso])
        #expect(gateway.retransmitTimeout == .seconds(2) && gateway.retransmitTries == 3)
        #expect(gateway.keepAlive == .seconds(10))
        #expect(gateway.listen.map(\.description) == ["192.0.2.1"])
        #expect(gateway.ikePort == 5500 && gateway.natPort == 5501)
        #expect(file.settings == .init(control: "/run/x.sock", logLevel: .debug))
        let hq = try #require(gateway.connections.first)
        #expect(hq.name == "hq" && hq.remotePort == 5500 && hq.allowLegacy && !hq.encap && !hq.fragmentation)
        #expect(hq.localAddresses.map(\.description) == ["192.0.2.1"])
        #expect(hq.remoteAddresses.map(\.description) == ["192.0.2.2", "2001:db8::2"])
        #expect(hq.localID == .fqdn("paris.example.com") && hq.remoteID == .email("alice@example.com"))
        #expect(hq.authentication == .preSharedKey(SecretBytes([0, 0xff])))
        #expect(
            hq.proposals.map(\.description) == ["aes256gcm16-prfsha384-ecp384", "aes128-prfsha256-sha256-modp2048"])
        #expect(hq.dpdDelay == .seconds(300) && hq.dpdAction == .clear && hq.ikeRekeyTime == .seconds(28_800))
        #expect(hq.reauthTime == .seconds(86_400) && hq.childless == .prefer && hq.unique == .keep)
        let child = try #require(hq.children.first)
        #expect(child.anyToAny && child.inactivity == .seconds(600))
        #expect(child.name == "a" && child.startAction == .start && child.rekeyTime == .seconds(86_400))
        #expect(child.localSelectors.map(\.description) == ["10.1.0.0/16", "10.9.0.1-10.9.0.7[tcp/80]"])
        #expect(child.remoteSelectors.map(\.description) == ["10.2.0.0/16"])
        #expect(child.rekeyBytes == 1_000_000 && child.rekeyPackets == 5000 && child.replayWindow == 128)
        #expect(!child.esn && !child.clampMSS && !child.copyDSCP && !child.copyECN)
    }

    @Test func defaultsAreTheLibrarys() throws {
        let file = ConfigurationFile.parse(Array(connection().utf8), file: "t.toml")
        #expect(file.problems.isEmpty)
        let gateway = try #require(file.gateway)
        var expected = GatewayConfiguration()
        var child = ChildConfiguration(name: "hq", localSelectors: [], remoteSelectors: [])
        child.localSelectors = ["10.1.0.0/16"].compactMap { TrafficSelector($0) }
        child.remoteSelectors = ["10.2.0.0/16"].compactMap { TrafficSelector($0) }
        var hq = ConnectionConfiguration(
            name: "hq", authentication: .preSharedKey(SecretBytes(secret.utf8)), children: [child])
        hq.remoteAddresses = ["192.0.2.2"].compactMap { IPAddress($0) }
        expected.connections = [hq]
        #expect(gateway == expected)
    }

    @Test(arguments: [
        ("retransmit_timeout = \"0s\"", "found \"0s\"; allowed is a duration from \"1s\" to \"1m\""),
        ("retransmit_timeout = \"2m\"", "found \"2m\"; allowed is a duration from \"1s\" to \"1m\""),
        ("retransmit_tries = 0", "found the number 0; allowed is a number from 1 to 12"),
        ("keep_alive = \"2h\"", "found \"2h\"; allowed is a duration of at most \"1h\", \"0s\" for never"),
    ])
    func timesOfTheGateway(_ line: String, _ said: String) {
        let found = lines("[gateway]\n\(line)\n" + connection())
        #expect(found == ["t.toml:2: gateway.\(line.prefix { $0 != " " }): \(said)"])
    }

    @Test func everyErrorAtOnceInOrderOfTheLines() {
        let found = lines(
            """
            [gateway]
            interfaces = "adit0"
            mtu = 10
            metrics = "192.0.2.1:9500"
            listen = ["192.0.2.1",
              "192.0.2.400"]
            [connections.hq]
            remote_adrs = ["192.0.2.7"]
            psk = 1234
            local_ts = ["10.1.0.0/16"]
            remote_ts = [
              "10.3.0.0/16", # fine
              "10.1.2.0/24",
              "bogus",
            ]
            start_action = "started"
            version = 1
            """)
        #expect(
            found == [
                "t.toml:2: gateway.interfaces: unknown key; did you mean \"interface\"?",
                "t.toml:3: gateway.mtu: found the number 10; allowed is \"auto\" or a number from 576 to 65535",
                "t.toml:4: gateway.metrics: found \"192.0.2.1:9500\"; allowed is a loopback address and a port, for "
                    + "example \"127.0.0.1:9500\"",
                "t.toml:6: gateway.listen: found \"192.0.2.400\"; allowed is a list of IPv4 or IPv6 addresses",
                "t.toml:8: connections.hq.remote_adrs: unknown key; did you mean \"remote_addrs\"?",
                "t.toml:9: connections.hq.psk: found a number; allowed is a string of 1 to 4096 bytes; 0x… is "
                    + "hexadecimal, 0s… is base64",
                "t.toml:13: connections.hq.remote_ts: found 10.1.2.0/24, which overlaps 10.1.0.0/16 in local_ts; the "
                    + "two sides' ranges must be disjoint",
                "t.toml:14: connections.hq.remote_ts: found \"bogus\"; allowed is a prefix, an address or FIRST-LAST, "
                    + "each optionally with [PROTOCOL/PORT]",
                "t.toml:16: connections.hq.start_action: found \"started\"; allowed is \"start\", \"trap\" or \"none\" "
                    + "(did you mean \"start\"?)",
                "t.toml:17: connections.hq.version: found 1: IKEv1 is not supported by this version; allowed is 2 "
                    + "(IKEv2)",
            ])
    }

    /// Keys added to a good connection, and what the one error about them says; they begin at line 6.
    static let faults: [(String, String)] = [
        ("local_addrs = \"vpn.example.com\"", "local_addrs: found \"vpn.example.com\"; allowed is a list of IPv4"),
        ("local_addrs = [\"10.0.0.1\", 5]", "local_addrs: found the number 5 in the list; allowed is a list of IPv4"),
        (
            "local_id = \"\(String(repeating: "a", count: 1025))\"",
            "local_id: found a text of 1025 bytes; allowed are 1024"
        ),
        ("local_id = \"a b\"", "local_id: found \"a b\"; allowed is a domain name"),
        ("remote_port = 0", "remote_port: found the number 0; allowed is a number from 1 to 65535"),
        ("proposals = []", "proposals: found an empty list; allowed is a list of 1 to 16 IKE proposals"),
        ("proposals = \"aes128gcm61-prfsha256-x25519\"", "did you mean \"aes128gcm16\"?"),
        ("proposals = \"aes128-sha1-modp1024\"", "allow_legacy = true"),
        ("proposals = \"3des-sha1-modp2048\"", "\"3des\" is weak and needs allow_legacy = true"),
        ("proposals = \"aes128-md5-modp2048\"", "\"md5\" is weak and needs allow_legacy = true"),
        ("esp_proposals = \"3des-md5\"", "\"3des\" is weak and needs allow_legacy = true"),
        ("dpd_delay = \"30\"", "dpd_delay: found \"30\"; allowed is a duration such as \"30s\""),
        ("dpd_delay = 30", "dpd_delay: found the number 30; allowed is a duration"),
        ("dpd_delay = \"99999999999d\"", "dpd_delay: found \"99999999999d\"; allowed is a duration"),
        ("dpd_action = \"hold\"", "dpd_action: found \"hold\"; allowed is \"restart\", \"trap\" or \"clear\""),
        ("encap = \"yes\"", "encap: found \"yes\"; allowed is true or false"),
        ("replay_window = 63", "replay_window: found the number 63; allowed is a number from 64 to 65536"),
        ("replay_window = 65537", "replay_window: found the number 65537;"),
        ("replay_window = 64.0", "replay_window: found a number with a fraction;"),
        ("replay_window = 2026-11-23", "replay_window: found a date or time;"),
        ("rekey_bytes = -1", "rekey_bytes: found the number -1; allowed is a number from 1"),
        ("ts_shape = \"per-pear\"", "ts_shape: found \"per-pear\"; allowed is \"combined\", \"per-pair\" or"),
        ("inactivity = 600", "inactivity: found the number 600; allowed is a duration"),
        ("childless = \"no\"", "childless: found \"no\"; allowed is \"allow\", \"prefer\", \"force\" or \"never\""),
        ("unique = \"no\"", "unique: found \"no\"; allowed is \"replace\", \"keep\" or \"never\""),
        ("reauth_time = \"soon\"", "reauth_time: found \"soon\"; allowed is a duration"),
        ("psk_file = \"x.psk\"", "psk_file: found beside psk; allowed is one of psk and psk_file"),
        ("version = 3", "version: found 3; allowed is 2 (IKEv2)"),
        ("replaywindow = 64", "replaywindow: unknown key; did you mean \"replay_window\"?"),
        ("mtu = 1400", "mtu: unknown key; it belongs in [gateway]"),
        ("colour = 1", "colour: unknown key; allowed here: version, local_addrs,"),
        ("children = {}", "children: found no child; allowed is a table of children"),
        ("children.a = 1", "children.a: found the number 1; allowed is a table of children"),
        ("children.a.psk = \"x\"", "children.a.psk: unknown key; it belongs in [connections.NAME]"),
        ("children.\"a b\".esn = true", "children.\"a b\": found a child named \"a b\"; allowed are 1 to 64 letters"),
    ]

    @Test(arguments: faults) func eachFault(added: String, message: String) {
        let found = ConfigurationFile.parse(Array(connection(added).utf8), file: "t.toml")
        #expect(found.gateway == nil)
        #expect(found.errors.count == 1, "\(found.errors.map(\.description))")
        #expect(found.errors.first?.description.hasPrefix("t.toml:6: connections.hq.") == true)
        #expect(found.errors.first?.description.contains(message) == true, "\(found.errors.map(\.description))")
    }

    @Test func anyPeerCannotStart() {
        let found = lines(connection("start_action = \"start\"", remote: "[\"%any\"]"))
        #expect(found.count == 1)
        #expect(
            found.first?.hasPrefix("t.toml:6: connections.hq.start_action: found \"start\" with remote_addrs") == true)
        let file = ConfigurationFile.parse(Array(connection(remote: "\"%any\"").utf8), file: "t.toml")
        #expect(file.gateway?.connections.first?.children.first?.startAction == ChildConfiguration.StartAction.none)
        #expect(file.gateway?.connections.first?.remoteAddresses == [])
        #expect(
            lines(connection(remote: "[\"%any\", \"192.0.2.1\"]")).first?.contains("beside other addresses") == true)
    }

    @Test func childrenInheritAndTwinsAreRefused() throws {
        let text = connection(
            """
            start_action = "none"
            [connections.hq.children.b]
            remote_ts = "10.3.0.0/16"
            [connections.hq.children.a]
            start_action = "start"
            """)
        let gateway = try #require(ConfigurationFile.parse(Array(text.utf8), file: "t.toml").gateway)
        let children = try #require(gateway.connections.first).children
        #expect(children.map(\.name) == ["b", "a"], "in the order of the file")
        #expect(children.map(\.startAction) == [.some(ChildConfiguration.StartAction.none), .start].compactMap(\.self))
        #expect(children.map { $0.remoteSelectors[0].description } == ["10.3.0.0/16", "10.2.0.0/16"])
        let twins = lines(connection("[connections.hq.children.a]\n[connections.hq.children.b]"))
        #expect(twins.count == 1)
        #expect(
            twins.first?.hasPrefix("t.toml:7: connections.hq.children.b: the same selectors as child \"a\"") == true)
    }

    @Test func aChildForEachPairOfSelectors() throws {
        let both = """
            ts_shape = "per-pair"
            local_ts = ["10.1.0.0/16", "10.3.0.0/16", "fd01::/64"]
            remote_ts = ["10.2.0.0/16", "fd02::/64", "10.4.0.0/16"]
            """
        let text = connection().split(separator: "\n").filter { !$0.contains("_ts") }.joined(separator: "\n")
        let file = ConfigurationFile.parse(Array("\(text)\n\(both)".utf8), file: "t.toml")
        #expect(file.errors.map(\.description) == [])
        let children = try #require(file.gateway?.connections.first?.children)
        #expect(children.map(\.name) == ["hq#1", "hq#2", "hq#3", "hq#4", "hq#5"])
        let pairs = children.map { "\($0.localSelectors) \($0.remoteSelectors)" }
        #expect(
            pairs == [
                "[10.1.0.0/16] [10.2.0.0/16]", "[10.1.0.0/16] [10.4.0.0/16]", "[10.3.0.0/16] [10.2.0.0/16]",
                "[10.3.0.0/16] [10.4.0.0/16]", "[fd01::/64] [fd02::/64]",
            ])
        // 17 × 16 pairs are more than a connection may have.
        let many = { (count: Int, site: Int) in
            (0..<count).map { "\"10.\(site).\($0).0/24\"" }.joined(separator: ", ")
        }
        let tooMany = "ts_shape = \"per-pair\"\nlocal_ts = [\(many(17, 1))]\nremote_ts = [\(many(16, 2))]"
        let refused = ConfigurationFile.parse(Array("\(text)\n\(tooMany)".utf8), file: "t.toml")
        #expect(refused.errors.map(\.message) == ["272 Child SAs with ts_shape \"per-pair\"; allowed are 256"])
    }

    @Test func anyToAnyStandsAlone() {
        let lines = connection().split(separator: "\n").filter { !$0.contains("_ts") }
        let text =
            lines.joined(separator: "\n") + """

                ts_shape = "any-to-any"
                [connections.hq.children.a]
                local_ts = ["10.1.0.0/16"]
                remote_ts = ["10.2.0.0/16"]
                [connections.hq.children.b]
                local_ts = ["10.3.0.0/16"]
                remote_ts = ["10.2.0.0/16"]
                """
        let file = ConfigurationFile.parse(Array(text.utf8), file: "t.toml")
        #expect(file.errors.count == 1)
        #expect(file.errors.first?.message.hasPrefix("found \"any-to-any\" beside other children") == true)
    }

    @Test func missingParts() {
        #expect(lines("") == ["t.toml:1: connections: no connection; at least one [connections.NAME] is needed"])
        #expect(lines("[gateway]\n").count == 1)
        let found = lines("\n[connections.hq]\n")
        #expect(
            found.count == 3 && found.allSatisfy { $0.hasPrefix("t.toml:2: connections.hq.") && $0.contains("missing") }
        )
        #expect(lines("[conections.hq]").first == "t.toml:1: conections: unknown key; did you mean \"connections\"?")
    }

    @Test func syntaxErrorsHaveALine() {
        for (text, line) in [
            ("[gateway]\nmtu = = 5\n", 2), ("[gateway\n", 1), ("[gateway]\ncontrol = \"x\n", 2),
            ("\n\n[gateway]\n[gateway]\n", 4), ("[gateway]\nmtu = 1400\nmtu = 1400\n", 3),
            ("[connections.a]\n[connections.a]\n", 2),
        ] {
            let found = lines(text).filter { $0.contains("not valid TOML") }
            #expect(found.count == 1 && found[0].hasPrefix("t.toml:\(line): not valid TOML: "), "\(text): \(found)")
        }
    }

    @Test func syntaxErrorsHideNoOthersAndCauseNone() {
        let found = lines(
            """
            [connections.hq]
            remote_addrs = "192.0.2.2
            psk = 0123456789abcdefghijkl
            local_ts = ["10.1.0.0/16" "10.4.0.0/16"]
            remote_ts = "10.2.0.0/99"
            """)
        #expect(
            found == [
                "t.toml:2: not valid TOML: the string does not end",
                "t.toml:3: not valid TOML: expected a value; a text needs quotes",
                "t.toml:4: not valid TOML: expected , or ] in the list",
                "t.toml:5: connections.hq.remote_ts: found \"10.2.0.0/99\"; allowed is a prefix, an address or "
                    + "FIRST-LAST, each optionally with [PROTOCOL/PORT]",
            ])
    }

    @Test func portsMustDiffer() {
        let found = lines("[gateway]\nike_port = 4500\n" + connection())
        #expect(found.count == 1 && found[0].hasPrefix("t.toml:2: gateway.ike_port: found 4500 for both ports"))
    }

    @Test func warningsAreNoErrors() {
        let file = ConfigurationFile.parse(
            Array(
                """
                [connections.a]
                remote_addrs = "192.0.2.2"
                psk = "short"
                local_ts = "10.1.0.7/16"
                remote_ts = "0.0.0.0/0"
                allow_legacy = true
                proposals = "aes128-sha1-modp1024"
                esp_proposals = ["aes128-sha256", "3des-md5"]
                [connections.b]
                remote_addrs = "192.0.2.3"
                psk = "\(secret)"
                local_ts = "10.1.0.0/16"
                remote_ts = "0.0.0.0/0"
                """.utf8), file: "t.toml", readableByOthers: true)
        #expect(file.gateway != nil && file.errors.isEmpty)
        let found = file.problems.map(\.description)
        for words in [
            "t.toml:3: warning: connections.a.psk: this file can be read by others; chmod 600 t.toml",
            "t.toml:3: warning: connections.a.psk: the secret has 5 bytes and can be guessed",
            "t.toml:4: warning: connections.a.local_ts: \"10.1.0.7/16\" has bits after its length; 10.1.0.0/16 is",
            "t.toml:5: warning: connections.a.remote_ts: 0.0.0.0/0 with install_routes",
            "t.toml:7: warning: connections.a.proposals: \"aes128-sha1-modp1024\" has legacy algorithms",
            "t.toml:8: warning: connections.a.esp_proposals: \"3des-md5\" has legacy algorithms, which are no "
                + "longer safe: 3des, md5",
            "t.toml:13: warning: connections.b.remote_ts: 10.1.0.0/16 to 0.0.0.0/0 also belongs to connection \"a\"",
        ] {
            #expect(found.contains { $0.hasPrefix(words) }, "\(words) in \(found)")
        }
    }

    @Test("more connections for one peer than are tried are warned of, once, and where their secrets differ")
    func manyConnectionsOfOnePeer() {
        func warnings(_ count: Int, remote: String = "\"%any\"", _ more: (Int) -> String = { _ in "" }) -> [String] {
            let text = (0..<count).map { index in
                """
                [connections.c\(index)]
                remote_addrs = \(remote)
                psk = "\(secret) \(index)"
                local_ts = "10.1.0.0/16"
                remote_ts = "10.2.\(index).0/24"
                start_action = "none"
                \(more(index))
                """
            }
            let file = ConfigurationFile.parse(Array(text.joined(separator: "\n").utf8), file: "t.toml")
            return file.problems.map(\.description)
        }
        #expect(warnings(8) == [])
        let found = warnings(12)
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.contains("warning: connections.c8.remote_id: 9 connections fit one peer") == true)
        #expect(warnings(9, remote: "[\"192.0.2.1\", \"192.0.2.2\"]").count == 1)
        #expect(warnings(9) { "remote_id = \"p\($0).example\"" } == [])
        #expect(warnings(9) { "local_id = \"us\($0).example\"" } == [])
        #expect(warnings(9) { $0 == 8 ? "remote_id = \"p.example\"" : "" }.count == 1)
    }

    @Test func aSecretNeverGetsIntoAMessage() {
        for value in [
            "31337", "31337abc", "\"31337\\x\"", "\"31337", "true", "[\"31337\"]", "\"0x31337\"", "\"0s31337\"",
            "{ a = 31337 }", "31337.5",
        ] {
            let text = connection().replacing("\"\(secret)\"", with: value)
            #expect(!lines(text).joined().contains("31337"), "\(value)")
            #expect(lines(text).contains { $0.hasPrefix("t.toml:3: ") })
        }
    }
}

extension String {
    fileprivate func replacing(_ part: String, with other: String) -> String {
        split(separator: part, omittingEmptySubsequences: false).joined(separator: other)
    }
}
