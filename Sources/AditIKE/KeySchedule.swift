// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditCrypto

/// The secrets of an IKE SA (RFC 7296 §2.14).
public struct IKESAKeys: Sendable, Equatable {
    /// SK_d: what Child SA keys and the next IKE SA's keys are derived from.
    public let skD: SecretBytes
    /// SK_ai: integrity of the initiator's messages; empty with an AEAD.
    public let skAi: SecretBytes
    /// SK_ar: integrity of the responder's messages; empty with an AEAD.
    public let skAr: SecretBytes
    /// SK_ei: encryption of the initiator's messages, an AEAD's salt included.
    public let skEi: SecretBytes
    /// SK_er: encryption of the responder's messages, an AEAD's salt included.
    public let skEr: SecretBytes
    /// SK_pi: what binds the initiator's identity to its AUTH.
    public let skPi: SecretBytes
    /// SK_pr: what binds the responder's identity to its AUTH.
    public let skPr: SecretBytes

    /// What seals the initiator's messages: encryption key, then integrity key.
    public var initiatorProtection: SecretBytes { skEi + skAi }
    /// What seals the responder's messages: encryption key, then integrity key.
    public var responderProtection: SecretBytes { skEr + skAr }
}

/// The keys of a pair of Child SAs (RFC 7296 §2.17), each an encryption key and then an integrity key.
///
/// The initiator is the side that began the exchange in which the SAs were made, not the IKE SA's original initiator.
public struct ChildSAKeys: Sendable, Equatable {
    /// From the exchange's initiator to its responder.
    public let initiatorToResponder: SecretBytes
    /// From the exchange's responder to its initiator.
    public let responderToInitiator: SecretBytes
}

/// The nonces and SPIs that enter the keys of an IKE SA.
public struct KeyInputs: Sendable {
    /// Ni.
    public var initiatorNonce: [UInt8]
    /// Nr.
    public var responderNonce: [UInt8]
    /// SPIi of the IKE SA whose keys are made.
    public var initiatorSPI: IKESPI
    /// SPIr of the IKE SA whose keys are made.
    public var responderSPI: IKESPI

    /// The inputs of one exchange.
    public init(initiatorNonce: [UInt8], responderNonce: [UInt8], initiatorSPI: IKESPI, responderSPI: IKESPI) {
        self.initiatorNonce = initiatorNonce
        self.responderNonce = responderNonce
        self.initiatorSPI = initiatorSPI
        self.responderSPI = responderSPI
    }
}

/// How keys come from a key exchange: RFC 7296 §2.13, §2.14, §2.17, §2.18. Pure functions.
public enum KeySchedule {
    /// SKEYSEED of a new IKE SA.
    public static func skeyseed(
        prf: PseudoRandomFunction, sharedSecret: SecretBytes, inputs: KeyInputs
    ) -> SecretBytes {
        // RFC 7296 §2.14: SKEYSEED = prf(Ni | Nr, g^ir).
        prf(key: SecretBytes(inputs.initiatorNonce + inputs.responderNonce), sharedSecret)
    }

    /// SKEYSEED of an IKE SA that replaces another; `prf` and `skD` are the old SA's, nonces and secret the new ones.
    public static func skeyseed(
        rekeyingWith prf: PseudoRandomFunction, skD: SecretBytes, sharedSecret: SecretBytes, inputs: KeyInputs
    ) -> SecretBytes {
        // RFC 7296 §2.18: SKEYSEED = prf(SK_d (old), g^ir (new) | Ni | Nr).
        prf(key: skD, sharedSecret + SecretBytes(inputs.initiatorNonce + inputs.responderNonce))
    }

    /// The secrets of an IKE SA with `suite`, by its own `prf`.
    public static func ikeSAKeys(
        prf: PseudoRandomFunction, suite: CipherSuite, skeyseed: SecretBytes, inputs: KeyInputs
    ) -> IKESAKeys {
        let integrity = suite.integrityKeyLength
        let encryption = suite.encryptionKeyLength
        let lengths = [
            prf.outputLength, integrity, integrity, encryption, encryption, prf.outputLength, prf.outputLength,
        ]
        // RFC 7296 §2.14: {SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr}
        // = prf+ (SKEYSEED, Ni | Nr | SPIi | SPIr).
        let seed =
            inputs.initiatorNonce + inputs.responderNonce + inputs.initiatorSPI.bytes + inputs.responderSPI.bytes
        var stream = KeyStream(prf.expand(key: skeyseed, seed: seed, count: lengths.reduce(0, +)))
        return IKESAKeys(
            skD: stream.take(lengths[0]), skAi: stream.take(lengths[1]), skAr: stream.take(lengths[2]),
            skEi: stream.take(lengths[3]), skEr: stream.take(lengths[4]), skPi: stream.take(lengths[5]),
            skPr: stream.take(lengths[6]))
    }

    /// The keys of a pair of Child SAs.
    ///
    /// `sharedSecret` is g^ir of the CREATE_CHILD_SA's own key exchange, nil when it had none.
    public static func childSAKeys(
        prf: PseudoRandomFunction, suite: CipherSuite, skD: SecretBytes, sharedSecret: SecretBytes?,
        initiatorNonce: [UInt8], responderNonce: [UInt8]
    ) -> ChildSAKeys {
        let one = suite.encryptionKeyLength + suite.integrityKeyLength
        let nonces = initiatorNonce + responderNonce
        // RFC 7296 §2.17: KEYMAT = prf+(SK_d, [g^ir (new) |] Ni | Nr); initiator to responder first, encryption first.
        let keymat =
            if let sharedSecret {
                prf.expand(key: skD, seed: sharedSecret + SecretBytes(nonces), count: 2 * one)
            } else {
                prf.expand(key: skD, seed: nonces, count: 2 * one)
            }
        var stream = KeyStream(keymat)
        return ChildSAKeys(initiatorToResponder: stream.take(one), responderToInitiator: stream.take(one))
    }
}

/// Keying material from which keys are cut one after the other.
private struct KeyStream {
    private let material: SecretBytes
    private var position = 0

    init(_ material: SecretBytes) { self.material = material }

    mutating func take(_ count: Int) -> SecretBytes {
        defer { position += count }
        return material.slice(position..<position + count)
    }
}
