// SPDX-License-Identifier: Apache-2.0
// Adit: aditCommandTests

import AditWire
import Testing

@testable import Adit
@testable import AditIKE
@testable import adit

@Suite struct StatusDocumentTests {
    /// The published sample, with the values of ``sampleStatus(_:state:)``.
    private let published = """
        {"version":"\(Gateway.version)","uptime_seconds":12.3,"interface":"adit0","mtu":1438,"workers":2,
         "connections":[{"name":"hq","state":"established","ike_version":2,"role":"initiator",
           "local":{"address":"192.0.2.1:4500","id":"paris.example.com"},
           "remote":{"address":"203.0.113.7:4500","id":"hq.example.com"},
           "nat":{"local":false,"remote":true},"nat_faked":false,"mobike":false,
           "ike_spi":{"initiator":"0011223344556677","responder":"000000000000000f"},
           "proposal":"aes256gcm16-prfsha384-x25519","established_seconds":11.0,"rekey_in_seconds":14000,
           "children":[{"name":"hq","state":"installed","mode":"tunnel","encap":"udp",
             "spi_in":"c1a2b3c4","spi_out":"d0d0d0d0",
             "proposal":"aes128gcm16","esn":true,"replay_window":4096,
             "local_ts":["10.1.0.0/16"],"remote_ts":["10.2.0.0/16"],
             "packets_in":1,"bytes_in":84,"packets_out":2,"bytes_out":168,"rekey_in_seconds":3300}],
           "last_failure":null}],
         "drops":{"replayed":0,"bad_icv":0,"unknown_spi":0}}
        """

    private func document(_ gateway: FakeGateway) -> JSONValue {
        StatusDocument(
            status: gateway.status(), configuration: sampleConfiguration(),
            failureTime: { _ in WallTime(milliseconds: 1_795_392_000_000) }
        ).json
    }

    @Test func narrowingIsShown() {
        let gateway = FakeGateway()
        var connection = sampleStatus()
        connection.children[0].askedLocalSelectors = ["10.0.0.0/8"].compactMap { TrafficSelector($0) }
        connection.children[0].askedRemoteSelectors = connection.children[0].remoteSelectors
        connection.children[0].passedLocalSelectors = ["10.1.7.0/24"].compactMap { TrafficSelector($0) }
        connection.children[0].passedRemoteSelectors = connection.children[0].remoteSelectors
        connection.children[0].isNarrowed = true
        gateway.state.withLock { $0.connections = [connection] }
        let child = document(gateway)["connections"]?.elements.first?["children"]?.elements.first
        #expect(child?["narrowed"]?.text == "true")
        #expect(child?["asked_local_ts"]?.text == #"["10.0.0.0/8"]"#)
        #expect(child?["passed_local_ts"]?.text == #"["10.1.7.0/24"]"#)
        #expect(child?["local_ts"]?.text == #"["10.1.0.0/16"]"#)
        let table = StatusTable(document: document(gateway)).text
        let narrowed = "hq/hq is narrowed: asked 10.0.0.0/8 to 10.2.0.0/16, given 10.1.0.0/16 to 10.2.0.0/16"
        #expect(table.contains(narrowed), "\(table)")
        #expect(table.contains("hq/hq lets through 10.1.7.0/24 to 10.2.0.0/16 of 10.1.0.0/16 to 10.2.0.0/16"))
    }

    @Test func narrowingOfAllThatWasAskedForNamesTheConfiguration() {
        let gateway = FakeGateway()
        var connection = sampleStatus()
        let child = connection.children[0]
        connection.children[0].askedLocalSelectors = child.localSelectors
        connection.children[0].askedRemoteSelectors = child.remoteSelectors
        connection.children[0].configuredLocalSelectors = ["10.0.0.0/8"].compactMap { TrafficSelector($0) }
        connection.children[0].configuredRemoteSelectors = child.remoteSelectors
        connection.children[0].isNarrowed = true
        gateway.state.withLock { $0.connections = [connection] }
        let table = StatusTable(document: document(gateway)).text
        let narrowed = "hq/hq is narrowed: configured 10.0.0.0/8 to 10.2.0.0/16, given 10.1.0.0/16 to 10.2.0.0/16"
        #expect(table.contains(narrowed), "\(table)")
    }

    @Test func severalPeers() throws {
        let gateway = FakeGateway()
        var connection = sampleStatus()
        var second = try #require(connection.ikeSA)
        second.initiatorSPI = 0xabc
        second.remote = .at("203.0.113.8", 4500)
        second.remoteID = .fqdn("lyon.example.com")
        connection.ikeSAs.append(second)
        connection.children.append(connection.children[0])
        for (index, sa) in connection.ikeSAs.enumerated() {
            connection.children[index].owner = .init(
                initiatorSPI: sa.initiatorSPI, responderSPI: sa.responderSPI, remote: sa.remote, remoteID: sa.remoteID)
        }
        gateway.state.withLock { $0.connections = [connection] }
        let json = try #require(document(gateway)["connections"]?.elements.first)
        let sas = json["ike_sas"]?.elements ?? []
        #expect(sas.map { $0["remote"]?["id"]?.stringValue } == ["hq.example.com", "lyon.example.com"])
        #expect(sas.map { $0["ike_spi"]?["initiator"]?.stringValue } == ["0011223344556677", "0000000000000abc"])
        let names = ["role", "local", "nat", "proposal", "established_seconds", "rekey_in_seconds"]
        #expect(sas.allSatisfy { sa in names.allSatisfy { sa[$0] != nil } })
        let children = json["children"]?.elements ?? []
        #expect(children.map { $0["ike_spi"]?.text } == sas.map { $0["ike_spi"]?.text })
        #expect(children.map { $0["remote"]?.text } == sas.map { $0["remote"]?.text })
        let lines = StatusTable(document: document(gateway)).text.split(separator: "\n").map {
            $0.split(separator: " ").joined(separator: " ")
        }
        #expect(lines[2].hasPrefix("hq established 2 IKE SAs - - "))
        #expect(lines[3].hasPrefix("IKE SA established 203.0.113.7:4500 (hq.example.com) aes256gcm16"))
        #expect(lines[4].hasPrefix("hq installed") && lines[6].hasPrefix("hq installed"))
        #expect(lines[5].hasPrefix("IKE SA established 203.0.113.8:4500 (lyon.example.com) aes256gcm16"))
    }

    @Test func phasesOfChildren() {
        let gateway = FakeGateway()
        var connection = sampleStatus()
        for phase in [ChildSAStatus.Phase.rekeyed, .deleting] {
            connection.children.append(connection.children[0])
            connection.children[connection.children.count - 1].phase = phase
        }
        gateway.state.withLock { $0.connections = [connection] }
        let children = document(gateway)["connections"]?.elements.first?["children"]?.elements ?? []
        #expect(children.map { $0["state"]?.stringValue } == ["installed", "rekeyed", "deleting"])
    }

    @Test func totals() {
        let gateway = FakeGateway()
        gateway.state.withLock {
            $0.totals.ikeSAs = 7
            $0.totals.halfOpen = 2
            $0.totals.childSAs = 5
            $0.totals.ignored.count(.cookieRequired)
        }
        let ike = document(gateway)["ike"]
        #expect(["sas", "half_open", "child_sas"].map { ike?[$0]?.text } == ["7", "2", "5"])
        #expect(ike?["ignored"]?["cookie_required"]?.text == "1" && ike?["ignored"]?["malformed"]?.text == "0")
    }

    /// Every member of `expected` is in `found` with the same value; further members are allowed.
    private func check(_ found: JSONValue?, has expected: JSONValue, at path: String) {
        switch expected {
        case .object(let members):
            for (name, value) in members { check(found?[name], has: value, at: "\(path).\(name)") }
        case .array(let elements):
            #expect(found?.elements.count == elements.count, "\(path)")
            for (index, element) in elements.enumerated() where index < found?.elements.count ?? 0 {
                check(found?.elements[index], has: element, at: "\(path)[\(index)]")
            }
        default:
            #expect(found?.text == expected.text, "\(path)")
        }
    }

    @Test func thePublishedShape() throws {
        let gateway = FakeGateway()
        var traffic = GatewayStatus.SATraffic()
        (traffic.packetsIn, traffic.bytesIn, traffic.packetsOut, traffic.bytesOut) = (1, 84, 2, 168)
        let counters = traffic
        gateway.state.withLock {
            $0.connections = [sampleStatus()]
            $0.traffic[SPI(rawValue: 0xc1a2_b3c4)] = counters
        }
        let expected = try #require(JSONValue(parsing: Array(published.utf8)))
        check(document(gateway), has: expected, at: "")
        #expect(JSONValue(parsing: Array(document(gateway).text.utf8)) != nil)
    }

    @Test func aConnectionThatFailed() throws {
        let gateway = FakeGateway()
        var connection = sampleStatus(state: .failed)
        connection.lastFailure = sampleFailure()
        let failed = connection
        gateway.state.withLock { $0.connections = [failed] }
        let expected = """
            {"connections":[{"name":"hq","state":"failed","ike_version":2,"role":null,
              "local":{"address":null,"id":"paris.example.com"},"remote":{"address":"203.0.113.7:500","id":null},
              "nat":{"local":false,"remote":false},"nat_faked":false,"mobike":false,
              "ike_spi":{"initiator":null,"responder":null},"proposal":null,
              "established_seconds":null,"rekey_in_seconds":null,"children":[],
              "last_failure":{"code":"no_proposal_chosen","stage":"ike_sa_init",
                "message":"the peer accepts none of our suites","suggestion":"add modp2048 to proposals",
                "at":"2026-11-23T00:00:00.000Z","remote":"203.0.113.7:500",
                "comparison":\(FailureDocument.json(sampleFailure().comparison).text)}}]}
            """
        check(document(gateway), has: try #require(JSONValue(parsing: Array(expected.utf8))), at: "")
    }

    @Test func tableForAPerson() {
        let gateway = FakeGateway()
        var failed = sampleStatus("lab", state: .failed)
        failed.lastFailure = sampleFailure("lab")
        let connections = [sampleStatus(), failed]
        gateway.state.withLock {
            $0.connections = connections
            $0.drops[0].count = 3
        }
        let lines = StatusTable(document: document(gateway)).text.split(
            separator: "\n", omittingEmptySubsequences: false)
        #expect(lines[0] == "adit \(Gateway.version), up 12 s, interface adit0 (MTU 1438), 2 workers")
        #expect(lines[2].hasPrefix("CONNECTION  STATE        PEER"))
        #expect(
            lines[3].split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
                == "hq established 203.0.113.7:4500 (hq.example.com) aes256gcm16-prfsha384-x25519 11 s 0 B 0 B")
        #expect(lines[4].contains("10.1.0.0/16 to 10.2.0.0/16") && lines[4].contains("0 B, 0 pkt"))
        #expect(lines[5].contains("lab") && lines[5].contains("failed"))
        #expect(lines.contains { $0.hasPrefix("last failure of lab at 2026-11-23T00:00:00.000Z: no_proposal_chosen") })
        #expect(lines.contains("dropped: 3 replayed"))
    }

    @Test(arguments: [(0.0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_250_000, "1.2 MB"), (3e18, "3000.0 PB")])
    func bytes(count: Double, text: String) {
        #expect(StatusTable.bytes(count) == text)
    }

    @Test func failureSideBySide() throws {
        let json = FailureDocument.json(sampleFailure(), at: WallTime(milliseconds: 0))
        let text = try #require(FailureDocument.text(json))
        #expect(text.hasPrefix("at 1970-01-01T00:00:00.000Z\n"))
        #expect(text.contains(sampleFailure().sideBySide()))
        #expect(FailureDocument.text(.object([("code", .string("from_the_future"))])) == nil)
    }
}
