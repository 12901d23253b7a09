// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditWire
import Testing

@testable import AditIKE

/// RFC 7296 §2.9: narrow, never widen.
@Suite struct TrafficSelectorNarrowingTests {
    private func selectors(_ texts: [String]) throws -> [TrafficSelector] {
        try texts.map { try #require(TrafficSelector($0)) }
    }

    private func narrow(
        _ requested: ([String], [String]), _ configured: ([String], [String])
    ) throws -> NarrowedSelectors {
        try TrafficSelectorNarrowing.narrow(
            requestedLocal: try selectors(requested.0), requestedRemote: try selectors(requested.1),
            configuredLocal: try selectors(configured.0), configuredRemote: try selectors(configured.1))
    }

    @Test(arguments: [
        // requested, configured, agreed (our side); the peer's side is 10.9.0.0/16 throughout.
        (["10.1.0.0/16"], ["10.1.0.0/16"], ["10.1.0.0/16"]), (["0.0.0.0/0"], ["10.1.0.0/16"], ["10.1.0.0/16"]),
        (["10.1.5.0/24"], ["10.1.0.0/16"], ["10.1.5.0/24"]),
        (["0.0.0.0/0", "::/0"], ["10.1.0.0/16", "2001:db8::/32"], ["10.1.0.0/16"]),
        (["10.1.0.0-10.1.0.99"], ["10.1.0.50-10.1.0.200"], ["10.1.0.50-10.1.0.99"]),
        (["10.1.0.7[tcp/443]", "10.1.0.0/16"], ["10.1.0.0/16"], ["10.1.0.0/16"]),
        (
            ["10.1.0.7[tcp/443]", "10.2.0.0/16"], ["10.2.0.0/16", "10.1.0.0/16"],
            ["10.1.0.7/32[tcp/443]", "10.2.0.0/16"]
        ),
        (["10.1.0.0/16[tcp]"], ["10.1.0.0/16[tcp/80-90]"], ["10.1.0.0/16[tcp/80-90]"]),
        (
            ["10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24"], ["10.1.0.0/16", "10.3.0.0/16"],
            ["10.1.0.0/24", "10.3.0.0/24"]
        ),
    ])
    func agreed(_ requested: [String], _ configured: [String], _ expected: [String]) throws {
        let peer = ["10.9.0.0/16"]
        let narrowed = try narrow((requested, peer), (configured, peer))
        #expect(narrowed.local.map(\.description) == expected)
        #expect(narrowed.remote.map(\.description) == peer)
        #expect(!narrowed.additionalPossible)
    }

    @Test(arguments: [
        ["10.2.0.0/16"], ["10.1.0.0/16[udp]"], ["2001:db8::/32"], [], ["10.1.0.0/16[tcp/opaque]"],
    ])
    func nothingInCommon(_ requested: [String]) throws {
        let error = #expect(throws: TrafficSelectorMismatch.self) {
            try narrow((requested, ["10.9.0.0/16"]), (["10.1.0.0/16[tcp/1-100]"], ["10.9.0.0/16"]))
        }
        #expect(error?.comparison.map(\.subject) == ["local_ts", "remote_ts"])
        #expect(error?.comparison.map(\.mismatch) == [true, false])
        #expect(error?.suggestion.contains("local_ts") == true)
    }

    @Test func mixedFamiliesKeepWhatBothSidesHave() throws {
        let both = ["10.1.0.0/16", "2001:db8:1::/48"]
        let peer = ["10.9.0.0/16", "2001:db8:9::/48"]
        let narrowed = try narrow((both, peer), (both, peer))
        #expect(narrowed.local.map(\.description) == both && narrowed.remote.map(\.description) == peer)
        let oneSided = try narrow((both, ["10.9.0.0/16"]), (both, peer))
        #expect(oneSided.local.map(\.description) == ["10.1.0.0/16"])
        #expect(throws: TrafficSelectorMismatch.self) {
            try narrow((["10.1.0.0/16"], ["2001:db8:9::/48"]), (both, peer))
        }
    }

    @Test func exchangedSidesAreNoticed() throws {
        let error = #expect(throws: TrafficSelectorMismatch.self) {
            try narrow((["10.9.0.0/16"], ["10.1.0.0/16"]), (["10.1.0.0/16"], ["10.9.0.0/16"]))
        }
        #expect(error?.suggestion == "local_ts and remote_ts look exchanged: swap them on one side.")
    }

    @Test func moreThanAPayloadHoldsIsPossible() throws {
        let many = (0..<20).flatMap { high in (0..<20).map { "10.\(high).\($0).0/25" } }
        let narrowed = try narrow((Array(many.prefix(255)), ["0.0.0.0/0"]), (["10.0.0.0/8"], ["0.0.0.0/0"]))
        #expect(narrowed.local.count == 255 && !narrowed.additionalPossible)
        let over = try narrow((["10.0.0.0/8"], ["0.0.0.0/0"]), (many, ["0.0.0.0/0"]))
        #expect(over.local.count == TrafficSelectorNarrowing.selectorLimit && over.additionalPossible)
    }

    @Test func theChildThatTakesThePacket() throws {
        let child = { (name: String, local: String) in
            ChildConfiguration(
                name: name, localSelectors: try self.selectors([local]),
                remoteSelectors: try self.selectors(["10.9.0.0/16"]))
        }
        let children = [try child("a", "10.1.0.0/16"), try child("b", "10.2.0.0/16"), try child("c", "10.0.0.0/8")]
        let choose = { (local: [String]) in
            try TrafficSelectorNarrowing.choose(
                among: children, requestedLocal: try self.selectors(local),
                requestedRemote: try self.selectors(["10.9.0.1", "10.9.0.0/16"]))
        }
        #expect(try choose(["10.2.0.7", "10.0.0.0/8"]).index == 1)
        #expect(try choose(["10.2.0.7", "10.0.0.0/8"]).selectors.local.map(\.description) == ["10.2.0.0/16"])
        #expect(try choose(["10.77.0.7", "10.77.0.0/16"]).index == 2)
        #expect(try choose(["10.1.0.0/16"]).index == 0)
        #expect(throws: TrafficSelectorMismatch.self) { try choose(["192.0.2.0/24"]) }
        let partly = try choose(["0.0.0.0/0"])
        #expect(partly.index == 0 && partly.selectors.additionalPossible)
        #expect(throws: TrafficSelectorMismatch.self) {
            try TrafficSelectorNarrowing.choose(among: [], requestedLocal: [], requestedRemote: [])
        }
    }

    @Test func answersMustNotWiden() throws {
        let offered = try selectors(["10.1.0.0/16", "10.2.0.0/16"])
        let peer = try selectors(["10.9.0.0/16"])
        let check = { (local: [String]) in
            try TrafficSelectorNarrowing.check(
                answeredLocal: try self.selectors(local), answeredRemote: peer, offeredLocal: offered,
                offeredRemote: peer)
        }
        #expect(try check(["10.1.0.0/16"]).local == [offered[0]])
        #expect(try check(["10.1.3.0/24[tcp/22]", "10.2.0.0/16"]).local.count == 2)
        for wide in [["10.0.0.0/8"], ["10.1.0.0/16", "10.3.0.0/16"], [], ["0.0.0.0/0"], ["2001:db8::/32"]] {
            #expect(throws: TrafficSelectorMismatch.self) { try check(wide) }
        }
    }

    @Test func requestsForAPacket() throws {
        let policy = try selectors(["10.1.0.0/16"])
        let packet = try selectors(["10.1.0.7[tcp/443]"])[0]
        #expect(TrafficSelectorNarrowing.request(packet: [packet], policy: policy) == [packet] + policy)
        #expect(TrafficSelectorNarrowing.request(packet: [policy[0]], policy: policy) == policy)
    }

    @Test func everyAgreementLiesInsideBothSides() throws {
        var generator = SeededGenerator(seed: 29)
        var agreed = 0
        for _ in 0..<2000 {
            let sides = (0..<4).map { _ in (0..<3).map { _ in random(&generator) } }
            let narrowed = try? TrafficSelectorNarrowing.narrow(
                requestedLocal: sides[0], requestedRemote: sides[1], configuredLocal: sides[2],
                configuredRemote: sides[3])
            guard let narrowed else { continue }
            agreed += 1
            for (result, requested, configured) in [
                (narrowed.local, sides[0], sides[2]), (narrowed.remote, sides[1], sides[3]),
            ] {
                for selector in result {
                    #expect(requested.contains { $0.contains(selector) })
                    #expect(configured.contains { $0.contains(selector) })
                }
                // And nothing that both have is lost.
                for request in requested where narrowed.local.map(\.family).contains(request.family) {
                    for own in configured {
                        guard let common = request.intersection(own) else { continue }
                        #expect(result.contains { $0.contains(common) })
                    }
                }
            }
            _ = try TrafficSelectorNarrowing.check(
                answeredLocal: narrowed.local, answeredRemote: narrowed.remote, offeredLocal: sides[0],
                offeredRemote: sides[1])
        }
        #expect(agreed > 200)
    }

    private func random(_ generator: inout SeededGenerator) -> TrafficSelector {
        let wide = UInt32.random(in: 0...63, using: &generator)
        let start = UInt32.random(in: 0...63, using: &generator)
        let ports = [UInt16.random(in: 0...9, using: &generator), UInt16.random(in: 0...9, using: &generator)].sorted()
        let anyPort = Bool.random(using: &generator)
        let v6 = Int.random(in: 0..<4, using: &generator) == 0
        let address = { (value: UInt32) in v6 ? IPAddress(v6High: 1, low: UInt64(value)) : IPAddress(v4: value) }
        let selector = TrafficSelector(
            first: address(start), last: address(start + wide),
            ipProtocol: [0, 6, 17].randomElement(using: &generator) ?? 0, firstPort: anyPort ? 0 : ports[0],
            lastPort: anyPort ? .max : ports[1])
        guard let selector else { preconditionFailure("the range is in order") }
        return selector
    }
}
