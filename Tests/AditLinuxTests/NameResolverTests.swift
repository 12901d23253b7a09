// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinuxTests

import AditWire
import Foundation
import Testing

@testable import AditLinux

@Suite struct NameResolverTests {
    private let address = IPAddress("192.0.2.1")!

    /// Answers until there are `count` of them, at most for 5 s.
    private func collect(
        _ resolver: NameResolver, _ count: Int
    ) throws -> [UInt32: [HostLookup]] {
        let poll = try EventPoll()
        try poll.add(resolver.descriptor, token: 0)
        var found: [UInt32: [HostLookup]] = [:]
        let end = MonotonicClock.now() + .seconds(5)
        while found.count < count, MonotonicClock.now() < end {
            _ = poll.wait(until: end)
            for (token, lookups) in resolver.take() { found[token] = lookups }
        }
        return found
    }

    @Test func answersComeBackUnderTheirToken() throws {
        let address = address
        let resolver = try NameResolver(lookup: { HostLookup(name: $0, addresses: [address]) })
        resolver.ask(["one", "two"], token: 7)
        resolver.ask(["three"], token: 9)
        let found = try collect(resolver, 2)
        #expect(found[7]?.map(\.name) == ["one", "two"] && found[9]?.map(\.name) == ["three"])
        #expect(resolver.take().isEmpty)
    }

    /// A name server that does not answer holds neither the caller nor other names up.
    @Test func aSlowNameHoldsNoOtherUp() throws {
        let gate = DispatchSemaphore(value: 0)
        let address = address
        let resolver = try NameResolver(lookup: { name in
            if name == "slow" { gate.wait() }
            return HostLookup(name: name, addresses: [address])
        })
        defer { for _ in 0..<8 { gate.signal() } }
        let began = MonotonicClock.now()
        for token in 0..<UInt32(NameResolver.threadLimit - 1) { resolver.ask(["slow"], token: token) }
        resolver.ask(["quick"], token: 99)
        #expect(MonotonicClock.now() - began < .seconds(1))
        #expect(try collect(resolver, 1).keys.sorted() == [99])
        for _ in 0..<3 { gate.signal() }
        #expect(try collect(resolver, 3).keys.sorted() == [0, 1, 2])
    }

    @Test func whatDoesNotFitIsAnsweredAtOnce() throws {
        let gate = DispatchSemaphore(value: 0)
        let resolver = try NameResolver(lookup: { name in
            gate.wait()
            return HostLookup(name: name, addresses: [])
        })
        let total = NameResolver.questionLimit + NameResolver.threadLimit + 1
        for token in 0..<UInt32(total) { resolver.ask(["slow"], token: token) }
        let refused = try collect(resolver, 1)
        #expect(!refused.isEmpty && refused.count <= NameResolver.threadLimit + 1)
        #expect(refused.values.allSatisfy { $0.first?.failure == "too many names are being looked up" })
        for _ in 0..<total { gate.signal() }
        #expect(try collect(resolver, total - refused.count).count == total - refused.count)
    }

    @Test func theSystemKnowsItsOwnName() {
        let found = NameResolver.systemLookup("localhost")
        #expect(
            found.failure == nil
                && found.addresses.contains { $0.description == "127.0.0.1" || $0.description == "::1" })
        #expect(NameResolver.systemLookup("192.0.2.7").addresses == [IPAddress("192.0.2.7")!])
        let none = NameResolver.systemLookup("a name with spaces")
        #expect(none.addresses.isEmpty && none.failure?.isEmpty == false)
        #expect(NameResolver.systemLookup("a\u{0}b").failure == "no host name")
    }
}
