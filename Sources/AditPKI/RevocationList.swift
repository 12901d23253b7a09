// SPDX-License-Identifier: Apache-2.0
// Adit: AditPKI

internal import AditCrypto
internal import AditIKE
internal import X509

/// A certificate revocation list (RFC 5280 §5), complete for its issuer.
struct RevocationList: Sendable {
    /// The issuer's DER name.
    let issuer: AditIKE.DistinguishedName
    /// When it was issued, and when the next one is due; seconds since 1970.
    let thisUpdate: Int64
    let nextUpdate: Int64?
    private let revoked: Set<[UInt8]>
    private let signedBytes: [UInt8]
    private let algorithm: SignatureAlgorithm
    private let signature: [UInt8]

    /// Reads a DER list; nil for bytes that are none, for a delta or indirect list, and for an algorithm that is not
    /// used here.
    init?(der: [UInt8]) {
        guard let outer = DERReader.only(DERReader.sequence, in: der) else { return nil }
        var parts = DERReader(outer.content)
        guard let list = parts.next(DERReader.sequence), let identifier = parts.next(DERReader.sequence),
            let bits = parts.next(Self.bitString), parts.isAtEnd, bits.content.first == 0,
            let algorithm = SignatureAlgorithm(identifier: Array(identifier.whole)),
            SignatureHashes.ours.contains(algorithm.scheme)
        else { return nil }
        var fields = DERReader(list.content)
        _ = fields.next(DERReader.integer)
        // RFC 5280 §5.1.1.2: both say the same algorithm.
        guard let inner = fields.next(DERReader.sequence), inner.whole.elementsEqual(identifier.whole),
            let name = fields.next(DERReader.sequence),
            let issuer = AditIKE.DistinguishedName(der: Array(name.whole)),
            let thisUpdate = fields.next().flatMap(Self.time)
        else { return nil }
        var nextUpdate: Int64?
        if let tag = fields.nextTag, tag == Self.utcTime || tag == Self.generalizedTime {
            guard let time = fields.next().flatMap(Self.time) else { return nil }
            nextUpdate = time
        }
        var revoked: Set<[UInt8]> = []
        if let entries = fields.next(DERReader.sequence) {
            guard let serials = Self.serials(entries.content) else { return nil }
            revoked = serials
        }
        if let extensions = fields.next(DERReader.context(0)) {
            guard let list = DERReader.only(DERReader.sequence, in: extensions.content),
                !Self.hasCriticalExtension(list.content)
            else { return nil }
        }
        guard fields.isAtEnd else { return nil }
        (self.issuer, self.thisUpdate, self.nextUpdate, self.revoked) = (issuer, thisUpdate, nextUpdate, revoked)
        (signedBytes, self.algorithm) = (Array(list.whole), algorithm)
        signature = Array(bits.content.dropFirst())
    }

    /// Why `certificate` is not acceptable by this list; nil also when the list is another issuer's.
    func failure(of certificate: Certificate, issuedBy authority: Certificate, at time: Int64) -> CertificateFailure? {
        guard let name = AditIKE.DistinguishedName(der: certificate.issuer.der), name == issuer else { return nil }
        let subject = certificate.subject.text
        let authorityName = authority.subject.text
        // RFC 5280 §6.3.3 (f), (g).
        let maySign = (try? authority.extensions.keyUsage).flatMap { $0 }?.cRLSign ?? true
        guard maySign, let key = try? SignaturePublicKey(subjectPublicKeyInfo: authority.subjectPublicKeyInfo),
            key.isValid(signature, over: signedBytes, algorithm.scheme)
        else {
            return CertificateFailure(
                .certificateUntrusted, .revocation, subject: subject,
                message: "the revocation list of \(authorityName) in crl_file is not signed by it",
                suggestion: "Fetch the authority's current list into crl_file.")
        }
        guard thisUpdate <= time, time <= nextUpdate ?? .max else {
            return CertificateFailure(
                .certificateUntrusted, .revocation, subject: subject,
                message: "the revocation list of \(authorityName) in crl_file is "
                    + (time < thisUpdate
                        ? "from the future" : "out of date since \(CertificateSummary.text(of: nextUpdate ?? time))"),
                suggestion: "Fetch the authority's current list into crl_file and reload.")
        }
        guard revoked.contains(certificate.serialBytes) else { return nil }
        return CertificateFailure(
            .certificateUntrusted, .revocation, subject: subject,
            message: "the certificate \(subject) was revoked by \(authorityName) (crl_file)",
            suggestion: "Issue the peer a new certificate and put it into its cert_file.")
    }

    /// The serial numbers without leading zeros; nil for a malformed entry or one with a critical extension (indirect
    /// lists).
    private static func serials(_ bytes: ArraySlice<UInt8>) -> Set<[UInt8]>? {
        var entries = DERReader(bytes)
        var serials: Set<[UInt8]> = []
        while !entries.isAtEnd {
            guard let entry = entries.next(DERReader.sequence) else { return nil }
            var fields = DERReader(entry.content)
            guard let serial = fields.next(DERReader.integer), fields.next().flatMap(time) != nil else { return nil }
            if let extensions = fields.next(DERReader.sequence) {
                guard !hasCriticalExtension(extensions.content) else { return nil }
            }
            guard fields.isAtEnd else { return nil }
            serials.insert(Array(serial.content.drop { $0 == 0 }))
        }
        return serials
    }

    /// RFC 5280 §5.2: a list with a critical extension that is not understood must not be used; none is understood
    /// here.
    private static func hasCriticalExtension(_ bytes: ArraySlice<UInt8>) -> Bool {
        var extensions = DERReader(bytes)
        while !extensions.isAtEnd {
            guard let one = extensions.next(DERReader.sequence) else { return true }
            var fields = DERReader(one.content)
            guard fields.next(DERReader.objectIdentifier) != nil else { return true }
            if let critical = fields.next(boolean), critical.content.first != 0 { return true }
        }
        return false
    }

    /// UTCTime or GeneralizedTime as RFC 5280 §5.1.2.4 has them, in UTC with seconds.
    private static func time(_ element: DERReader.Element) -> Int64? {
        guard element.tag == utcTime || element.tag == generalizedTime, element.content.last == UInt8(ascii: "Z") else {
            return nil
        }
        let digits = element.content.dropLast().map { Int64($0) - 0x30 }
        guard digits.allSatisfy({ (0...9).contains($0) }), digits.count == (element.tag == utcTime ? 12 : 14) else {
            return nil
        }
        let pairs = stride(from: 0, to: digits.count, by: 2).map { digits[$0] * 10 + digits[$0 + 1] }
        let year =
            element.tag == utcTime ? (pairs[0] >= 50 ? 1900 : 2000) + pairs[0] : pairs[0] * 100 + pairs[1]
        let rest = pairs.suffix(5).map { $0 }
        guard (1...12).contains(rest[0]), (1...31).contains(rest[1]), rest[2] < 24, rest[3] < 60, rest[4] < 61 else {
            return nil
        }
        // Days since 1970 in the Gregorian calendar, with years that begin in March.
        let shifted = rest[0] > 2 ? year : year - 1
        let era = shifted >= 0 ? shifted / 400 : (shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (rest[0] + (rest[0] > 2 ? -3 : 9)) + 2) / 5 + rest[1] - 1
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        return days * 86_400 + rest[2] * 3600 + rest[3] * 60 + rest[4]
    }

    private static let boolean: UInt8 = 0x01
    private static let bitString: UInt8 = 0x03
    private static let utcTime: UInt8 = 0x17
    private static let generalizedTime: UInt8 = 0x18
}
