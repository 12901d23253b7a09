// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditWire
import Testing

@testable import AditIKE

/// Each payload's rules at, below and above its limits (RFC 7296 §3.2 to §3.16, RFC 7383 §2.5).
@Suite struct PayloadTests {
    /// The payload of a body given in bytes.
    private func parse(_ type: PayloadType, _ body: [UInt8]) throws(WireError) -> Payload {
        var reader = ByteReader(body)
        return try Payload(parsing: &reader, type: type, next: .none, critical: false)
    }

    private func body(_ payload: Payload) -> [UInt8] {
        var writer = ByteWriter()
        payload.serializeBody(into: &writer)
        return writer.bytes
    }

    @Test func payloadLengthFieldSmallerThanItsHeader() throws {
        for length in 0..<4 {
            #expect(throws: WireError.truncated) {
                try IKEMessage.parsePayloads([0, 0, 0, UInt8(length), 1, 2], first: .vendorID)
            }
        }
        #expect(try IKEMessage.parsePayloads([0, 0, 0, 4], first: .vendorID) == [.vendorID([])])
        #expect(throws: WireError.invalid("bytes after the last payload")) {
            try IKEMessage.parsePayloads([0, 0, 0, 4, 0], first: .vendorID)
        }
    }

    // RFC 7296 §3.9.
    @Test(arguments: [(15, false), (16, true), (256, true), (257, false), (0, false)])
    func nonceLengths(_ count: Int, _ valid: Bool) {
        #expect(((try? parse(.nonce, Array(repeating: 5, count: count))) != nil) == valid)
    }

    // RFC 7296 §3.3: proposals up to the limit, counts that must agree, markers that must be right.
    @Test func proposalLimits() throws {
        let transforms = [Transform(.encryption, 20, keyLength: 128)]
        let proposals = (0..<SecurityAssociationPayload.proposalLimit).map {
            NumberedProposal(number: UInt8($0 + 1), spi: [], proposal: Proposal(.ike, transforms))
        }
        let full = Payload.securityAssociation(SecurityAssociationPayload(proposals))
        #expect(try parse(.securityAssociation, body(full)) == full)
        let over = Payload.securityAssociation(SecurityAssociationPayload(proposals + [proposals[0]]))
        #expect(throws: WireError.tooMany("proposals")) { try parse(.securityAssociation, body(over)) }
        #expect(throws: WireError.self) { try parse(.securityAssociation, []) }

        let many = Proposal(.esp, (0..<255).map { Transform(.encryption, $0) })
        let wide = Payload.securityAssociation(SecurityAssociationPayload(offering: [many], spi: [1, 2, 3, 4]))
        #expect(try parse(.securityAssociation, body(wide)) == wide)
    }

    @Test(arguments: [(0, UInt8(1)), (0, 3), (7, 0), (7, 3), (8, 0), (8, 9), (3, 19), (6, 5)])
    func proposalMarkersAndCounts(_ offset: Int, _ value: UInt8) {
        let offer = SecurityAssociationPayload(
            offering: [Proposal(.ike, [Transform(.encryption, 20, keyLength: 128), Transform(.keyExchange, 31)])],
            spi: [])
        var bytes = body(.securityAssociation(offer))
        #expect((try? parse(.securityAssociation, bytes)) != nil)
        bytes[offset] = value
        #expect(throws: WireError.self) { try parse(.securityAssociation, bytes) }
    }

    @Test func unknownTransformsAndAttributesSurvive() throws {
        let bytes =
            hex("00000020 01030402 c0ffee01 0300000c 01000014 800e0080") + hex("0000000e 63000309 00070002 abcd")
        var fixed = bytes
        fixed[3] = UInt8(bytes.count)
        let payload = try parse(.securityAssociation, fixed)
        #expect(body(payload) == fixed)
        guard case .securityAssociation(let offer) = payload else { return }
        #expect(offer.proposals[0].proposal.transforms[0].keyLength == 128)
        #expect(offer.proposals[0].proposal.transforms[1].otherAttributes == [.init(type: 7, value: [0xab, 0xcd])])
        #expect(offer.proposals[0].espSPI == SPI(rawValue: 0xc0ff_ee01))
    }

    @Test func attributesOfATransformAreLimited() {
        let one = hex("80210001")
        for count in [8, 9] {
            let transform = hex("000000 00 01000014") + (0..<count).flatMap { _ in one }
            var bytes = hex("00000000 01010001") + transform
            bytes[3] = UInt8(bytes.count)
            bytes[11] = UInt8(transform.count)
            #expect(((try? parse(.securityAssociation, bytes)) != nil) == (count == 8))
        }
    }

    // RFC 7296 §3.11.
    @Test func deleteCounts() throws {
        #expect(try parse(.delete, [1, 0, 0, 0]) == .delete(.ikeSA))
        #expect(throws: WireError.self) { try parse(.delete, [1, 0, 0, 1]) }
        #expect(throws: WireError.self) { try parse(.delete, [1, 0, 0xff, 0xff]) }
        #expect(throws: WireError.self) { try parse(.delete, [3, 4, 0, 2, 1, 2, 3, 4]) }
        #expect(throws: WireError.self) { try parse(.delete, [3, 4, 0, 0, 1, 2, 3, 4]) }
        let spis = [SPI(rawValue: 0x0102_0304), SPI(rawValue: 0xffff_ffff)]
        guard case .delete(let delete) = try parse(.delete, body(.delete(DeletePayload(esp: spis)))) else { return }
        #expect(delete.espSPIs == spis)
    }

    // RFC 7296 §3.10.
    @Test func notifications() throws {
        let rekey = NotifyPayload(.rekeySA, esp: SPI(rawValue: 0xdead_beef), data: [1])
        #expect(try parse(.notify, body(.notify(rekey))) == .notify(rekey))
        #expect(rekey.espSPI == SPI(rawValue: 0xdead_beef))
        #expect(NotifyPayload(.cookie).espSPI == nil)
        #expect(throws: WireError.truncated) { try parse(.notify, [3, 4, 0x40, 9, 1, 2, 3]) }
        #expect(NotifyType.noProposalChosen.isError && !NotifyType.initialContact.isError)
        #expect(NotifyType(rawValue: 40_960).description == "notify 40960")
        #expect(NotifyType.fragmentationSupported.description == "IKEV2_FRAGMENTATION_SUPPORTED")
    }

    // RFC 7296 §3.13.
    @Test func trafficSelectors() throws {
        let selectors = try ["10.1.0.0/16", "192.0.2.1-192.0.2.9[udp/53]", "2001:db8::/32", "10.0.0.1[tcp/opaque]"]
            .map { try #require(TrafficSelector($0)) }
        let payload = Payload.trafficSelectorsInitiator(TrafficSelectorPayload(selectors))
        #expect(try parse(.trafficSelectorsInitiator, body(payload)) == payload)
        let many = TrafficSelectorPayload(Array(repeating: selectors[0], count: 300))
        #expect(many.entries.count == TrafficSelectorPayload.selectorLimit)
        #expect(
            try parse(.trafficSelectorsResponder, body(.trafficSelectorsResponder(many)))
                == .trafficSelectorsResponder(many))
        #expect(throws: WireError.self) { try parse(.trafficSelectorsInitiator, [2] + body(payload).dropFirst()) }
        #expect(throws: WireError.self) {
            try parse(.trafficSelectorsInitiator, hex("01000000 07000018 0000ffff 0a000000 0a0000ff 00000000 00000000"))
        }
        #expect(throws: WireError.self) { try parse(.trafficSelectorsInitiator, hex("01000000 07000003")) }
    }

    @Test(arguments: [
        // An unknown selector type (TS_SECLABEL), and a range from high to low.
        "01000000 0a000008 41424344", "01000000 07000010 0000ffff 0a000002 0a000001",
    ])
    func unusableSelectorsSurvive(_ text: String) throws {
        let payload = try parse(.trafficSelectorsResponder, hex(text))
        guard case .trafficSelectorsResponder(let selectors) = payload else { return }
        #expect(selectors.selectors.isEmpty && selectors.entries.count == 1)
        #expect(body(payload) == hex(text))
    }

    // RFC 7296 §3.15.
    @Test func configurationAttributes() throws {
        let attribute = ConfigurationPayload.Attribute(type: .internalIPv4DNS, value: [10, 0, 0, 53])
        for (count, valid) in [(0, true), (255, true), (256, false)] {
            let payload = Payload.configuration(
                ConfigurationPayload(kind: .reply, attributes: Array(repeating: attribute, count: count)))
            let parsed = try? parse(.configuration, body(payload))
            #expect(parsed == (valid ? payload : nil))
        }
        #expect(throws: WireError.truncated) { try parse(.configuration, [1, 0, 0, 0, 0, 1, 0, 4, 10]) }
    }

    // RFC 7383 §2.5.
    @Test(arguments: [(1, 1, true), (3, 3, true), (0, 1, false), (4, 3, false), (0, 0, false), (65_535, 65_535, true)])
    func fragmentNumbers(_ number: UInt16, _ total: UInt16, _ valid: Bool) {
        let bytes =
            [number, total].flatMap { (value: UInt16) -> [UInt8] in [UInt8(value >> 8), UInt8(value & 255)] } + [1]
        #expect(((try? parse(.encryptedFragment, bytes)) != nil) == valid)
    }

    @Test func sealedPayloadsEndTheChain() throws {
        let fragment = EncryptedFragmentPayload(firstPayload: .none, number: 2, total: 2, bytes: [1])
        for payload in [
            Payload.encrypted(EncryptedPayload(firstPayload: .identificationInitiator, bytes: [1, 2])),
            .encryptedFragment(fragment),
        ] {
            let message = IKEMessage(header: IKEMessageTests.header(), payloads: [.vendorID([1]), payload])
            #expect(try IKEMessage(parsing: message.serialize()).payloads == message.payloads)
            #expect(throws: WireError.self) {
                var bytes = message.serialize() + [0, 0, 0, 4]
                bytes[27] += 4
                _ = try IKEMessage(parsing: bytes)
            }
        }
    }

    @Test func identificationKeepsItsReservedOctets() throws {
        let bytes = hex("02123456") + Array("a.example".utf8)
        let payload = try parse(.identificationInitiator, bytes)
        guard case .identificationInitiator(let identification) = payload else { return }
        #expect(identification.body == bytes)
        #expect(Identity(identification) == .fqdn("a.example"))
    }
}
