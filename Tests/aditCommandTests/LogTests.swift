// SPDX-License-Identifier: Apache-2.0
// Adit: aditCommandTests

import AditWire
import Logging
import Synchronization
import Testing

@testable import Adit
@testable import AditIKE
@testable import adit

/// Keeps what a handler writes.
private final class Lines: Sendable {
    let text = Mutex("")
    var all: [Substring] { text.withLock { $0 }.split(separator: "\n") }
}

private func logger(_ lines: Lines, _ format: LogFormat, _ level: Logger.Level = .info) -> Logger {
    Logger(label: "adit") { _ in
        LineLogHandler(
            level: level, format: format, clock: { WallTime(milliseconds: 1_795_392_000_007) },
            write: { line in lines.text.withLock { $0 += line } })
    }
}

@Suite struct LogTests {
    @Test func textLines() {
        let lines = Lines()
        let log = logger(lines, .text)
        log.info("ready")
        log.error("IKE SA\nclosed\u{1b}[31m", metadata: ["connection": "hq", "event": "closed"])
        log.debug("not shown")
        #expect(
            lines.all == [
                "2026-11-23T00:00:00.007Z info: ready",
                "2026-11-23T00:00:00.007Z error hq: IKE SA\\u{a}closed\\u{1b}[31m",
            ])
    }

    @Test func jsonLines() throws {
        let lines = Lines()
        logger(lines, .json).warning("a \"b\"\n", metadata: ["event": "x", "connection": "hq", "a": "1"])
        let head = #"{"time":"2026-11-23T00:00:00.007Z","level":"warning","connection":"hq""#
        #expect(lines.all == [Substring(head + #","message":"a \"b\"\n","a":"1","event":"x"}"#)])
    }

    @Test func aFailureHasEveryFieldOfItsExplanation() throws {
        let lines = Lines()
        TransitionLog(logger(lines, .json)).log(.ike(.failed(sampleFailure())))
        let line = try #require(lines.all.first.flatMap { JSONValue(parsing: Array($0.utf8)) })
        let document = FailureDocument.json(sampleFailure(), at: nil)
        for name in ["code", "stage", "remote", "suggestion", "comparison", "consequence", "connection"] {
            #expect(line[name]?.text == document[name]?.text && line[name] != nil, "\(name)")
        }
        #expect(line["event"]?.stringValue == "failed" && line["comparison"]?.elements.count == 2)
    }

    @Test func strangersDoNotHideAFailureOfOurOwn() {
        let lines = Lines()
        let log = TransitionLog(logger(lines, .text))
        var stranger = sampleFailure()
        stranger.consequence = .refused
        for _ in 0..<100 { log.log(.ike(.failed(stranger))) }
        #expect(log.failureTime(of: sampleFailure()) == nil && log.failureTime(of: stranger) != nil)
        let before = lines.all.count
        log.log(.ike(.failed(sampleFailure())))
        #expect(lines.all.count == before + 1)
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (1_709_164_800_000, "2024-02-29T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
    ]) func wallTime(milliseconds: Int64, text: String) {
        #expect(WallTime(milliseconds: milliseconds).description == text)
    }

    @Test func oneLineATransition() throws {
        let lines = Lines()
        let log = TransitionLog(logger(lines, .text))
        let sa = try #require(sampleStatus().ikeSA)
        let child = sampleStatus().children[0]
        let events: [IKEReport] = [
            .connecting(connection: "hq", remote: .at("203.0.113.7", 500), role: .initiator),
            .established(connection: "hq", sa),
            .childInstalled(connection: "hq", child: "lan", child, replaces: nil),
            .childInstalled(connection: "hq", child: "lan", child, replaces: child.inboundSPI),
            .childRemoved(connection: "hq", child: "lan", inboundSPI: child.inboundSPI),
            .ikeRekeyed(connection: "hq", sa), .closed(connection: "hq", reason: "the peer deleted it"),
            .failed(sampleFailure()), .failed(sampleFailure(nil)),
        ]
        for event in events { log.log(.ike(event)) }
        log.log(.warning("no route"))
        let found = lines.all.map { String($0.dropFirst("2026-11-23T00:00:00.007Z ".count)) }
        #expect(found.count == events.count + 1)
        #expect(found[0] == "info hq: connecting to 203.0.113.7:500")
        #expect(
            found[1].hasPrefix("info hq: IKE SA established with 203.0.113.7:4500 (aes256gcm16-prfsha384-x25519), "))
        #expect(found[1].hasSuffix(" ms"))
        #expect(
            found[2]
                == "info hq: child lan installed: 10.1.0.0/16 to 10.2.0.0/16 (aes128gcm16), SPI c1a2b3c4 in, "
                + "d0d0d0d0 out"
        )
        #expect(found[3].hasPrefix("info hq: child lan rekeyed: "))
        #expect(found[4] == "info hq: child lan removed, SPI c1a2b3c4 in")
        #expect(found[5].hasPrefix("info hq: IKE SA rekeyed with 203.0.113.7:4500"))
        #expect(found[6] == "info hq: IKE SA closed: the peer deleted it")
        #expect(
            found[7]
                == "error hq: ike_sa_init failed: no_proposal_chosen: the peer accepts none of our suites; add "
                + "modp2048 to proposals")
        #expect(found[8].hasPrefix("error: ike_sa_init failed with 203.0.113.7:500: no_proposal_chosen: "))
        #expect(found[9] == "warning: no route")
        #expect(
            log.failureTime(of: sampleFailure()) != nil && log.failureTime(of: sampleFailure(nil)) != nil
                && log.failureTime(of: sampleFailure("lab")) == nil)
    }

    @Test func aNarrowedChildHasALineOfItsOwn() throws {
        let lines = Lines()
        let log = TransitionLog(logger(lines, .text))
        var child = sampleStatus().children[0]
        child.isNarrowed = true
        child.askedLocalSelectors = [try #require(TrafficSelector("10.0.0.0/8"))]
        child.askedRemoteSelectors = child.remoteSelectors
        log.log(.ike(.childInstalled(connection: "hq", child: "lan", child, replaces: nil)))
        log.log(.ike(.childInstalled(connection: "hq", child: "lan", child, replaces: child.inboundSPI)))
        log.log(.ike(.childIdle(connection: "hq", child: "lan", after: .seconds(600))))
        let found = lines.all.map { String($0.dropFirst("2026-11-23T00:00:00.007Z ".count)) }
        #expect(found.count == 4)
        #expect(
            found[1]
                == "notice hq: child lan narrowed: asked 10.0.0.0/8 to 10.2.0.0/16, given 10.1.0.0/16 to 10.2.0.0/16")
        child.askedLocalSelectors = child.localSelectors
        child.configuredLocalSelectors = [try #require(TrafficSelector("10.0.0.0/8"))]
        child.configuredRemoteSelectors = child.remoteSelectors
        let short = EventText(narrowingIn: .ike(.childInstalled(connection: "hq", child: "lan", child, replaces: nil)))
        #expect(
            short?.message
                == "child lan narrowed: configured 10.0.0.0/8 to 10.2.0.0/16, given 10.1.0.0/16 to 10.2.0.0/16")
        #expect(found[2].contains("rekeyed"))
        #expect(found[3] == "info hq: child lan carried nothing for 600 s and is deleted")
    }

    /// A certificate's subject may be any Unicode: it neither moves the cursor nor turns what stands beside it.
    @Test func aPeersWordsStayWhereTheyAre() {
        #expect(printable("CN=paris\u{202e}moc\u{2028}x\u{1b}[2J") == "CN=paris\\u{202e}moc\\u{2028}x\\u{1b}[2J")
        #expect(quoted("a\u{200f}b") == "\"a\\u{200f}b\"")
        #expect(printable("Zürich 東京") == "Zürich 東京")
    }

    @Test func strangersCannotFloodTheLog() {
        let lines = Lines()
        let log = TransitionLog(logger(lines, .text))
        for _ in 0..<1000 {
            log.log(.ike(.failed(sampleFailure(nil))))
            log.log(.ike(.connecting(connection: "hq", remote: .at("203.0.113.7", 500), role: .responder)))
        }
        #expect(lines.all.count <= 2 * Int(LineBudget.burst) + 2)
    }

    @Test func aBudgetFillsAgain() {
        var budget = LineBudget()
        let start = ContinuousClock.now
        for _ in 0..<Int(LineBudget.burst) { #expect(budget.take(start) == 0) }
        #expect(budget.take(start) == nil && budget.take(start) == nil)
        #expect(budget.take(start + .seconds(1 / LineBudget.perSecond)) == 2)
        #expect(budget.take(start + .seconds(1 / LineBudget.perSecond)) == nil)
    }
}
