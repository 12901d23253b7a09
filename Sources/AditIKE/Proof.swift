// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditCrypto
internal import AditWire

/// One side's proof in IKE_AUTH (RFC 7296 §2.15): what it covers is here, how it is made is the authentication method's.
///
/// The place where further methods (signatures, EAP) join: they sign or verify the same octets.
struct Proof {
    let prf: PseudoRandomFunction
    /// The first message of the side that proves, as it was sent.
    let message: [UInt8]
    /// The nonce of the other side.
    let otherNonce: [UInt8]
    /// SK_pi or SK_pr of the side that proves.
    let skP: SecretBytes

    /// Proves that we are `identity`.
    func prove(
        _ authentication: ConnectionConfiguration.Authentication, as identity: Identity
    ) -> AuthenticationPayload {
        switch authentication {
        case .preSharedKey(let key):
            PeerAuthentication.prove(prf: prf, preSharedKey: key, octets: octets(identity.payload))
        }
    }

    /// Whether the peer is who it says.
    func verify(
        _ payload: AuthenticationPayload, _ authentication: ConnectionConfiguration.Authentication,
        _ identification: IdentificationPayload
    ) -> Bool {
        switch authentication {
        case .preSharedKey(let key):
            PeerAuthentication.verify(payload, prf: prf, preSharedKey: key, octets: octets(identification))
        }
    }

    private func octets(_ identification: IdentificationPayload) -> [UInt8] {
        PeerAuthentication.signedOctets(
            prf: prf, message: message, otherNonce: otherNonce, skP: skP, identity: identification)
    }
}

extension Identity {
    /// Whether it stands for several identities, so that it cannot be sent.
    var isPattern: Bool {
        switch self {
        case .fqdn(let name): name.hasPrefix("*.")
        case .email(let name): name.hasPrefix("*@")
        default: false
        }
    }
}

extension SPI {
    /// Four bytes in network order.
    var bytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: rawValue >> (24 - 8 * UInt32($0))) } }
}
