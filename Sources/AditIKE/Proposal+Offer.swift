// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditCrypto

// A configured proposal is what may be negotiated; these are the forms in which it is offered.
extension Proposal {
    /// What is offered and accepted for IKE when nothing is configured: AEADs first, then CBC for peers without them.
    public static var defaultIKE: [Proposal] {
        [
            Proposal(
                .ike,
                keywords: [
                    "aes256gcm16", "aes128gcm16", "prfsha384", "prfsha256", "x25519", "ecp384", "ecp256", "modp2048",
                ]),
            Proposal(
                .ike,
                keywords: [
                    "aes256", "aes128", "prfsha384", "prfsha256", "sha256", "x25519", "ecp384", "ecp256", "modp2048",
                ]),
        ]
    }

    /// What is offered and accepted for ESP when nothing is configured.
    ///
    /// The key exchange is for rekeying, with NONE last: forward secrecy where the peer does it too.
    public static var defaultESP: [Proposal] {
        let exchanges = ["x25519", "ecp384", "ecp256", "modp2048", "modpnone"]
        return [
            Proposal(.esp, keywords: ["aes128gcm16", "aes256gcm16", "chacha20poly1305"] + exchanges),
            Proposal(.esp, keywords: ["aes256", "aes128", "sha256"] + exchanges),
        ]
    }

    /// The proposal without its key exchange: in IKE_AUTH the first child's keys come from the IKE SA (RFC 7296 §1.2).
    public var withoutKeyExchange: Proposal {
        Proposal(securityProtocol, transforms.filter { $0.kind != .keyExchange })
    }

    /// The proposal with `group`, which a KE payload will have, first among its key exchanges, if it is one of them.
    public func preferring(_ group: KeyExchangeGroup) -> Proposal {
        let wanted = Transform(.keyExchange, group.transformID)
        guard let index = transforms.firstIndex(of: wanted),
            let first = transforms.firstIndex(where: { $0.kind == .keyExchange })
        else { return self }
        var copy = self
        copy.transforms.remove(at: index)
        copy.transforms.insert(wanted, at: first)
        return copy
    }

    /// The proposal with the sequence numbers that every ESP proposal must name (RFC 7296 §3.3.3).
    ///
    /// `esn` or `noesn` in the configured proposal decides; otherwise `extended` offers ESN first and then plain
    /// numbers, and its opposite only plain ones.
    public func withSequenceNumbers(extended: Bool) -> Proposal {
        guard securityProtocol == .esp, transforms(.sequenceNumbers).isEmpty else { return self }
        let plain = Transform(.sequenceNumbers, 0)
        return Proposal(.esp, transforms + (extended ? [Transform(.sequenceNumbers, 1), plain] : [plain]))
    }

    private init(_ securityProtocol: SecurityProtocol, keywords: [String]) {
        self.init(
            securityProtocol,
            keywords.map { keyword in
                guard let algorithm = Algorithm.named(keyword) else {
                    preconditionFailure("the defaults consist of known keywords")
                }
                return algorithm.transform
            })
    }
}
