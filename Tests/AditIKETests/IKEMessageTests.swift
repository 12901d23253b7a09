// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Testing

@testable import AditIKE

/// Whole messages: real ones come back byte for byte, broken ones are refused and never trap (RFC 7296 §3, §2.21).
@Suite struct IKEMessageTests {
    static func header(_ exchange: ExchangeType = .ikeSAInit) -> IKEHeader {
        IKEHeader(
            initiatorSPI: IKESPI(rawValue: 0x0011_2233_4455_6677), responderSPI: .zero, exchange: exchange,
            flags: .initiator, messageID: 0)
    }

    @Test(.enabled(if: SharedCaptures.available, "../shared is absent"), arguments: SharedCaptures.conversations)
    func recordedConversationsAreRebuilt(_ name: String) throws {
        let (keys, messages) = try Conversation.load(name)
        #expect(!messages.isEmpty)
        for captured in messages {
            let message = try IKEMessage(parsing: captured.bytes)
            #expect(message.serialize() == captured.bytes)
            let sealedLength: Int
            switch message.payloads.last {
            case .encrypted(let payload): sealedLength = payload.bytes.count
            case .encryptedFragment: continue
            default: continue
            }
            let secrets = try #require(keys.secrets(for: message.header))
            let fromInitiator = message.header.flags.contains(.initiator)
            let opener = try SKOpener(
                suite: secrets.suite, key: fromInitiator ? secrets.initiatorKey : secrets.responderKey)
            let text = try opener.openText(captured.bytes, sealedLength: sealedLength)
            let first = try #require(message.payloads.last?.firstInside)
            var writer = ByteWriter()
            #expect(IKEMessage.serialize(try IKEMessage.parsePayloads(text, first: first), into: &writer))
            #expect(writer.bytes == text)
        }
    }

    @Test(.enabled(if: SharedCaptures.available, "../shared is absent"), arguments: SharedCaptures.conversations)
    func recordedConversationsAreUnderstood(_ name: String) throws {
        let (keys, messages) = try Conversation.load(name)
        let payloads = try keys.payloads(of: messages).compactMap(\.payloads).joined()
        for payload in payloads {
            if case .unknown(let unknown) = payload { Issue.record("unknown payload \(unknown.type)") }
            if case .identificationInitiator(let identity) = payload { #expect(Identity(identity) != nil) }
            if case .notify(let notify) = payload { #expect(!notify.type.description.hasPrefix("notify ")) }
        }
    }

    @Test(.enabled(if: SharedCaptures.available, "../shared is absent"), arguments: SharedCaptures.thirdParty)
    func foreignCapturesAreRebuiltOrRefused(_ path: String) throws {
        for captured in try CaptureReader(try SharedCaptures.bytes("captures/third-party/\(path)")).messages {
            guard captured.bytes[17] >> 4 == 2, let message = try? IKEMessage(parsing: captured.bytes) else { continue }
            #expect(message.serialize() == captured.bytes)
        }
    }

    @Test(.enabled(if: SharedCaptures.available, "../shared is absent"))
    func bareMessagesOfAnotherStack() throws {
        for name in ["ike-sa-init-req.bin", "ike-sa-init-resp.bin"] {
            let bytes = try SharedCaptures.bytes("captures/third-party/ipsec-parser/\(name)")
            #expect(try IKEMessage(parsing: bytes).serialize() == bytes)
        }
    }

    @Test(.enabled(if: SharedCaptures.available, "../shared is absent"), arguments: SharedCaptures.conversations)
    func truncationIsRefusedAtEveryByte(_ name: String) throws {
        let (_, messages) = try Conversation.load(name)
        for captured in messages {
            for count in 0..<captured.bytes.count {
                var bytes = Array(captured.bytes.prefix(count))
                #expect(throws: WireError.self) { try IKEMessage(parsing: bytes) }
                // Also with a header that agrees with the shorter length, so that the payloads are read.
                guard count >= IKEHeader.length else { continue }
                bytes.replaceSubrange(24..<28, with: [0, 0, UInt8(count >> 8), UInt8(count & 255)])
                #expect(throws: WireError.self) { try IKEMessage(parsing: bytes) }
            }
        }
    }

    @Test func mutatedMessagesNeverTrap() throws {
        var generator = SeededGenerator(seed: 7296)
        let samples = try Self.samples(&generator)
        var accepted = 0
        for round in 0..<10_000 {
            var bytes = samples[round % samples.count]
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let place = Int.random(in: 16..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                case 2: bytes[place] = [0, 1, 0x7f, 0x80, 0xff].randomElement(using: &generator) ?? 0
                default:
                    bytes.replaceSubrange(24..<28, with: [0, 0, UInt8(bytes.count >> 8), UInt8(bytes.count & 255)])
                }
            }
            guard let message = try? IKEMessage(parsing: bytes) else { continue }
            accepted += 1
            // What was accepted can be written, and reading that gives the same values.
            let again = try IKEMessage(parsing: message.serialize())
            #expect(again.payloads == message.payloads)
            exercise(message)
        }
        #expect(accepted > 500, "the mutations are too rough to test anything: \(accepted)")
    }

    @Test func limits() throws {
        let vendor = Payload.vendorID([1])
        let full = IKEMessage(header: Self.header(), payloads: Array(repeating: vendor, count: IKEMessage.payloadLimit))
        #expect(try IKEMessage(parsing: full.serialize()).payloads.count == IKEMessage.payloadLimit)
        let over = IKEMessage(header: Self.header(), payloads: full.payloads + [vendor])
        #expect(throws: WireError.tooMany("payloads")) { try IKEMessage(parsing: over.serialize()) }

        let longest = IKEMessage(
            header: Self.header(), payloads: [.vendorID(Array(repeating: 0, count: IKEMessage.lengthLimit - 32))])
        let bytes = longest.serialize()
        #expect(bytes.count == IKEMessage.lengthLimit)
        #expect(try IKEMessage(parsing: bytes) == IKEMessage(parsing: bytes))
        #expect(throws: WireError.tooMany("IKE message length")) { try IKEMessage(parsing: bytes + [0]) }
    }

    @Test func headerRules() throws {
        var bytes = IKEMessage(header: Self.header(), payloads: []).serialize()
        #expect(bytes.count == IKEHeader.length)
        #expect(try IKEMessage(parsing: bytes).payloads.isEmpty)
        #expect(throws: WireError.invalid("IKE header length")) { try IKEMessage(parsing: bytes + [0]) }
        bytes[17] = 0x2f
        #expect(try IKEMessage(parsing: bytes).header.minorVersion == 15)
        bytes[17] = 0x30
        #expect(throws: WireError.invalid("major version")) { try IKEMessage(parsing: bytes) }
        var reader = ByteReader(bytes)
        #expect(try IKEHeader(parsing: &reader).majorVersion == 3)
    }

    @Test func unknownPayloadsKeepTheirCriticalBit() throws {
        for critical in [false, true] {
            let unknown = UnknownPayload(type: PayloadType(rawValue: 200), critical: critical, bytes: [1, 2, 3])
            let message = IKEMessage(header: Self.header(), payloads: [.unknown(unknown), .vendorID([])])
            #expect(try IKEMessage(parsing: message.serialize()).payloads == message.payloads)
        }
    }

    @Test func criticalBitIsIgnoredOnKnownPayloads() throws {
        var bytes = IKEMessage(header: Self.header(), payloads: [.vendorID([9])]).serialize()
        bytes[29] = 0x80
        #expect(try IKEMessage(parsing: bytes).payloads == [.vendorID([9])])
    }

    /// Messages with every payload, for the mutations.
    private static func samples(_ generator: inout SeededGenerator) throws -> [[UInt8]] {
        let selectors = try ["10.1.0.0/16", "2001:db8::/32[tcp/443]"].map { try #require(TrafficSelector($0)) }
        let offer = SecurityAssociationPayload(
            offering: Proposal.defaultIKE + Proposal.defaultESP.map { $0.withSequenceNumbers(extended: true) },
            spi: [1, 2, 3, 4])
        let all: [Payload] = [
            .securityAssociation(offer), .keyExchange(KeyExchangePayload(group: 31, value: generator.bytes(32))),
            .nonce(NoncePayload(generator.bytes(32))), .notify(NotifyPayload(.cookie, data: generator.bytes(20))),
            .notify(NotifyPayload(.rekeySA, esp: SPI(rawValue: 0xc0ff_ee00))),
            .delete(DeletePayload(esp: [SPI(rawValue: 1000), SPI(rawValue: 2000)])), .vendorID(generator.bytes(16)),
            .identificationInitiator(Identity.fqdn("a.example").payload),
            .identificationResponder(Identity.keyID([1, 2]).payload),
            .certificate(CertificatePayload(encoding: .x509Signature, bytes: generator.bytes(40))),
            .certificateRequest(CertificatePayload(encoding: .x509Signature, bytes: generator.bytes(20))),
            .authentication(AuthenticationPayload(method: .sharedKey, value: generator.bytes(32))),
            .trafficSelectorsInitiator(TrafficSelectorPayload(selectors)),
            .trafficSelectorsResponder(TrafficSelectorPayload(selectors)),
            .configuration(
                ConfigurationPayload(
                    kind: .request,
                    attributes: [
                        .init(type: .internalIPv4Address, value: [10, 0, 0, 1]),
                        .init(type: .internalIPv6DNS, value: []),
                    ])),
            .eap([1, 2, 0, 4]),
            .unknown(UnknownPayload(type: PayloadType(rawValue: 99), critical: true, bytes: [7])),
        ]
        let sealed = EncryptedFragmentPayload(
            firstPayload: .securityAssociation, number: 1, total: 3, bytes: generator.bytes(40))
        return [
            IKEMessage(header: header(), payloads: all).serialize(),
            IKEMessage(header: header(), payloads: Array(all.reversed())).serialize(),
            IKEMessage(header: header(), payloads: [all[0], all[1], all[2], all[3]]).serialize(),
            IKEMessage(header: header(), payloads: [all[12], all[13]]).serialize(),
            IKEMessage(header: header(.ikeAuth), payloads: [.encryptedFragment(sealed)]).serialize(),
        ]
    }

    /// Runs what interprets a peer's values.
    private func exercise(_ message: IKEMessage) {
        for payload in message.payloads {
            switch payload {
            case .securityAssociation(let offer):
                for configured in [Proposal.defaultIKE, Proposal.defaultESP] {
                    let selection = ProposalSelection(configured, allowLegacy: false)
                    _ = try? selection.choose(from: offer, sentGroup: 31)
                    _ = try? selection.check(answer: offer)
                }
            case .trafficSelectorsInitiator(let selectors):
                let own = [TrafficSelector("10.0.0.0/8"), TrafficSelector("::/0")].compactMap { $0 }
                _ = try? TrafficSelectorNarrowing.narrow(
                    requestedLocal: selectors.selectors, requestedRemote: selectors.selectors, configuredLocal: own,
                    configuredRemote: own)
            case .identificationInitiator(let identification): _ = identification.description
            case .delete(let delete): _ = delete.espSPIs
            case .notify(let notify): _ = notify.espSPI
            default: break
            }
        }
    }
}
