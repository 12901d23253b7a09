// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditCrypto

/// The pre-shared-key proof of IKE_AUTH (RFC 7296 §2.15). Pure functions.
public enum PeerAuthentication {
    /// What a peer signs or MACs: its first message as sent, the other side's nonce, and its identity under SK_p.
    ///
    /// For the initiator's AUTH these are its IKE_SA_INIT request, Nr, SK_pi and IDi; for the responder's its response,
    /// Ni, SK_pr and IDr.
    public static func signedOctets(
        prf: PseudoRandomFunction, message: [UInt8], otherNonce: [UInt8], skP: SecretBytes,
        identity: IdentificationPayload
    ) -> [UInt8] {
        let maced = prf(key: skP, identity.body)
        return unsafe message + otherNonce + maced.withUnsafeBytes { unsafe Array($0) }
    }

    /// The value of the AUTH payload by a pre-shared key.
    public static func value(prf: PseudoRandomFunction, preSharedKey: SecretBytes, octets: [UInt8]) -> SecretBytes {
        // RFC 7296 §2.15: AUTH = prf(prf(Shared Secret, "Key Pad for IKEv2"), <SignedOctets>).
        prf(key: prf(key: preSharedKey, keyPad), octets)
    }

    /// The AUTH payload that proves knowledge of `preSharedKey`.
    public static func prove(
        prf: PseudoRandomFunction, preSharedKey: SecretBytes, octets: [UInt8]
    ) -> AuthenticationPayload {
        let value = value(prf: prf, preSharedKey: preSharedKey, octets: octets)
        return AuthenticationPayload(method: .sharedKey, value: unsafe value.withUnsafeBytes { unsafe Array($0) })
    }

    /// Whether `payload` proves knowledge of `preSharedKey`; takes the same time wherever it differs.
    public static func verify(
        _ payload: AuthenticationPayload, prf: PseudoRandomFunction, preSharedKey: SecretBytes, octets: [UInt8]
    ) -> Bool {
        guard payload.method == .sharedKey else { return false }
        return value(prf: prf, preSharedKey: preSharedKey, octets: octets) == SecretBytes(payload.value)
    }

    private static let keyPad = Array("Key Pad for IKEv2".utf8)
}
