// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Foundation
import Testing

@testable import AditIKE

/// Every suite that a proposal can name.
let everySuite: [CipherSuite] =
    CipherSuite.AESKeyLength.allCases.flatMap { length in
        [.aesGCM16(length)] + CipherSuite.Integrity.allCases.map { .aesCBC(length, $0) }
    } + [.chaCha20Poly1305] + CipherSuite.Integrity.allCases.map { .tripleDESCBC($0) }

/// A key that is the same in every run.
private enum SeededKey {
    static func bytes(_ suite: CipherSuite) -> [UInt8] {
        var generator = SeededGenerator(seed: 3)
        return generator.bytes(suite.encryptionKeyLength + suite.integrityKeyLength)
    }
}

/// SK and SKF protection (RFC 7296 §3.14, RFC 5282, RFC 7383 §2.5).
@Suite struct SKSealerTests {
    private static let header = IKEHeader(
        initiatorSPI: IKESPI(rawValue: 1), responderSPI: IKESPI(rawValue: 2), exchange: .ikeAuth, flags: .initiator,
        messageID: 1)

    private func pair(_ suite: CipherSuite) throws -> (SKSealer, SKOpener) {
        let key = SecretBytes(SeededKey.bytes(suite))
        return (try SKSealer(suite: suite, key: key), try SKOpener(suite: suite, key: key))
    }

    private func payloads(_ length: Int) -> [Payload] {
        [
            .identificationInitiator(Identity.fqdn("a.example").payload),
            .vendorID(Array(repeating: 0xab, count: length)),
        ]
    }

    @Test(arguments: everySuite) func sealedMessagesOpen(_ suite: CipherSuite) throws {
        let (sealer, opener) = try pair(suite)
        for length in Array(0...40) + [1000, 60_000] {
            let sealed = try #require(sealer.seal(Self.header, payloads(length)))
            #expect(try IKEMessage(parsing: sealed).serialize() == sealed)
            #expect(try opener.open(sealed).content == .payloads(payloads(length)))
        }
        let empty = try #require(sealer.seal(Self.header, []))
        #expect(try opener.open(empty).content == .payloads([]))
    }

    @Test("what fits no message is not sealed, and no trap", arguments: [65_535, 70_000, 200_000])
    func tooLong(length: Int) throws {
        let (sealer, _) = try pair(.chaCha20Poly1305)
        let many = Array(repeating: Payload.vendorID(Array(repeating: 1, count: 10_000)), count: length / 10_000 + 1)
        for payloads in [payloads(length), many] {
            #expect(!SKSealer.fits(payloads) && sealer.seal(Self.header, payloads) == nil)
            #expect(sealer.seal(Self.header, payloads, fragmentLength: 1200) == nil)
        }
        #expect(SKSealer.fits(payloads(60_000)))
    }

    @Test(arguments: everySuite) func theSameMessageIsNeverSealedTheSame(_ suite: CipherSuite) throws {
        let (sealer, _) = try pair(suite)
        let sealed = (0..<20).compactMap { _ in sealer.seal(Self.header, payloads(8)) }
        #expect(Set(sealed.map { Array($0[32..<40]) }).count == 20, "an IV repeats")
    }

    @Test(arguments: everySuite) func everyChangedByteIsRefused(_ suite: CipherSuite) throws {
        let (sealer, opener) = try pair(suite)
        let sealed = try #require(sealer.seal(Self.header, payloads(20)))
        for index in sealed.indices {
            var forged = sealed
            forged[index] ^= 0x01
            #expect(throws: SKError.self) { try opener.open(forged) }
        }
        // A failure leaves nothing behind.
        #expect(try opener.open(sealed).content == .payloads(payloads(20)))
    }

    @Test(arguments: everySuite) func shortSealedPartsAreRefused(_ suite: CipherSuite) throws {
        let (_, opener) = try pair(suite)
        for length in 0...80 {
            let payload = EncryptedPayload(firstPayload: .none, bytes: Array(repeating: 0, count: length))
            let message = IKEMessage(header: Self.header, payloads: [.encrypted(payload)]).serialize()
            #expect(throws: SKError.authenticationFailed) { try opener.open(message) }
        }
    }

    @Test func unprotectedAndMalformedMessages() throws {
        let (_, opener) = try pair(.aesGCM16(.bits128))
        let plain = IKEMessage(header: Self.header, payloads: [.vendorID([1])]).serialize()
        #expect(throws: SKError.notProtected) { try opener.open(plain) }
        #expect(throws: SKError.malformed(.truncated)) { try opener.open([1, 2, 3]) }
    }

    @Test func authenticatedButMalformedContent() throws {
        let (sealer, opener) = try pair(.aesGCM16(.bits256))
        let short = Payload.unknown(UnknownPayload(type: .nonce, critical: false, bytes: [1]))
        let broken = try #require(sealer.seal(Self.header, [short]))
        #expect(throws: SKError.malformedContent(.invalid("nonce length"))) { try opener.open(broken) }
    }

    /// A message whose sealed part is `text` as it stands, after the payloads `before`.
    private func sealByHand(_ suite: CipherSuite, key: SecretBytes, before: [Payload], text: [UInt8]) throws -> [UInt8]
    {
        let room = suite.ivLength + text.count + suite.icvLength
        let sealed = EncryptedPayload(firstPayload: .vendorID, bytes: [UInt8](repeating: 0, count: room))
        var message = IKEMessage(header: Self.header, payloads: before + [.encrypted(sealed)]).serialize()
        let prefixLength = message.count - room
        message.replaceSubrange(prefixLength + suite.ivLength..<prefixLength + suite.ivLength + text.count, with: text)
        let sealer = try PacketSealer(suite: suite, key: key, ivSpace: 0)
        let done = try message.withUnsafeMutableBytes { buffer in
            sealer.seal(
                try #require(buffer.baseAddress), prefixLength: prefixLength, textLength: text.count, extended: nil)
        }
        #expect(done)
        return message
    }

    @Test func payloadsBeforeSKAndLongPadding() throws {
        let suite = CipherSuite.aesGCM16(.bits256)
        let key = SecretBytes(SeededKey.bytes(suite))
        let opener = try SKOpener(suite: suite, key: key)
        let vendor: [UInt8] = [0, 0, 0, 5, 7]
        // RFC 7296 §3.14: any pad length that fits is accepted, whatever the pad bytes are.
        for padding in [0, 1, 3, 255] {
            let text = vendor + [UInt8](repeating: 0xee, count: padding) + [UInt8(padding)]
            let message = try sealByHand(suite, key: key, before: [.vendorID([1])], text: text)
            #expect(try opener.open(message).content == .payloads([.vendorID([1]), .vendorID([7])]))
        }
        let message = try sealByHand(suite, key: key, before: [], text: [6, 6, 6, 4])
        #expect(throws: SKError.malformedContent(.invalid("pad length"))) { try opener.open(message) }
    }

    // RFC 7383 §2.5: every fragment fits, is authenticated alone, and only the first names the first payload.
    @Test(arguments: everySuite) func fragmentsFitAndComeTogether(_ suite: CipherSuite) throws {
        let (sealer, opener) = try pair(suite)
        for (length, limit) in [(100, 576), (2000, 576), (2000, 1200), (9000, 1280), (600, 0), (415, 512), (416, 512)] {
            let messages = try #require(sealer.seal(Self.header, payloads(length), fragmentLength: limit))
            #expect(messages.allSatisfy { $0.count <= max(limit, SKSealer.fragmentLengthMinimum) })
            if messages.count == 1 {
                #expect(try opener.open(messages[0]).content == .payloads(payloads(length)))
                continue
            }
            var reassembly = FragmentReassembly()
            var outcome = FragmentReassembly.Outcome.waiting
            for (index, message) in messages.shuffledBySeed().enumerated() {
                guard case .fragment(let fragment) = try opener.open(message).content else {
                    Issue.record("a fragment is a fragment")
                    return
                }
                #expect((fragment.firstPayload == .none) == (fragment.number != 1))
                outcome = reassembly.add(fragment, messageID: 1)
                if index + 1 < messages.count { #expect(outcome == .waiting) }
            }
            #expect(outcome == .complete(payloads(length)))
            #expect(reassembly.isEmpty)
        }
    }

    /// Conversations of other stacks, with the keys that their capture's authors published.
    @Test(
        .enabled(if: SharedCaptures.available, "../shared is absent"),
        arguments: [
            ("ikev2-decrypt-aes256cbc.pcapng", CipherSuite.aesCBC(.bits256, .hmacSHA256_128)),
            ("ikev2-decrypt-aes256gcm16.pcap", .aesGCM16(.bits256)),
        ])
    func foreignConversations(_ name: String, _ suite: CipherSuite) throws {
        let table = try SharedCaptures.text("captures/keys/ikev2_decryption_table").split(separator: "\n")
            .map { $0.split(separator: ",", omittingEmptySubsequences: false) }
        var opened = 0
        for captured in try CaptureReader(try SharedCaptures.bytes("captures/third-party/wireshark/\(name)")).messages {
            let message = try IKEMessage(parsing: captured.bytes)
            guard case .encrypted(let sealed) = message.payloads.last else { continue }
            let row = try #require(table.first { IKESPI(bytes: hex($0[0])) == message.header.initiatorSPI })
            let side = message.header.flags.contains(.initiator) ? 0 : 1
            let opener = try SKOpener(suite: suite, key: SecretBytes(hex(row[2 + side]) + hex(row[5 + side])))
            let text = try opener.openText(captured.bytes, sealedLength: sealed.bytes.count)
            var writer = ByteWriter()
            let payloads = try IKEMessage.parsePayloads(text, first: sealed.firstPayload)
            #expect(IKEMessage.serialize(payloads, into: &writer))
            #expect(writer.bytes == text)
            opened += 1
        }
        #expect(opened >= 2)
    }

    /// RFC 7634 appendix B: a whole INFORMATIONAL message with ChaCha20-Poly1305.
    @Test(.enabled(if: SharedCaptures.available, "../shared is absent"))
    func appendixOfRFC7634() throws {
        struct Vector: Decodable {
            struct Part: Decodable { let key, salt, message: String }
            let ikev2: Part
        }
        let vector = try JSONDecoder().decode(
            Vector.self, from: Data(try SharedCaptures.bytes("vectors/esp/rfc7634-chacha20-poly1305.json"))
        ).ikev2
        let opener = try SKOpener(suite: .chaCha20Poly1305, key: SecretBytes(hex(vector.key) + hex(vector.salt)))
        guard case .payloads(let payloads) = try opener.open(hex(vector.message)).content else {
            Issue.record("the message is not fragmented")
            return
        }
        #expect(payloads.count == 1 && payloads.first?.type == .notify)
    }
}

extension Array {
    /// The same elements in another order, the same in every run.
    fileprivate func shuffledBySeed() -> [Element] {
        var generator = SeededGenerator(seed: 7383)
        return shuffled(using: &generator)
    }
}
