// SPDX-License-Identifier: Apache-2.0
// Adit: Fuzz

import AditIKE
import AditWire

extension FuzzSubject {
    /// A whole IKE message as it comes from the network; what parses, must survive a round trip.
    public static let ikeMessage = FuzzSubject(
        name: "IKEMessage",
        run: { bytes in
            guard let message = try? IKEMessage(parsing: bytes) else { return }
            let again = message.serialize()
            guard let reparsed = try? IKEMessage(parsing: again) else {
                preconditionFailure("what we serialize, we can parse")
            }
            precondition(reparsed.payloads == message.payloads, "payloads survive a round trip")
            describe(message.payloads)
        },
        seeds: {
            [
                ("ike_sa_init", initRequest.serialize()),
                ("cookie", cookieAnswer.serialize()),
                ("sealed", sealed.serialize()),
                ("fragment", fragment.serialize()),
                ("unknown_critical", unknownCritical.serialize()),
            ]
        })

    /// The payloads that an SK payload carried: authenticated, yet a peer's word. The first byte is the first type.
    public static let ikePayloads = FuzzSubject(
        name: "IKEPayloads",
        run: { bytes in
            guard let first = bytes.first else { return }
            let chain = Array(bytes.dropFirst())
            guard let payloads = try? IKEMessage.parsePayloads(chain, first: PayloadType(rawValue: first)) else {
                return
            }
            describe(payloads)
            for payload in payloads {
                switch payload {
                case .identificationInitiator(let payload), .identificationResponder(let payload):
                    guard let identity = Identity(payload) else { continue }
                    let again = identity.payload
                    precondition(again.type == payload.type && again.bytes == payload.bytes, "identities survive")
                    // A distinguished name keeps its words, not the string types that they were encoded in.
                    let text = Identity(identity.description)
                    precondition(text == identity || text?.matches(identity) ?? false, "identities survive as text")
                default: continue
                }
            }
        },
        seeds: {
            [
                ("ike_auth", chain(authentication)), ("delete", chain([.delete(.init(esp: [child]))])), ("empty", [0]),
                ("mobike", chain(mobility)),
            ]
        })

    /// Descriptions are made for logs and reports from whatever a peer sent.
    private static func describe(_ payloads: [Payload]) {
        for payload in payloads { _ = "\(payload)" }
    }

    // MARK: Seeds

    private static let child = SPI(rawValue: 0xc1c2_c3c4)
    private static let initiator = IKESPI(rawValue: 0x1122_3344_5566_7788)
    private static let suite = Proposal(
        .ike,
        [
            Transform(.encryption, 20, keyLength: 128), Transform(.pseudoRandomFunction, 5),
            Transform(.keyExchange, 31),
        ])
    private static let espSuite = Proposal(
        .esp, [Transform(.encryption, 20, keyLength: 256), Transform(.sequenceNumbers, 1)])

    private static var initRequest: IKEMessage {
        message(
            .ikeSAInit, .initiator,
            [
                .securityAssociation(.init(offering: [suite], spi: [])),
                .keyExchange(.init(group: 31, value: Array(0..<32))),
                .nonce(.init(Array(repeating: 7, count: 32))),
                .notify(.init(.natDetectionSourceIP, data: Array(repeating: 1, count: 20))),
                .notify(.init(.natDetectionDestinationIP, data: Array(repeating: 2, count: 20))),
                .notify(.init(.fragmentationSupported)),
                .vendorID(Array("a vendor".utf8)),
            ])
    }

    private static var cookieAnswer: IKEMessage {
        message(.ikeSAInit, .response, [.notify(.init(.cookie, data: Array(repeating: 9, count: 16)))])
    }

    private static var sealed: IKEMessage {
        message(
            .ikeAuth, .initiator,
            [.encrypted(.init(firstPayload: .identificationInitiator, bytes: Array(repeating: 5, count: 60)))])
    }

    private static var fragment: IKEMessage {
        let part = EncryptedFragmentPayload(
            firstPayload: .identificationInitiator, number: 1, total: 3, bytes: Array(repeating: 6, count: 60))
        return message(.ikeAuth, .initiator, [.encryptedFragment(part)])
    }

    private static var unknownCritical: IKEMessage {
        let payload = UnknownPayload(type: PayloadType(rawValue: 200), critical: true, bytes: [1, 2, 3])
        return message(.informational, .initiator, [.unknown(payload)])
    }

    private static var authentication: [Payload] {
        guard let local = TrafficSelector("10.1.0.0/16[tcp/80]"), let remote = TrafficSelector("fd01::-fd01::ff") else {
            preconditionFailure("selectors of our own")
        }
        return [
            .identificationInitiator(Identity.fqdn("a.example.com").payload),
            .identificationResponder(Identity.email("b@example.com").payload),
            .authentication(.init(method: .sharedKey, value: Array(repeating: 3, count: 32))),
            .notify(.init(.initialContact)),
            .securityAssociation(.init(offering: [espSuite], spi: [1, 2, 3, 4])),
            .trafficSelectorsInitiator(.init([local])),
            .trafficSelectorsResponder(.init([remote])),
        ]
    }

    /// Every notification of RFC 4555.
    private static var mobility: [Payload] {
        [
            .notify(.init(.updateSAAddresses)), .notify(.init(.mobikeSupported, data: [1])),
            .notify(.init(.additionalIPv4Address, data: [192, 0, 2, 7])),
            .notify(.init(.additionalIPv6Address, data: Array(0..<16))), .notify(.init(.noAdditionalAddresses)),
            .notify(.init(.cookie2, data: Array(0..<64))), .notify(.init(.noNATsAllowed, data: Array(0..<12))),
            .notify(.init(.unacceptableAddresses)), .notify(.init(.unexpectedNATDetected)),
        ]
    }

    private static func message(_ exchange: ExchangeType, _ flags: IKEHeader.Flags, _ payloads: [Payload]) -> IKEMessage
    {
        let header = IKEHeader(
            initiatorSPI: initiator, responderSPI: .zero, exchange: exchange, flags: flags, messageID: 0)
        return IKEMessage(header: header, payloads: payloads)
    }

    /// The payload chain as it lies inside SK, after its first type.
    private static func chain(_ payloads: [Payload]) -> [UInt8] {
        [payloads.first?.type.rawValue ?? 0]
            + message(.ikeAuth, .initiator, payloads).serialize().dropFirst(IKEHeader.length)
    }
}
