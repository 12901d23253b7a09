// SPDX-License-Identifier: Apache-2.0
// Adit: aditCommandTests

import AditWire
import Foundation
import Glibc
import Testing

@testable import Adit
@testable import AditIKE
@testable import adit

/// Prometheus' text and the little HTTP around it.
@Suite struct MetricsTests {
    private func text(_ counts: MetricsCounters.Counts = .init()) -> MetricsText {
        let gateway = FakeGateway()
        gateway.state.withLock { state in
            state.connections = [sampleStatus("hq"), sampleStatus("lab \"\\x", state: .failed)]
            var traffic = GatewayStatus.SATraffic()
            traffic.packetsIn = 7
            traffic.bytesOut = 99
            state.traffic = [SPI(rawValue: 0xc1a2_b3c4): traffic]
            state.drops = [("replayed", 3)]
        }
        return MetricsText(status: gateway.status(), counts: counts)
    }

    @Test func everySeriesIsThere() {
        let counters = MetricsCounters()
        counters.count(.ike(.failed(sampleFailure("hq"))))
        counters.count(.ike(.failed(sampleFailure("hq"))))
        counters.count(.ike(.failed(sampleFailure(nil))))
        if let sa = sampleStatus().ikeSA { counters.count(.ike(.ikeRekeyed(connection: "hq", sa))) }
        let lines = text(counters.counts).text.split(separator: "\n").map(String.init)
        for line in [
            "adit_uptime_seconds 12.345", "adit_interface_mtu_bytes 1438",
            "adit_dropped_packets_total{reason=\"replayed\"} 3",
            "adit_ike_ignored_messages_total{reason=\"malformed\"} 0",
            "adit_connection_state{connection=\"hq\",state=\"established\"} 1",
            "adit_connection_state{connection=\"hq\",state=\"down\"} 0",
            "adit_connection_established_seconds{connection=\"hq\"} 11.000",
            "adit_child_packets_total{connection=\"hq\",child=\"hq\",spi_in=\"c1a2b3c4\",direction=\"in\"} 7",
            "adit_child_bytes_total{connection=\"hq\",child=\"hq\",spi_in=\"c1a2b3c4\",direction=\"out\"} 99",
            "adit_rekeys_total{connection=\"hq\",sa=\"ike\"} 1",
            "adit_failures_total{connection=\"hq\",code=\"no_proposal_chosen\"} 2",
            "adit_failures_total{connection=\"\",code=\"no_proposal_chosen\"} 1",
            "adit_connection_established_total{connection=\"lab \\\"\\\\x\"} 0",
        ] { #expect(lines.contains(line), "\(line)") }
    }

    /// The format's own rules: HELP and TYPE once before the samples of a metric, no series twice.
    @Test func theFormatIsKept() {
        var names: Set<String> = []
        for family in text().families {
            #expect(names.insert(family.name).inserted && family.name.hasPrefix("adit_"))
            #expect((family.kind == .counter) == family.name.hasSuffix("_total"), "\(family.name)")
            let lines = family.text.split(separator: "\n")
            #expect(lines[0].hasPrefix("# HELP \(family.name) ") && lines[1].hasPrefix("# TYPE \(family.name) "))
            #expect(Set(lines).count == lines.count)
            #expect(lines.dropFirst(2).allSatisfy { $0.hasPrefix(family.name) })
        }
    }

    @Test func everyMetricIsDocumented() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
            .standardized
        let document = try String(contentsOf: root.appendingPathComponent("CONFIGURATION.md"), encoding: .utf8)
        for family in text().families { #expect(document.contains("| `\(family.name)` |"), "\(family.name)") }
    }

    @Test(arguments: [
        ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK", "the document"),
        ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", "200 OK", "the document"),
        ("HEAD /metrics HTTP/1.1\r\n\r\n", "200 OK", ""), ("GET / HTTP/1.1\r\n\r\n", "404 Not Found", "see /metrics\n"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed", "only GET and HEAD\n"),
        ("\r\n\r\n", "400 Bad Request", "no request\n"), ("GET /metrics\r\n\r\n", "400 Bad Request", "no request\n"),
    ]) func eachRequestHasItsAnswer(request: String, status: String, body: String) {
        let answer = MetricsServer.answer(to: Array(request.utf8)) { "the document" }
        #expect(answer.hasPrefix("HTTP/1.1 \(status)\r\n"), "\(answer)")
        #expect(answer.hasSuffix("\r\nConnection: close\r\n\r\n" + body), "\(answer)")
        #expect(answer.contains(body.isEmpty ? "Content-Length: 12\r\n" : "Content-Length: \(body.utf8.count)\r\n"))
    }

    /// Clients that say nothing, or ask and do not read, hold nobody up, and are cut off.
    @Test func slowClientsHoldNobodyUp() throws {
        let port = try #require(LoopbackClient.freePort())
        let server = try MetricsServer(Endpoint(IPAddress(v4: 0x7f00_0001), port: port), patience: .seconds(1))
        defer { server.stop() }
        // Larger than what the kernel takes for a reader that does not read.
        let document = String(repeating: "0123456789abcdef", count: 1 << 20)
        server.start { document }
        let silent = (0..<5).map { _ in LoopbackClient(port) }
        let lazy = (0..<5).map { _ in LoopbackClient(port) }
        for client in lazy { client.send("GET /metrics HTTP/1.1\r\n\r\n") }
        for byte in "GET /m" { silent[0].send(String(byte)) }
        let began = ContinuousClock.now
        let good = LoopbackClient(port)
        good.send("GET /metrics HTTP/1.1\r\n\r\n")
        let answer = good.receiveAll()
        #expect(answer.count > document.utf8.count && answer.starts(with: Array("HTTP/1.1 200 OK".utf8)))
        #expect(ContinuousClock.now - began < .milliseconds(900))
        for client in silent { #expect(client.receiveAll().isEmpty) }
        #expect(ContinuousClock.now - began < .seconds(5))
        Thread.sleep(forTimeInterval: 1.5)
        // They read at last, too late: what the kernel had is all there is.
        for client in lazy { #expect(client.receiveAll().count < document.utf8.count) }
    }

    /// More clients than the server takes at a time are served when others have gone.
    @Test func manyClients() throws {
        let port = try #require(LoopbackClient.freePort())
        let server = try MetricsServer(Endpoint(IPAddress(v4: 0x7f00_0001), port: port), patience: .milliseconds(300))
        defer { server.stop() }
        server.start { "the document" }
        let silent = (0..<MetricsServer.clientLimit).map { _ in LoopbackClient(port) }
        let good = LoopbackClient(port)
        good.send("GET /metrics HTTP/1.1\r\n\r\n")
        #expect(good.receiveAll().count > 12)
        for client in silent { #expect(client.receiveAll().isEmpty) }
    }

    @Test(arguments: ["127.0.0.1:9500", "[::1]:9500", "127.8.7.6:1"]) func anEndpointOnThisMachine(text: String) {
        let file = ConfigurationFile.parse(Array(good(text).utf8), file: "t.toml")
        #expect(file.errors.isEmpty && file.settings.metrics?.description == text)
    }

    @Test(arguments: [
        "0.0.0.0:9500", "192.0.2.1:9500", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", "::1:9500", "[127.0.0.1]:1",
        "localhost:9500", "[::]:9500", "",
    ]) func anyOtherIsRefused(text: String) {
        let file = ConfigurationFile.parse(Array(good(text).utf8), file: "t.toml")
        #expect(
            file.errors.map(\.description).first?.contains("allowed is a loopback address and a port") == true,
            "\(text)")
    }

    private func good(_ metrics: String) -> String {
        """
        [gateway]
        metrics = "\(metrics)"
        [connections.hq]
        psk = "0123456789abcdefghijkl"
        local_ts = "10.1.0.0/16"
        remote_ts = "10.2.0.0/16"
        """
    }
}

/// A client on this machine; gives up after ten seconds.
private final class LoopbackClient {
    private let descriptor: Int32

    init(_ port: UInt16) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var address = Self.address(port)
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    deinit { close(descriptor) }

    func send(_ text: String) { _ = text.withCString { Glibc.send(descriptor, $0, strlen($0), Int32(MSG_NOSIGNAL)) } }

    func receiveAll() -> [UInt8] {
        var all: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            guard count > 0 else { return all }
            all += chunk[..<count]
        }
    }

    static func freePort() -> UInt16? {
        let probe = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(probe) }
        var address = address(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(probe, $0, length) == 0 && getsockname(probe, $0, &length) == 0
            }
        }
        return isBound ? UInt16(bigEndian: address.sin_port) : nil
    }

    private static func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }
}
