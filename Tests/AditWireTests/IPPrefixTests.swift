// SPDX-License-Identifier: Apache-2.0
// Adit: AditWireTests

import Testing

@testable import AditWire

@Suite struct IPPrefixTests {
    @Test(arguments: [
        ("10.1.0.0/16", "10.1.0.0", "10.1.255.255"), ("10.1.2.3/24", "10.1.2.0", "10.1.2.255"),
        ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"), ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("192.0.2.1/31", "192.0.2.0", "192.0.2.1"), ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:db8::1/64", "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff"), ("::1/128", "::1", "::1"),
        ("1::/65", "1::", "1::7fff:ffff:ffff:ffff"), ("1::/63", "1::", "1:0:0:1:ffff:ffff:ffff:ffff"),
    ])
    func bounds(text: String, first: String, last: String) throws {
        let prefix = try #require(IPPrefix(text))
        #expect(prefix.first == IPAddress(first))
        #expect(prefix.last == IPAddress(last))
        #expect(prefix.contains(prefix.first) && prefix.contains(prefix.last))
        if let after = prefix.last.successor { #expect(!prefix.contains(after)) }
    }

    @Test(arguments: ["10.0.0.0/33", "::/129", "10.0.0.0/", "/8", "10.0.0.0/+8", "10.0.0.0/-1", "10.0.0.0/8/8", "x/8"])
    func textThatIsNoPrefix(text: String) {
        #expect(IPPrefix(text) == nil)
    }

    @Test func keepsHostBitsInText() {
        #expect(IPPrefix("10.1.0.1/24")?.description == "10.1.0.1/24")
        #expect(IPPrefix("::1")?.description == "::1/128")
    }

    @Test func containsOnlyItsFamily() throws {
        let all = try #require(IPPrefix("0.0.0.0/0"))
        #expect(!all.contains(IPAddress(v6High: 0, low: 1)))
    }
}
