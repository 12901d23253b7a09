// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditWire

/// SA: proposals for, or the choice of, one SA's algorithms (RFC 7296 §3.3).
public struct SecurityAssociationPayload: Hashable, Sendable {
    /// The proposals in their order, ``proposalLimit`` at the most.
    public var proposals: [NumberedProposal]

    /// Proposals of one payload at the most.
    public static let proposalLimit = 32

    /// A payload of `proposals`.
    public init(_ proposals: [NumberedProposal]) { self.proposals = proposals }

    /// An offer: `proposals` numbered from 1 (RFC 7296 §3.3.1), each with `spi`.
    public init(offering proposals: [Proposal], spi: [UInt8]) {
        self.proposals = proposals.prefix(Self.proposalLimit).enumerated().map { index, proposal in
            NumberedProposal(number: UInt8(index + 1), spi: spi, proposal: proposal)
        }
    }

    init(parsing reader: inout ByteReader) throws(WireError) {
        proposals = []
        var more = true
        while more {
            guard proposals.count < Self.proposalLimit else { throw .tooMany("proposals") }
            let last = try reader.readUInt8()
            guard last == 0 || last == 2 else { throw .invalid("proposal substructure marker") }
            _ = try reader.readUInt8()
            var body = try reader.readSlice(Int(try reader.readUInt16()) - NumberedProposal.headerLength)
            proposals.append(try NumberedProposal(parsing: &body))
            more = last == 2
        }
    }

    func serialize(into writer: inout ByteWriter) {
        for (index, proposal) in proposals.enumerated() {
            let start = writer.count
            // RFC 7296 §3.3.1: 2 when more proposals follow, else 0.
            writer.write(UInt8(index + 1 < proposals.count ? 2 : 0))
            writer.write(UInt8(0))
            writer.write(UInt16(0))
            proposal.serialize(into: &writer)
            writer.patch(UInt16(writer.count - start), at: start + 2)
        }
    }
}

/// A proposal as an SA payload carries it (RFC 7296 §3.3.1).
public struct NumberedProposal: Hashable, Sendable {
    /// The number, by which the responder names its choice.
    public var number: UInt8
    /// The sender's SPI: empty in IKE_SA_INIT, 8 bytes when the IKE SA is rekeyed, 4 for ESP.
    public var spi: [UInt8]
    /// The protocol and its transforms.
    public var proposal: Proposal

    /// Transforms of one proposal at the most: the count field has 8 bits.
    public static let transformLimit = 255

    /// A proposal.
    public init(number: UInt8, spi: [UInt8], proposal: Proposal) {
        self.number = number
        self.spi = spi
        self.proposal = proposal
    }

    /// The sender's SPI of an ESP SA; nil when it has another length.
    public var espSPI: SPI? { SPI(bytes: spi) }

    fileprivate init(parsing reader: inout ByteReader) throws(WireError) {
        number = try reader.readUInt8()
        let securityProtocol = SecurityProtocol(rawValue: try reader.readUInt8())
        let spiLength = Int(try reader.readUInt8())
        let count = Int(try reader.readUInt8())
        spi = Array(try reader.readBytes(spiLength))
        var transforms: [Transform] = []
        for index in 0..<count {
            let last = try reader.readUInt8()
            // RFC 7296 §3.3.2: 3 when more transforms follow, else 0.
            guard last == (index + 1 < count ? 3 : 0) else { throw .invalid("transform substructure marker") }
            _ = try reader.readUInt8()
            var body = try reader.readSlice(Int(try reader.readUInt16()) - 4)
            transforms.append(try Transform(parsing: &body))
        }
        guard reader.isAtEnd else { throw .invalid("number of transforms") }
        proposal = Proposal(securityProtocol, transforms)
    }

    fileprivate func serialize(into writer: inout ByteWriter) {
        let transforms = proposal.transforms
        precondition(transforms.count <= Self.transformLimit, "a proposal that we build fits its count field")
        writer.write(number)
        writer.write(proposal.securityProtocol.rawValue)
        writer.write(UInt8(truncatingIfNeeded: spi.count))
        writer.write(UInt8(transforms.count))
        writer.write(contentsOf: spi)
        for (index, transform) in transforms.enumerated() {
            let start = writer.count
            writer.write(UInt8(index + 1 < transforms.count ? 3 : 0))
            writer.write(UInt8(0))
            writer.write(UInt16(0))
            transform.serialize(into: &writer)
            writer.patch(UInt16(writer.count - start), at: start + 2)
        }
    }

    fileprivate static let headerLength = 4
}

extension Transform {
    /// Reads what follows the transform's length field.
    fileprivate init(parsing reader: inout ByteReader) throws(WireError) {
        kind = Kind(rawValue: try reader.readUInt8())
        _ = try reader.readUInt8()
        id = try reader.readUInt16()
        keyLength = nil
        otherAttributes = []
        while !reader.isAtEnd {
            let type = try reader.readUInt16()
            if type == Self.keyLengthAttribute, keyLength == nil, otherAttributes.isEmpty {
                keyLength = try reader.readUInt16()
                continue
            }
            guard otherAttributes.count < Self.attributeLimit else { throw .tooMany("transform attributes") }
            // RFC 7296 §3.3.5: the top bit set means a two-byte value in place of the length.
            let length = type & 0x8000 != 0 ? 2 : Int(try reader.readUInt16())
            otherAttributes.append(Attribute(type: type, value: Array(try reader.readBytes(length))))
        }
    }

    fileprivate func serialize(into writer: inout ByteWriter) {
        writer.write(kind.rawValue)
        writer.write(UInt8(0))
        writer.write(id)
        if let keyLength {
            writer.write(Self.keyLengthAttribute)
            writer.write(keyLength)
        }
        for attribute in otherAttributes {
            writer.write(attribute.type)
            if attribute.type & 0x8000 == 0 { writer.write(UInt16(attribute.value.count)) }
            writer.write(contentsOf: attribute.value)
        }
    }

    /// Attributes of one transform at the most.
    private static let attributeLimit = 8
    /// RFC 7296 §3.3.5: Key Length, type 14 with the short format bit.
    private static let keyLengthAttribute: UInt16 = 0x800e
}
