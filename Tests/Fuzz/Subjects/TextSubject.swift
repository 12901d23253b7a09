// SPDX-License-Identifier: Apache-2.0
// Adit: Fuzz

import AditIKE
import AditWire

extension FuzzSubject {
    /// The small languages of the configuration: addresses, prefixes, selectors, identities, proposals.
    public static let text = FuzzSubject(
        name: "Text",
        run: { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            if let address = IPAddress(text) {
                precondition(IPAddress(address.description) == address, "addresses survive as text")
            }
            if let prefix = IPPrefix(text) {
                precondition(IPPrefix(prefix.description) == prefix, "prefixes survive as text")
            }
            if let identity = Identity(text) {
                // A distinguished name keeps its words, not the string types that they were encoded in.
                let again = Identity(identity.description)
                precondition(again == identity || again?.matches(identity) ?? false, "identities survive as text")
                precondition(Identity(identity.payload) == identity, "identities survive on the wire")
            }
            if let selector = TrafficSelector(text) {
                precondition(TrafficSelector(selector.description) == selector, "selectors survive as text")
                let blocks = selector.prefixes
                precondition(blocks.first?.first == selector.first && blocks.last?.last == selector.last)
            }
            for kind in [SecurityProtocol.ike, .esp] {
                guard let proposal = try? Proposal(parsing: text, for: kind, allowLegacy: true) else { continue }
                let again = try? Proposal(parsing: proposal.description, for: kind, allowLegacy: true)
                precondition(again == proposal, "proposals survive as text")
            }
        },
        seeds: {
            [
                "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "10.0.0.0/8", "fd00::/7", "10.0.0.1-10.0.0.9[udp/1-20]",
                "10.0.0.0/8[icmp/opaque]", "fd01::/64[any/443]", "paris.example.com", "alice@example.com",
                "keyid:0a0b0c", "asn1dn:#3000", "@192.0.2.1", "aes256gcm16-aes128gcm16-prfsha384-x25519-ecp256",
                "aes256-sha256-modp2048-noesn", "C=CH, O=Example\\, Inc., CN=paris + UID=x", "1.2.3.4=y",
            ].enumerated().map { ("text\($0.offset)", Array($0.element.utf8)) }
        })
}
