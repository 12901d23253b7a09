// SPDX-License-Identifier: Apache-2.0
// Adit: aditCommandTests

import Testing

@testable import Adit
@testable import AditIKE
@testable import adit

/// What a reload says that it will do.
@Suite struct ReloadPlanTests {
    private func file(_ text: String) throws -> ConfigurationFile {
        let file = ConfigurationFile.parse(Array(text.utf8), file: "t.toml")
        #expect(file.errors.map(\.description) == [])
        return file
    }

    private func connection(_ name: String, _ more: String = "", psk: String = "0123456789abcdefghijkl") -> String {
        """
        [connections.\(name)]
        psk = "\(psk)"
        \(more)

        """
    }

    private func plan(_ old: String, _ new: String) throws -> ReloadPlan {
        let (old, new) = (try file(old), try file(new))
        return ReloadPlan(
            from: try #require(old.gateway), old.settings, to: try #require(new.gateway), new.settings)
    }

    private let ranges = "local_ts = \"10.1.0.0/16\"\nremote_ts = \"10.2.0.0/16\"\n"
    private let others = "local_ts = \"10.3.0.0/16\"\nremote_ts = \"10.4.0.0/16\"\n"

    @Test func everyConnectionHasItsAction() throws {
        let before = connection("kept", ranges) + connection("gone", others)
        let after = connection("new", others) + connection("kept", ranges)
        let plan = try plan(before, after)
        #expect(plan.connections.map(\.name) == ["new", "kept", "gone"])
        #expect(plan.connections.map(\.action) == [.added, .unchanged, .removed])
        #expect(
            plan.lines == [
                "+ new: added", "- gone: removed; its SAs are deleted",
                "2 connections: 1 unchanged, 0 changed, 1 added, 1 removed",
            ])
        #expect(try self.plan(before, before).isEmpty)
    }

    /// Each key of a connection, and what the plan says of it.
    @Test(arguments: [
        (
            "remote_addrs = \"192.0.2.1\"", "remote_addrs = [\"192.0.2.1\", \"hq.example.com\"]",
            "remote_addrs 192.0.2.1 -> 192.0.2.1, hq.example.com"
        ),
        (
            "", "remote_addrs = [\"hq.example.com\", \"192.0.2.1\"]\nstart_action = \"none\"",
            "remote_addrs %any -> hq.example.com, 192.0.2.1"
        ),
        ("", "local_id = \"paris.example.com\"", "local_id = paris.example.com"),
        ("remote_id = \"a.example.com\"", "", "remote_id left out"),
        ("", "dpd_delay = \"5m\"", "dpd_delay 30s -> 300s"),
        ("", "dpd_action = \"clear\"", "dpd_action restart -> clear"),
        ("", "ike_rekey_time = \"1h\"", "ike_rekey_time 14400s -> 3600s"),
        ("", "esn = false", "esn true -> false"),
        ("", "mss_clamp = false", "mss_clamp true -> false"),
        ("", "rekey_packets = 5000", "rekey_packets = 5000"),
        ("", "replay_window = 64", "replay_window 4096 -> 64"),
        ("", "proposals = \"aes128gcm16-prfsha256-x25519\"", "proposals ["),
        ("", "unique = \"keep\"", "unique replace -> keep"),
    ]) func aChangedKeyIsNamed(old: String, new: String, words: String) throws {
        let plan = try plan(connection("hq", ranges + old), connection("hq", ranges + new))
        let entry = try #require(plan.connections.first)
        #expect(entry.action == .changed && entry.keys.count == 1, "\(entry.keys)")
        #expect(plan.lines.first?.hasPrefix("~ hq: \(words)") == true, "\(plan.lines)")
    }

    @Test func selectorsAndChildrenAreNamed() throws {
        let wider = ranges.replacing("10.2.0.0/16\"", with: "10.2.0.0/15\"")
        #expect(
            try plan(connection("hq", ranges), connection("hq", wider)).lines.first
                == "~ hq: remote_ts [10.2.0.0/16] -> [10.2.0.0/15]; the IKE SA stays; child hq is deleted and made anew"
        )
        let two = "[connections.hq.children.a]\n\(ranges)[connections.hq.children.b]\n\(others)"
        let plan = try plan(connection("hq", two), connection("hq", two.replacing("10.4.0.0", with: "10.5.0.0")))
        #expect(plan.connections[0].keys.map(\.key) == ["children.b.remote_ts"])
        let fewer = try self.plan(connection("hq", two), connection("hq", "[connections.hq.children.a]\n\(ranges)"))
        #expect(fewer.connections[0].keys.map(\.key) == ["children.b"])
    }

    /// What is said of the SAs is what the gateway decides.
    @Test(arguments: [
        (
            "dpd_delay = \"5m\"\nunique = \"keep\"\nike_rekey_time = \"1h\"\ndpd_action = \"clear\"", "its SAs stay",
            "kept"
        ),
        ("start_action = \"start\"\ninactivity = \"5m\"\nrekey_time = \"10m\"", "its SAs stay", "kept"),
        ("replay_window = 64\ncopy_dscp = false", "the IKE SA stays; children a, b are rekeyed", "kept"),
        ("esp_proposals = \"aes256gcm16\"", "the IKE SA stays; children a, b are deleted and made anew", "kept"),
        ("reauth_time = \"10h\"", "its SAs are deleted and made anew", "replaced"),
        ("mobike = false\nesn = false", "its SAs are deleted and made anew", "replaced"),
    ]) func whatBecomesOfTheSAsIsSaid(keys: String, words: String, ikeSA: String) throws {
        let two = "[connections.hq.children.a]\n\(ranges)[connections.hq.children.b]\n\(others)"
        let peer = "remote_addrs = \"192.0.2.1\"\n"
        let plan = try plan(connection("hq", peer + two), connection("hq", peer + keys + "\n" + two))
        #expect(plan.lines.first?.hasSuffix("; " + words) == true, "\(plan.lines)")
        #expect(plan.json.text.contains("\"ike_sa\":\"\(ikeSA)\""))
    }

    @Test func childrenThatComeAndGoAreNamed() throws {
        let child = { (name: String, net: Int) in
            "[connections.hq.children.\(name)]\nlocal_ts = \"10.1.\(net).0/24\"\nremote_ts = \"10.2.\(net).0/24\"\n"
        }
        let plan = try plan(
            connection("hq", child("a", 1) + child("b", 2) + child("c", 3)),
            connection("hq", child("a", 1) + child("b", 4) + child("d", 5)))
        #expect(
            plan.lines.first?.hasSuffix(
                "; the IKE SA stays; child b is deleted and made anew; child d is added; child c is deleted") == true,
            "\(plan.lines)")
        #expect(
            plan.json.text.contains(
                "\"children\":[{\"name\":\"a\",\"action\":\"unchanged\"},{\"name\":\"b\",\"action\":\"replaced\"},"
                    + "{\"name\":\"d\",\"action\":\"added\"},{\"name\":\"c\",\"action\":\"removed\"}]"))
    }

    @Test func secretsAreNamedAndNeverShown() throws {
        let plan = try plan(
            connection("hq", ranges), connection("hq", ranges, psk: "another secret of good length"))
        #expect(plan.lines.first == "~ hq: psk changed; its SAs are deleted and made anew")
        #expect(!plan.json.text.contains("secret of") && !plan.json.text.contains("0123456789"))
    }

    @Test func whatNeedsARestartIsSaid() throws {
        let one = connection("hq", ranges)
        let plan = try plan(
            "[gateway]\nmtu = 1400\n" + one, "[gateway]\nmtu = 1300\nlog_level = \"debug\"\nworkers = 2\n" + one)
        #expect(plan.isEmpty)
        #expect(
            plan.lines.first == "! [gateway]: mtu 1400 -> 1300; workers = 2; log_level = debug; "
                + "takes effect after a restart")
    }

    @Test func theDocumentIsForPrograms() throws {
        let plan = try plan(connection("hq", ranges), connection("hq", ranges + "esn = false"))
        #expect(
            plan.json.text == "{\"connections\":[{\"name\":\"hq\",\"action\":\"changed\",\"keys\":[{\"key\":\"esn\","
                + "\"before\":\"true\",\"after\":\"false\"}],\"ike_sa\":\"kept\",\"children\":[{\"name\":\"hq\","
                + "\"action\":\"replaced\"}]}],\"restart\":[]}")
    }
}
