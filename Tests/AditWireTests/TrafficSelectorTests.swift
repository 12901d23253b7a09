// SPDX-License-Identifier: Apache-2.0
// Adit: AditWireTests

import Testing

@testable import AditWire

/// RFC 7296 §3.13.1, in swanctl's words.
@Suite struct TrafficSelectorTests {
    @Test(arguments: [
        "10.1.0.0/16", "10.1.0.1/32", "10.1.0.1-10.1.0.9", "2001:db8::/32", "::1-::5", "10.1.0.0/16[tcp]",
        "10.1.0.0/16[tcp/80]", "10.1.0.0/16[udp/1000-2000]", "10.1.0.0/16[47]", "10.1.0.0/16[icmp/2048]",
        "10.1.0.0/16[udp/opaque]", "0.0.0.0/0", "::/0[ipv6-icmp]", "10.1.0.0/16[any/80]",
    ])
    func textSurvives(text: String) throws {
        let selector = try #require(TrafficSelector(text))
        #expect(selector.description == text)
    }

    @Test(arguments: [
        "", "10.1.0.0/16[", "10.1.0.0/16]", "10.1.0.0/16[tcp", "10.1.0.0/16[nosuch]", "10.1.0.0/16[256]",
        "10.1.0.9-10.1.0.1", "10.1.0.1-::1", "10.1.0.0/16[tcp/]", "10.1.0.0/16[tcp/80-70]", "10.1.0.0/16[tcp/65536]",
        "10.1.0.0/16[tcp/1-2-3]", "10.1.0.0/16[]", "-", "1.2.3.4-", "10.1.0.0/16[tcp]x",
    ])
    func textThatIsNoSelector(text: String) {
        #expect(TrafficSelector(text) == nil)
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/16"), ("10.1.0.0/16[tcp]", "10.1.2.0/24", "10.1.2.0/24[tcp]"),
        ("10.1.0.0/16[tcp/80]", "10.0.0.0/8[tcp]", "10.1.0.0/16[tcp/80]"),
        ("10.1.0.0/16[udp/1-100]", "10.1.0.0/16[udp/50-200]", "10.1.0.0/16[udp/50-100]"),
        ("10.0.0.1-10.0.0.9", "10.0.0.5-10.0.0.20", "10.0.0.5-10.0.0.9"),
        ("10.0.0.0/8[udp/opaque]", "10.0.0.0/8[udp/opaque]", "10.0.0.0/8[udp/opaque]"),
        ("10.0.0.0/8[udp/opaque]", "10.0.0.0/8", "10.0.0.0/8[udp/opaque]"), ("::/0", "1::/16", "1::/16"),
    ])
    func intersections(left: String, right: String, both: String) throws {
        let (a, b) = (try #require(TrafficSelector(left)), try #require(TrafficSelector(right)))
        #expect(a.intersection(b)?.description == both)
        #expect(b.intersection(a)?.description == both)
    }

    @Test(arguments: [
        ("10.1.0.0/16", "10.2.0.0/16"), ("10.0.0.0/8[tcp]", "10.0.0.0/8[udp]"), ("0.0.0.0/0", "::/0"),
        ("10.0.0.0/8[tcp/80]", "10.0.0.0/8[tcp/81]"), ("10.0.0.0/8[tcp/opaque]", "10.0.0.0/8[tcp/80]"),
    ])
    func disjoint(left: String, right: String) throws {
        let (a, b) = (try #require(TrafficSelector(left)), try #require(TrafficSelector(right)))
        #expect(a.intersection(b) == nil)
        #expect(b.intersection(a) == nil)
        #expect(!a.contains(b))
    }

    @Test func containment() throws {
        let wide = try #require(TrafficSelector("10.0.0.0/8"))
        let narrow = try #require(TrafficSelector("10.1.0.0/16[tcp/80]"))
        #expect(wide.contains(narrow))
        #expect(!narrow.contains(wide))
        #expect(wide.contains(wide))
    }

    @Test(arguments: [
        ("10.0.0.0-10.0.0.255", ["10.0.0.0/24"]), ("10.0.0.1-10.0.0.1", ["10.0.0.1/32"]),
        ("10.0.0.1-10.0.0.6", ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]),
        ("0.0.0.0-255.255.255.255", ["0.0.0.0/0"]), ("255.255.255.254-255.255.255.255", ["255.255.255.254/31"]),
        ("::1-::4", ["::1/128", "::2/127", "::4/128"]),
    ])
    func prefixes(range: String, blocks: [String]) throws {
        #expect(try #require(TrafficSelector(range)).prefixes.map(\.description) == blocks)
    }

    /// The blocks lie edge to edge from the first address to the last, for any range.
    @Test(arguments: [UInt64(1), 2, 3])
    func prefixesCoverExactly(seed: UInt64) throws {
        var state = seed
        func random() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 20
        }
        for round in 0..<300 {
            let isV4 = round % 2 == 0
            let ends = (0..<2).map { _ in
                isV4
                    ? IPAddress(v4: UInt32(truncatingIfNeeded: random()))
                    : IPAddress(v6High: random() % 3, low: random() << 24 | random())
            }.sorted()
            let selector = try #require(TrafficSelector(first: ends[0], last: ends[1]))
            let blocks = selector.prefixes
            #expect(blocks.count <= 2 * selector.family.bits)
            #expect(blocks.first?.first == ends[0] && blocks.last?.last == ends[1], "seed \(seed) round \(round)")
            for (block, next) in zip(blocks, blocks.dropFirst()) { #expect(block.last.successor == next.first) }
        }
    }

    @Test func widestRangesStayWithinTheLimit() throws {
        let v4 = try #require(TrafficSelector("0.0.0.1-255.255.255.254"))
        #expect(v4.prefixes.count == 62)
        let v6 = try #require(
            TrafficSelector(first: IPAddress(v6High: 0, low: 1), last: IPAddress(v6High: .max, low: .max - 1)))
        #expect(v6.prefixes.count == 254)
    }
}
