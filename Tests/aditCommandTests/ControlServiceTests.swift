// SPDX-License-Identifier: Apache-2.0
// Adit: aditCommandTests

import Testing

@testable import Adit
@testable import AditIKE
@testable import adit

/// Asks a service and collects its answers, without a socket between.
private func ask(
    _ request: ControlRequest, _ gateway: FakeGateway, names: [String] = ["hq"],
    path: String = "/nonexistent/adit.toml", configuration: GatewayConfiguration? = nil,
    attemptLimit: Duration = .seconds(5)
) -> [ControlAnswer] {
    let service = ControlService(
        gateway: gateway, events: gateway.hub, log: TransitionLog(silentLogger()),
        configuration: ActiveConfiguration(path: path, configuration ?? sampleConfiguration(names), silentLogger()),
        attemptLimit: attemptLimit)
    let collector = AnswerCollector()
    service.answer(request, collector)
    return collector.answers
}

private final class AnswerCollector: AnswerSink {
    var answers: [ControlAnswer] = []
    var isClosed = false

    func send(_ value: JSONValue) -> Bool {
        if let answer = ControlAnswer(parsing: Array(value.text.utf8)) { answers.append(answer) }
        return true
    }
}

extension ControlAnswer {
    fileprivate var words: String {
        switch self {
        case .progress(let text): "progress \(text)"
        case .result(let value): "result \(value["message"]?.stringValue ?? value.text)"
        case .error(let code, let message, let suggestion): "error \(code): \(message); \(suggestion)"
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct ControlServiceTests {
    private func installed(replaces: Bool = false) -> IKEReport {
        let child = sampleStatus().children[0]
        return .childInstalled(connection: "hq", child: "hq", child, replaces: replaces ? child.inboundSPI : nil)
    }

    @Test func upSucceeds() throws {
        let status = sampleStatus()
        let sa = try #require(status.ikeSA)
        let child = installed()
        let gateway = FakeGateway { command, gateway in
            guard case .initiate("hq", nil) = command else { return [] }
            return [
                .connecting(connection: "other", remote: .at("192.0.2.9", 500), role: .initiator),
                .connecting(connection: "hq", remote: .at("203.0.113.7", 500), role: .initiator),
                .established(connection: "hq", sa), child,
            ]
        }
        gateway.state.withLock { $0.connections = [sampleStatus(state: .down)] }
        #expect(
            ask(.up(connection: "hq"), gateway).map(\.words) == [
                "progress connecting to 203.0.113.7:500",
                "progress IKE SA established with 203.0.113.7:4500 (aes256gcm16-prfsha384-x25519)",
                "progress child hq installed: 10.1.0.0/16 to 10.2.0.0/16 (aes128gcm16), SPI c1a2b3c4 in, d0d0d0d0 out",
                "result hq is up: child hq carries traffic",
            ])
    }

    @Test func upFails() {
        let gateway = FakeGateway { _, _ in [.failed(sampleFailure("other")), .failed(sampleFailure())] }
        gateway.state.withLock { $0.connections = [sampleStatus(state: .down)] }
        #expect(
            ask(.up(connection: "hq"), gateway).map(\.words) == [
                "error no_proposal_chosen: the peer accepts none of our suites; add modp2048 to proposals "
                    + "(adit explain hq)"
            ])
    }

    @Test func upGoesOnWhileSomethingIsTried() throws {
        let sa = try #require(sampleStatus().ikeSA)
        let child = installed()
        var unreachable = FailureReport(
            connection: "hq", code: .peerUnreachable, stage: .ikeSAInit, message: "no answer from 192.0.2.77:500",
            suggestion: "", remote: "192.0.2.77:500")
        unreachable.consequence = .nextAddress
        var stranger = sampleFailure()
        stranger.consequence = .refused
        let failures = [unreachable, stranger]
        let gateway = FakeGateway { _, gateway in
            // One IKE SA goes, another one stays.
            gateway.state.withLock { $0.connections = [sampleStatus()] }
            return failures.map(IKEReport.failed)
                + [.established(connection: "hq", sa), .closed(connection: "hq", reason: "another one stays"), child]
        }
        gateway.state.withLock { $0.connections = [sampleStatus(state: .down)] }
        let found = ask(.up(connection: "hq"), gateway).map(\.words)
        #expect(
            found.prefix(2) == [
                "progress no answer from 192.0.2.77:500, trying the next address",
                "progress refused a request of 203.0.113.7:500: the peer accepts none of our suites",
            ])
        #expect(found.last == "result hq is up: child hq carries traffic", "\(found)")
    }

    @Test func upEndsWithItsLastIKESA() {
        let gateway = FakeGateway { _, _ in [.closed(connection: "hq", reason: "the peer deleted it")] }
        gateway.state.withLock { $0.connections = [sampleStatus(state: .down)] }
        #expect(
            ask(.up(connection: "hq"), gateway).last?.words.hasPrefix("error closed: hq was closed: ") == true)
    }

    /// A configuration of one connection with the children `lan` and `voice`, and a gateway where `lan` is up.
    private func askUp(_ reports: [IKEReport], connections: [ConnectionStatus]) -> [String] {
        let gateway = FakeGateway { _, _ in reports }
        gateway.state.withLock { $0.connections = connections }
        let text = """
            [connections.hq]
            remote_addrs = "203.0.113.7"
            psk = "0123456789abcdefghijkl"
            [connections.hq.children.lan]
            local_ts = "10.1.0.0/16"
            remote_ts = "10.2.0.0/16"
            [connections.hq.children.voice]
            local_ts = "10.1.0.0/16"
            remote_ts = "10.3.0.0/16"
            """
        let file = ConfigurationFile.parse(Array(text.utf8), file: "t.toml")
        #expect(file.gateway != nil, "\(file.problems)")
        return ask(.up(connection: "hq"), gateway, configuration: file.gateway, attemptLimit: .milliseconds(300))
            .map(\.words)
    }

    private func installed(child name: String) -> IKEReport {
        .childInstalled(connection: "hq", child: name, sampleStatus(name).children[0], replaces: nil)
    }

    @Test func upWaitsForEveryChild() {
        let down = [sampleStatus(state: .down)]
        let both = askUp([installed(child: "lan"), installed(child: "voice")], connections: down)
        #expect(both.count == 3 && both.last == "result hq is up: children lan, voice carry traffic")
        #expect(askUp([installed(child: "lan")], connections: down).last?.hasPrefix("error timeout: ") == true)
        let twice = askUp([installed(child: "lan"), installed(child: "lan")], connections: down)
        #expect(twice.last?.hasPrefix("error timeout: ") == true)
    }

    @Test func upFailsWithTheFirstChildThatFails() {
        let reports = [installed(child: "lan"), .failed(sampleFailure()), installed(child: "voice")]
        let found = askUp(reports, connections: [sampleStatus(state: .down)])
        #expect(found.count == 2 && found.last?.hasPrefix("error no_proposal_chosen: ") == true)
    }

    @Test func upCountsTheChildrenThatAreUp() {
        var connection = sampleStatus("lan")
        connection.name = "hq"
        let found = askUp([installed(child: "voice")], connections: [connection])
        #expect(found.last == "result hq is up: children lan, voice carry traffic")
    }

    @Test func upThatDecidesNothingEnds() {
        let gateway = FakeGateway()
        gateway.state.withLock { $0.connections = [sampleStatus(state: .down)] }
        let found = ask(.up(connection: "hq"), gateway, attemptLimit: .milliseconds(50)).map(\.words)
        #expect(found.count == 1 && found[0].hasPrefix("error timeout: "))
    }

    @Test func warningsAreProgress() {
        let gateway = FakeGateway { _, gateway in
            gateway.hub.publish(.warning("the control thread has too much to do"))
            return [.failed(sampleFailure())]
        }
        gateway.state.withLock { $0.connections = [sampleStatus(state: .down)] }
        let found = ask(.up(connection: "hq"), gateway).map(\.words)
        #expect(found.count == 2 && found[0] == "progress the control thread has too much to do")
    }

    @Test func upWhenUp() {
        let gateway = FakeGateway()
        gateway.state.withLock { $0.connections = [sampleStatus()] }
        #expect(ask(.up(connection: "hq"), gateway).map(\.words) == ["result hq is up already"])
        #expect(gateway.state.withLock { $0.commands.isEmpty })
    }

    @Test(arguments: [
        ControlRequest.up(connection: "hw"), .down(connection: "hw"), .rekey(connection: "hw", ike: false),
        .explain(connection: "hw"),
    ]) func unknownNames(request: ControlRequest) {
        #expect(
            ask(request, FakeGateway(), names: ["hq", "lab"]).map(\.words) == [
                "error no_such_connection: there is no connection \"hw\"; did you mean \"hq\"?"
            ])
    }

    @Test func down() {
        let gateway = FakeGateway { command, gateway in
            gateway.state.withLock { $0.connections = [sampleStatus(state: .down)] }
            return [.closed(connection: "hq", reason: "asked to")]
        }
        gateway.state.withLock { $0.connections = [sampleStatus()] }
        #expect(ask(.down(connection: "hq"), gateway).map(\.words) == ["result hq is down"])
        guard case .terminate("hq") = gateway.state.withLock({ $0.commands.first }) else {
            return failed("another command")
        }
    }

    @Test func rekey() throws {
        let child = installed(replaces: true)
        let sa = try #require(sampleStatus().ikeSA)
        let gateway = FakeGateway { command, _ in
            if case .rekeyIKE = command { return [.ikeRekeyed(connection: "hq", sa)] }
            return [child]
        }
        gateway.state.withLock { $0.connections = [sampleStatus()] }
        #expect(ask(.rekey(connection: "hq", ike: false), gateway).last?.words == "result hq: 1 child rekeyed")
        #expect(ask(.rekey(connection: "hq", ike: true), gateway).last?.words == "result hq: IKE SA rekeyed")
        gateway.state.withLock { $0.connections = [sampleStatus(state: .down)] }
        #expect(
            ask(.rekey(connection: "hq", ike: true), gateway).last?.words.hasPrefix("error not_established: ") == true)
    }

    @Test func everyIKESAIsRekeyed() throws {
        var connection = sampleStatus()
        var other = try #require(connection.ikeSA)
        other.initiatorSPI += 1
        var leaving = other
        leaving.initiatorSPI += 1
        leaving.isLeaving = true
        connection.ikeSAs += [other, leaving]
        var child = connection.children[0]
        child.owner = .init(initiatorSPI: leaving.initiatorSPI, responderSPI: 1, remote: leaving.remote)
        connection.children.append(child)
        let several = connection
        let reports: [IKEReport] = [
            .ikeRekeyed(connection: "hq", other),
            .childInstalled(connection: "hq", child: "hq", child, replaces: child.inboundSPI),
        ]
        func rekeyed(_ times: Int, ike: Bool) -> String? {
            let gateway = FakeGateway { _, _ in Array(repeating: reports[ike ? 0 : 1], count: times) }
            gateway.state.withLock { $0.connections = [several] }
            return ask(.rekey(connection: "hq", ike: ike), gateway, attemptLimit: .milliseconds(100)).last?.words
        }
        #expect(rekeyed(1, ike: true)?.hasPrefix("error timeout: ") == true)
        #expect(rekeyed(2, ike: true) == "result hq: 2 IKE SAs rekeyed")
        #expect(rekeyed(1, ike: false) == "result hq: 1 child rekeyed")
    }

    @Test func explain() {
        let gateway = FakeGateway()
        gateway.state.withLock {
            $0.connections = [sampleStatus(state: .failed)]
            $0.failures = ["hq": sampleFailure(), "": sampleFailure(nil)]
        }
        guard case .result(let all) = ask(.explain(connection: nil), gateway).first,
            case .result(let one) = ask(.explain(connection: "hq"), gateway).first
        else { return failed("no result") }
        #expect(all["failures"]?.elements.count == 2)
        #expect(one["failures"]?.elements.count == 1 && one["state"]?.stringValue == "failed")
    }

    @Test func reload() throws {
        let directory = try TemporaryDirectory()
        let gateway = FakeGateway()
        let good = """
            [gateway]
            mtu = 1400
            [connections.new]
            remote_addrs = "203.0.113.7"
            psk = "0123456789abcdefghijkl"
            local_ts = "10.1.0.0/16"
            remote_ts = "10.2.0.0/16"
            """
        let path = try directory.write("adit.toml", good.utf8)
        let plan = [
            "progress + new: added", "progress - hq: removed; its SAs are deleted",
            "progress - lab: removed; its SAs are deleted",
            "progress ! [gateway]: mtu = 1400; takes effect after a restart",
            "result 1 connection: 0 unchanged, 0 changed, 1 added, 2 removed",
        ]
        let planned = ask(.reload(dryRun: true), gateway, names: ["hq", "lab"], path: path).map(\.words)
        #expect(planned.dropLast() == plan.dropLast() && gateway.state.withLock { $0.commands.isEmpty })
        #expect(planned.last == (plan.last ?? "") + " (a dry run: nothing was changed)")
        #expect(ask(.reload(dryRun: false), gateway, names: ["hq", "lab"], path: path).map(\.words) == plan)
        guard case .configure(let connections) = gateway.state.withLock({ $0.commands.first }) else {
            return failed("another command")
        }
        #expect(connections.map(\.name) == ["new"])
        try directory.write("adit.toml", Array((good + "\nesm = true\n").utf8))
        #expect(
            ask(.reload(dryRun: false), gateway, path: path).map(\.words) == [
                "progress \(path):8: connections.new.esm: unknown key; did you mean \"esn\"?",
                "error configuration: nothing was changed; correct the file and reload again",
            ])
        #expect(gateway.state.withLock { $0.commands.count } == 1)
    }

    @Test func aFollowerLosesTheOldestEvents() {
        let hub = EventHub()
        hub.following { follower in
            for index in 0..<EventFollower.limit + 10 { hub.publish(.warning("\(index)")) }
            guard case .warning("10") = follower.next(before: .now) else { return failed("not the tenth") }
            for _ in 1..<EventFollower.limit { _ = follower.next(before: .now) }
            #expect(follower.next(before: .now + .milliseconds(10)) == nil)
        }
    }
}
