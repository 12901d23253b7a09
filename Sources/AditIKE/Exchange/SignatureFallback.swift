// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditCrypto

// Which of the two RSA signatures a responder takes is not announced: RFC 7427 §4 tells of hashes only.

extension IKEEndpoint {
    /// How a peer that took no RSASSA-PSS of ours is thought to sign; nil for everybody else.
    func assumedAlgorithm(_ sa: IKESA) -> SignatureAlgorithm? {
        guard let id = sa.connection, connections[id]?.signsByPKCS1 == true else { return nil }
        return SignatureAlgorithm(.rsaPKCS1(.sha256))
    }

    /// The responder refused our proof. Where that was RSASSA-PSS (RFC 8247 §3.2: "MUST be supported"), a new attempt
    /// signs with PKCS #1 v1.5 ("MAY be supported") at once; false when there is nothing else to try.
    ///
    /// What works is kept for the connection's life; when neither does, the next attempt begins with PSS again.
    mutating func signsOtherwise(_ sent: AuthSent, _ configuration: ConnectionConfiguration, _ sa: inout IKESA) -> Bool
    {
        guard let id = sa.connection, let connection = connections[id], sent.peerHashes != nil,
            case .signature(let credential) = configuration.authentication.local, case .rsa = credential.key.kind
        else { return false }
        connections[id]?.signsByPKCS1 = !connection.signsByPKCS1
        let wanted = connection.children.current((sent.child.map { [$0.child] } ?? []) + sa.wanted)
        guard !connection.signsByPKCS1, !wanted.isEmpty, sa.reauthenticates == nil else { return false }
        end(&sa, .none)
        bring(id, wanted)
        return true
    }
}
