// SPDX-License-Identifier: Apache-2.0
// Adit: aditCommandTests

import Foundation
import Glibc
import Synchronization
import Testing

@testable import Adit
@testable import AditIKE
@testable import adit

/// A control server in a directory of its own, answering for a fake gateway.
private final class Station {
    let directory: TemporaryDirectory
    let path: String
    let server: ControlServer
    let gateway: FakeGateway
    let log: TransitionLog

    init(_ gateway: FakeGateway = FakeGateway(), names: [String] = ["hq"], attemptLimit: Duration = .seconds(5)) throws
    {
        directory = try TemporaryDirectory()
        path = "\(directory.path)/run/control.sock"
        server = try ControlServer(path: path)
        self.gateway = gateway
        log = TransitionLog(silentLogger())
        let configuration = ActiveConfiguration(
            path: "\(directory.path)/adit.toml", sampleConfiguration(names), silentLogger())
        let service = ControlService(
            gateway: gateway, events: gateway.hub, log: log, configuration: configuration, attemptLimit: attemptLimit)
        server.start { service.answer($0, $1) }
    }

    deinit { server.stop() }

    func perform(_ request: ControlRequest) throws(CommandFailure) -> (progress: [String], result: JSONValue) {
        var progress: [String] = []
        let result = try ControlClient(path: path).perform(request) { progress.append($0) }
        return (progress, result)
    }

    func connect() throws -> LineChannel {
        try LineChannel.connect(to: path, lineLimit: LineChannel.answerLimit).get()
    }
}

@Suite(.timeLimit(.minutes(1))) struct ControlServerTests {
    @Test func socketIsPrivateAndGoesAway() throws {
        let station = try Station()
        var information = stat()
        #expect(lstat(station.path, &information) == 0)
        #expect(information.st_mode & 0o777 == 0o600)
        station.server.stop()
        #expect(lstat(station.path, &information) != 0)
        #expect(throws: CommandFailure.self) { try station.perform(.status) }
    }

    @Test func aLiveSocketIsNotTakenAStaleOneIs() throws {
        let station = try Station()
        do {
            _ = try ControlServer(path: station.path)
            Issue.record("the socket of a live gateway was taken")
        } catch {
            #expect(error.status == .failed && error.message?.hasPrefix("another gateway is running at") == true)
        }
        let stale = "\(station.directory.path)/stale.sock"
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        #expect(ControlSocketAddress.withAddress(stale) { bind(descriptor, $0, $1) } == 0)
        close(descriptor)
        let server = try ControlServer(path: stale)
        server.start { _, channel in _ = channel.send(.null) }
        server.stop()
        try station.directory.write("file.sock", Array("x".utf8))
        do {
            _ = try ControlServer(path: "\(station.directory.path)/file.sock")
            Issue.record("a file that is no socket was replaced")
        } catch {
            #expect(error.message?.contains("is no socket") == true)
        }
    }

    @Test func statusOverTheSocket() throws {
        let station = try Station()
        station.gateway.state.withLock { $0.connections = [sampleStatus()] }
        let document = try station.perform(.status).result
        #expect(document["connections"]?.elements.first?["state"]?.stringValue == "established")
    }

    @Test(arguments: [
        "", "hello", "{}", "{\"request\":\"fly\"}", "\u{0}\u{1}", "{\"request\":", "[[[[[[[[[[[[[[[[[[[[",
    ])
    func garbageIsAnswered(text: String) throws {
        let station = try Station()
        let channel = try station.connect()
        #expect(channel.sendBytes(Array((text + "\n").utf8)))
        guard case .line(let line) = channel.receive(within: 5),
            case .error(let code, _, _) = ControlAnswer(parsing: line)
        else {
            Issue.record("no answer")
            return
        }
        #expect(code == "bad_request")
        #expect(channel.receive(within: 5) == .closed)
        #expect(try station.perform(.status).result["mtu"]?.numberValue == 1438)
    }

    @Test func anEndlessRequestIsCutOff() throws {
        let station = try Station()
        let channel = try station.connect()
        _ = channel.sendBytes([UInt8](repeating: 0x61, count: LineChannel.requestLimit + 1))
        guard case .line(let line) = channel.receive(within: 5),
            case .error(_, let message, _) = ControlAnswer(parsing: line)
        else {
            Issue.record("no answer")
            return
        }
        #expect(message == "the request is too long")
    }

    @Test func theLongestRequestIsRead() throws {
        let station = try Station()
        let channel = try station.connect()
        let request = Array(#"{"request":"status"}"#.utf8)
        let blanks = [UInt8](repeating: 0x20, count: LineChannel.requestLimit - request.count)
        #expect(channel.sendBytes(request + blanks + [0x0a]))
        guard case .line(let line) = channel.receive(within: 5), case .result = ControlAnswer(parsing: line) else {
            Issue.record("no answer")
            return
        }
    }

    @Test func severalRequestsInPieces() throws {
        let station = try Station()
        let channel = try station.connect()
        for byte in Array("{\"request\":\"status\"}\n{\"request\":\"explain\"}\n".utf8) {
            #expect(channel.sendBytes([byte]))
        }
        for _ in 0..<2 {
            guard case .line(let line) = channel.receive(within: 5), case .result = ControlAnswer(parsing: line) else {
                Issue.record("no answer")
                return
            }
        }
    }

    @Test func oneClientTooMany() throws {
        let station = try Station()
        var idle: [LineChannel] = []
        for _ in 0..<ControlServer.clientLimit {
            let channel = try station.connect()
            // An answer shows that the client has its place.
            #expect(channel.sendBytes(Array("{\"request\":\"explain\"}\n".utf8)))
            guard case .line = channel.receive(within: 5) else { return failed("no answer") }
            idle.append(channel)
        }
        do {
            _ = try station.perform(.status)
            Issue.record("more clients than allowed")
        } catch {
            #expect(error.message?.hasPrefix("busy: ") == true && error.status == .failed)
        }
        idle.removeAll()
        var served = false
        for _ in 0..<100 where !served {
            served = (try? station.perform(.status)) != nil
            if !served { usleep(50_000) }
        }
        #expect(served, "places are free again")
    }

    /// Who waits for a tunnel holds nobody up who only wants to know.
    @Test func manyWhoWaitLeaveRoomForOthers() throws {
        let station = try Station()
        station.gateway.state.withLock { $0.connections = [sampleStatus(state: .down)] }
        var waiting: [LineChannel] = []
        for _ in 0..<ControlServer.waitingLimit {
            let channel = try station.connect()
            #expect(channel.send(ControlRequest.up(connection: "hq").json))
            waiting.append(channel)
        }
        for _ in 0..<100 where station.gateway.state.withLock({ $0.commands.count }) < waiting.count { usleep(20_000) }
        #expect(try station.perform(.status).result["mtu"]?.numberValue == 1438)
        do {
            _ = try station.perform(.up(connection: "hq"))
            Issue.record("more of them than allowed")
        } catch {
            #expect(error.message?.hasPrefix("busy: 16 clients wait") == true && error.status == .failed)
        }
    }

    @Test func aSilentClientHoldsNobodyUp() throws {
        let station = try Station()
        let silent = try station.connect()
        #expect(try station.perform(.status).result["mtu"] != nil)
        #expect(silent.receive(within: Double(ControlServer.patience) + 3) == .closed)
    }

    @Test func aClientThatDoesNotReadIsCutOff() throws {
        let station = try Station()
        let many = (0..<20_000).map { sampleStatus("c\($0)") }
        station.gateway.state.withLock { $0.connections = many }
        let deaf = try station.connect()
        #expect(deaf.sendBytes(Array("{\"request\":\"status\"}\n".utf8)))
        station.gateway.state.withLock { $0.connections = [] }
        #expect(try station.perform(.status).result["mtu"] != nil)
    }
}
