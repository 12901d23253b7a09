// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditIKE
import AditWire
import Foundation

/// A recorded conversation of two strongSwan daemons with the keys they logged.
struct Conversation: Decodable {
    let ikeSAs: [IKESecrets]
    let childSAs: [ChildSecrets]

    /// What the daemons logged of an IKE SA.
    struct IKESecrets: Decodable {
        let dh, skeyseed, sk_d, sk_ei, sk_er, sk_pi, sk_pr, proposal, spi_i, spi_r: String
        let sk_ai, sk_ar: String?
        let after_ppk: PostquantumSecrets?

        var initiatorSPI: IKESPI? { IKESPI(bytes: hex(spi_i)) }
        var responderSPI: IKESPI? { IKESPI(bytes: hex(spi_r)) }
        var suite: CipherSuite { Conversation.suite(proposal) }
        var prf: PseudoRandomFunction { proposal.contains("PRF_HMAC_SHA2_384") ? .hmacSHA384 : .hmacSHA256 }
        var initiatorKey: SecretBytes { SecretBytes(hex(sk_ei) + hex(sk_ai ?? "")) }
        var responderKey: SecretBytes { SecretBytes(hex(sk_er) + hex(sk_ar ?? "")) }
    }

    struct PostquantumSecrets: Decodable { let sk_d: String }

    /// What the daemons logged of a pair of Child SAs.
    struct ChildSecrets: Decodable {
        let dh: String?
        let seed, encr_initiator, encr_responder, proposal: String
        let integ_initiator, integ_responder: String?

        var suite: CipherSuite { Conversation.suite(proposal) }
    }

    private enum CodingKeys: String, CodingKey {
        case ikeSAs = "ike_sas"
        case childSAs = "child_sas"
    }

    static func load(_ name: String) throws -> (keys: Conversation, messages: [CapturedMessage]) {
        let folder = "captures/strongswan/\(name)"
        let keys = try JSONDecoder().decode(
            Conversation.self, from: Data(try SharedCaptures.bytes("\(folder)/keys.json")))
        let capture = try CaptureReader(try SharedCaptures.bytes("\(folder)/capture.pcap"))
        return (keys, capture.messages)
    }

    /// The secrets for a message's header; nil for one that no SA protects.
    func secrets(for header: IKEHeader) -> IKESecrets? {
        ikeSAs.first { $0.initiatorSPI == header.initiatorSPI && $0.responderSPI == header.responderSPI }
    }

    /// The payloads of every message in order, decrypted and put together; nil payloads for a fragment in between.
    func payloads(of messages: [CapturedMessage]) throws -> [(message: CapturedMessage, payloads: [Payload]?)] {
        var reassembly = FragmentReassembly()
        return try messages.map { captured in
            let message = try IKEMessage(parsing: captured.bytes)
            switch message.payloads.last {
            case .encrypted, .encryptedFragment: break
            default: return (captured, message.payloads)
            }
            guard let secrets = secrets(for: message.header) else { throw WireError.invalid("no keys") }
            let fromInitiator = message.header.flags.contains(.initiator)
            let key = fromInitiator ? secrets.initiatorKey : secrets.responderKey
            switch try SKOpener(suite: secrets.suite, key: key).open(captured.bytes).content {
            case .payloads(let payloads): return (captured, payloads)
            case .fragment(let fragment):
                guard case .complete(let payloads) = reassembly.add(fragment, messageID: message.header.messageID)
                else {
                    return (captured, nil)
                }
                return (captured, payloads)
            }
        }
    }

    private static func suite(_ proposal: String) -> CipherSuite {
        switch proposal.split(separator: "/")[0] {
        case "AES_GCM_16_128": .aesGCM16(.bits128)
        case "AES_GCM_16_256": .aesGCM16(.bits256)
        case "CHACHA20_POLY1305": .chaCha20Poly1305
        default: .aesCBC(.bits256, .hmacSHA256_128)
        }
    }
}
