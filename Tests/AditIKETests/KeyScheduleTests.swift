// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import Foundation
import Testing

@testable import AditIKE

/// RFC 7296 §2.14, §2.17, §2.18 against NIST's vectors and recorded conversations.
@Suite struct KeyScheduleTests {
    /// One case of NIST's IKEv2 key derivation vectors.
    struct NISTCase {
        var prf: PseudoRandomFunction
        var values: [String: [UInt8]]

        subscript(name: String) -> [UInt8] { values[name] ?? [] }
    }

    static func nistCases() throws -> [NISTCase] {
        let functions: [String: PseudoRandomFunction] = [
            "[SHA-1]": .hmacSHA1, "[SHA-256]": .hmacSHA256, "[SHA-384]": .hmacSHA384, "[SHA-512]": .hmacSHA512,
        ]
        var cases: [NISTCase] = []
        var prf: PseudoRandomFunction?
        for line in try SharedCaptures.text("vectors/nist/ikev2.rsp").split(whereSeparator: \.isNewline) {
            if line.hasPrefix("[SHA") { prf = functions[String(line)] }
            let parts = line.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            guard parts.count == 2, !line.hasPrefix("["), !line.hasPrefix("#"), let prf else { continue }
            if parts[0] == "COUNT" {
                cases.append(NISTCase(prf: prf, values: [:]))
            } else if !cases.isEmpty {
                cases[cases.count - 1].values[parts[0]] = hex(parts[1])
            }
        }
        return cases
    }

    @Test(.enabled(if: SharedCaptures.available, "../shared is absent"))
    func nistVectors() throws {
        let cases = try Self.nistCases()
        #expect(cases.count == 84)
        for vector in cases {
            let prf = vector.prf
            let inputs = KeyInputs(
                initiatorNonce: vector["Ni"], responderNonce: vector["Nr"],
                initiatorSPI: try #require(IKESPI(bytes: vector["SPIi"])),
                responderSPI: try #require(IKESPI(bytes: vector["SPIr"])))
            let seed = KeySchedule.skeyseed(prf: prf, sharedSecret: SecretBytes(vector["g^ir"]), inputs: inputs)
            #expect(seed == SecretBytes(vector["SKEYSEED"]))
            let suite = CipherSuite.aesCBC(.bits128, .hmacSHA1_96)
            let keys = KeySchedule.ikeSAKeys(prf: prf, suite: suite, skeyseed: seed, inputs: inputs)
            let cut =
                keys.skD + keys.skAi + keys.skAr + keys.skEi + keys.skEr + keys.skPi + keys.skPr
            let common = min(cut.count, vector["DKM"].count)
            #expect(cut.slice(0..<common) == SecretBytes(vector["DKM"].prefix(common)))
            expectChild(vector, "DKM(Child SA)", keys, nil)
            expectChild(vector, "DKM(Child SA D-H)", keys, SecretBytes(vector["g^ir (new)"]))
            let rekeyed = KeySchedule.skeyseed(
                rekeyingWith: prf, skD: keys.skD, sharedSecret: SecretBytes(vector["g^ir (new)"]), inputs: inputs)
            #expect(rekeyed == SecretBytes(vector["SKEYSEED(Rekey)"]))
        }
    }

    private func expectChild(_ vector: NISTCase, _ name: String, _ keys: IKESAKeys, _ secret: SecretBytes?) {
        let child = KeySchedule.childSAKeys(
            prf: vector.prf, suite: .aesCBC(.bits256, .hmacSHA256_128), skD: keys.skD, sharedSecret: secret,
            initiatorNonce: vector["Ni"], responderNonce: vector["Nr"])
        let cut = child.initiatorToResponder + child.responderToInitiator
        let common = min(cut.count, vector[name].count)
        #expect(common > 64 && cut.slice(0..<common) == SecretBytes(vector[name].prefix(common)))
    }

    @Test(.enabled(if: SharedCaptures.available, "../shared is absent"), arguments: SharedCaptures.conversations)
    func recordedIKESAKeys(_ name: String) throws {
        let (keys, messages) = try Conversation.load(name)
        let opened = try keys.payloads(of: messages)
        var checked = 0
        for secrets in keys.ikeSAs {
            let (nonces, old) = try exchange(of: secrets, opened, keys)
            let inputs = KeyInputs(
                initiatorNonce: nonces.initiator, responderNonce: nonces.responder,
                initiatorSPI: try #require(secrets.initiatorSPI), responderSPI: try #require(secrets.responderSPI))
            let shared = SecretBytes(hex(secrets.dh))
            let seed =
                if let old {
                    KeySchedule.skeyseed(
                        rekeyingWith: old.prf, skD: SecretBytes(hex(old.sk_d)), sharedSecret: shared, inputs: inputs)
                } else {
                    KeySchedule.skeyseed(prf: secrets.prf, sharedSecret: shared, inputs: inputs)
                }
            #expect(seed == SecretBytes(hex(secrets.skeyseed)))
            let derived = KeySchedule.ikeSAKeys(prf: secrets.prf, suite: secrets.suite, skeyseed: seed, inputs: inputs)
            #expect(derived.skD == SecretBytes(hex(secrets.sk_d)))
            #expect(derived.initiatorProtection == secrets.initiatorKey)
            #expect(derived.responderProtection == secrets.responderKey)
            #expect(derived.skPi == SecretBytes(hex(secrets.sk_pi)))
            #expect(derived.skPr == SecretBytes(hex(secrets.sk_pr)))
            checked += 1
        }
        #expect(checked == keys.ikeSAs.count)
    }

    /// The nonces of the exchange that made an IKE SA, and the IKE SA that carried it when it was a rekey.
    private func exchange(
        of secrets: Conversation.IKESecrets, _ opened: [(message: CapturedMessage, payloads: [Payload]?)],
        _ keys: Conversation
    ) throws -> (nonces: (initiator: [UInt8], responder: [UInt8]), old: Conversation.IKESecrets?) {
        for (index, entry) in opened.enumerated() {
            let header = try IKEMessage(parsing: entry.message.bytes).header
            guard header.isResponse, let payloads = entry.payloads, let nonce = nonce(payloads) else { continue }
            let isInit = header.exchange == .ikeSAInit && header.responderSPI == secrets.responderSPI
            let isRekey = payloads.contains { payload in
                guard case .securityAssociation(let answer) = payload, let proposal = answer.proposals.first else {
                    return false
                }
                let spi = IKESPI(bytes: proposal.spi)
                return proposal.proposal.securityProtocol == .ike && spi != nil
                    && (spi == secrets.responderSPI || spi == secrets.initiatorSPI)
            }
            guard isInit || isRekey else { continue }
            let request = try opened[..<index].reversed().first { candidate in
                let other = try IKEMessage(parsing: candidate.message.bytes).header
                return !other.isResponse && other.messageID == header.messageID && other.exchange == header.exchange
                    && other.initiatorSPI == header.initiatorSPI
                    && other.flags.contains(.initiator) != header.flags.contains(.initiator)
            }
            let asked = try #require(request?.payloads)
            let own = try #require(self.nonce(asked))
            return ((own, nonce), isRekey ? keys.secrets(for: header) : nil)
        }
        throw CocoaError(.fileReadCorruptFile)
    }

    private func nonce(_ payloads: [Payload]) -> [UInt8]? {
        payloads.lazy.compactMap { if case .nonce(let nonce) = $0 { nonce.bytes } else { nil } }.first
    }

    @Test(.enabled(if: SharedCaptures.available, "../shared is absent"), arguments: SharedCaptures.conversations)
    func recordedChildSAKeys(_ name: String) throws {
        let (keys, _) = try Conversation.load(name)
        for child in keys.childSAs {
            let nonces = hex(child.seed).suffix(64)
            let wanted = [
                SecretBytes(hex(child.encr_initiator) + hex(child.integ_initiator ?? "")),
                SecretBytes(hex(child.encr_responder) + hex(child.integ_responder ?? "")),
            ]
            let matching = keys.ikeSAs.filter { secrets in
                let derived = KeySchedule.childSAKeys(
                    prf: secrets.prf, suite: child.suite,
                    skD: SecretBytes(hex(secrets.after_ppk?.sk_d ?? secrets.sk_d)),
                    sharedSecret: child.dh.map { SecretBytes(hex($0)) }, initiatorNonce: Array(nonces.prefix(32)),
                    responderNonce: Array(nonces.suffix(32)))
                return [derived.initiatorToResponder, derived.responderToInitiator] == wanted
            }
            #expect(matching.count == 1)
        }
    }
}
