// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditWire
import Testing

@testable import AditIKE

/// Identities as text and on the wire (RFC 7296 §3.5).
@Suite struct IdentityTests {
    @Test(arguments: [
        ("paris.example.com", Identity.fqdn("paris.example.com")), ("localhost", .fqdn("localhost")),
        ("@paris", .fqdn("paris")), ("fqdn:192.0.2.1", .fqdn("192.0.2.1")),
        ("alice@example.com", .email("alice@example.com")),
        ("email:alice", .email("alice")), ("192.0.2.1", .address(IPAddress(v4: 0xc000_0201))),
        ("2001:db8::1", .address(IPAddress(v6High: 0x2001_0db8_0000_0000, low: 1))),
        ("keyid:0aFf", .keyID([0x0a, 0xff])),
        ("@#0aff", .keyID([0x0a, 0xff])), ("asn1dn:#300a", .distinguishedName([0x30, 0x0a])),
    ])
    func text(_ text: String, _ identity: Identity) {
        #expect(Identity(text) == identity)
        #expect(Identity(identity.description) == identity, "\(identity.description)")
        #expect(Identity(identity.payload) == identity)
    }

    @Test(arguments: [
        "", "a b", "keyid:", "keyid:0", "keyid:xx", "@#", "caf\u{e9}.example", "a\u{7}b",
        "%any", "fqdn:", "asn1dn:#", "2001:db8::g", "@",
    ])
    func noIdentity(_ text: String) { #expect(Identity(text) == nil) }

    @Test func lengths() {
        #expect(Identity(String(repeating: "a", count: 255)) != nil)
        #expect(Identity(String(repeating: "a", count: 256)) == nil)
    }

    @Test(arguments: [
        (IdentificationType.ipv4Address, [UInt8](repeating: 1, count: 16)), (.ipv6Address, [1, 2, 3, 4]),
        (.ipv4Address, []), (.fqdn, []), (.fqdn, [0x61, 0]), (.fqdn, [0xff]), (.email, [0x0a]), (.keyID, []),
        (.null, []), (IdentificationType(rawValue: 201), [1]), (.generalName, [1]),
    ])
    func payloadsWithoutMeaning(_ type: IdentificationType, _ bytes: [UInt8]) {
        let payload = IdentificationPayload(type: type, bytes: bytes)
        #expect(Identity(payload) == nil)
        #expect(payload.description == "identification type \(type.rawValue) of \(bytes.count) bytes")
    }

    @Test(arguments: [
        ("hq.example.com", "HQ.Example.COM", true), ("hq.example.com", "hq.example.org", false),
        ("*.example.com", "a.example.com", true), ("*.example.com", "example.com", false),
        ("*.example.com", ".example.com", false), ("*.example.com", "a.b.example.com", true),
        ("*.example.com", "aexample.com", false), ("*@example.com", "alice@example.com", true),
        ("*@example.com", "alice@evil.com", false), ("a.example.com", "*.example.com", false),
        ("alice@example.com", "fqdn:alice@example.com", false), ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false), ("192.0.2.1", "fqdn:192.0.2.1", false), ("keyid:01", "keyid:01", true),
        ("keyid:01", "keyid:02", false),
    ])
    func matching(_ configured: String, _ received: String, _ expected: Bool) throws {
        let wanted = try #require(Identity(configured))
        #expect(wanted.matches(try #require(Identity(received))) == expected)
    }
}
