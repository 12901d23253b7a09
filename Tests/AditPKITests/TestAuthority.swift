// SPDX-License-Identifier: Apache-2.0
// Adit: AditPKITests

import AditCrypto
import AditIKE
import Foundation
import SwiftASN1
import X509

/// A moment inside the validity of every test certificate: 2026-11-23.
let testTime: Int64 = 1_795_392_000

/// A name and a key that issue certificates.
struct TestAuthority {
    var name: String
    var key: Certificate.PrivateKey
    /// The authority's own certificate, DER.
    var certificate: [UInt8] = []

    /// What differs between test certificates.
    struct Contents {
        var subject: String
        var names: [GeneralName] = []
        var days: ClosedRange<Int> = -100...100
        var basicConstraints: BasicConstraints?
        var keyUsage: KeyUsage?
        var extendedKeyUsage: [ExtendedKeyUsage.Usage] = []
        var nameConstraints: NameConstraints?
        var version = Certificate.Version.v3
        var serial = 1000
        var critical: ASN1ObjectIdentifier?

        init(_ subject: String) { self.subject = subject }
    }

    /// A self-signed authority.
    init(_ name: String, _ pem: String, change: (inout Contents) -> Void = { _ in }) throws {
        self.name = name
        key = try Certificate.PrivateKey(pemEncoded: pem)
        certificate = try issue(name, key.publicKey) { contents in
            contents.basicConstraints = .isCertificateAuthority(maxPathLength: nil)
            contents.keyUsage = KeyUsage(keyCertSign: true, cRLSign: true)
            change(&contents)
        }
    }

    /// An authority below this one.
    func authority(
        _ name: String, _ pem: String, change: (inout Contents) -> Void = { _ in }
    ) throws -> TestAuthority {
        var below = self
        below.name = name
        below.key = try Certificate.PrivateKey(pemEncoded: pem)
        below.certificate = try issue(name, below.key.publicKey) { contents in
            contents.basicConstraints = .isCertificateAuthority(maxPathLength: nil)
            contents.keyUsage = KeyUsage(keyCertSign: true, cRLSign: true)
            change(&contents)
        }
        return below
    }

    /// A certificate for a peer, DER; digitalSignature and a DNS name unless `change` says otherwise.
    func peer(
        _ subject: String, _ pem: String = TestKeys.alice, dns: String? = "alice.test",
        change: (inout Contents) -> Void = { _ in }
    ) throws -> [UInt8] {
        try issue(subject, try Certificate.PrivateKey(pemEncoded: pem).publicKey) { contents in
            contents.names = dns.map { [.dnsName($0)] } ?? []
            contents.keyUsage = KeyUsage(digitalSignature: true)
            change(&contents)
        }
    }

    /// Issues a certificate.
    func issue(
        _ subject: String, _ publicKey: Certificate.PublicKey, change: (inout Contents) -> Void
    ) throws -> [UInt8] {
        var contents = Contents(subject)
        change(&contents)
        let now = Date(timeIntervalSince1970: Double(testTime))
        let extensions = try Certificate.Extensions {
            if let constraints = contents.basicConstraints { Critical(constraints) }
            if let usage = contents.keyUsage { Critical(usage) }
            if !contents.names.isEmpty { SubjectAlternativeNames(contents.names) }
            if !contents.extendedKeyUsage.isEmpty { try ExtendedKeyUsage(contents.extendedKeyUsage) }
            if let constraints = contents.nameConstraints { Critical(constraints) }
            if let oid = contents.critical { Certificate.Extension(oid: oid, critical: true, value: [5, 0]) }
        }
        let certificate = try Certificate(
            version: contents.version, serialNumber: Certificate.SerialNumber(contents.serial), publicKey: publicKey,
            notValidBefore: now.addingTimeInterval(Double(contents.days.lowerBound) * 86_400),
            notValidAfter: now.addingTimeInterval(Double(contents.days.upperBound) * 86_400),
            issuer: Self.name(name), subject: Self.name(contents.subject), signatureAlgorithm: algorithm,
            extensions: contents.version == .v3 ? extensions : Certificate.Extensions(), issuerPrivateKey: key)
        var serializer = DER.Serializer()
        try serializer.serialize(certificate)
        return serializer.serializedBytes
    }

    /// A revocation list, DER; validity in days from ``testTime``.
    func revocationList(
        revoking serials: [Int], days: ClosedRange<Int> = -1...1, extensions: [UInt8] = [],
        signer: String = TestKeys.root
    ) throws -> [UInt8] {
        let algorithm = SignatureAlgorithm(.ecdsa(.sha256))?.identifier ?? []
        let time = { (day: Int) -> [UInt8] in
            let formatter = DateFormatter()
            formatter.locale = Locale(identifier: "en_US_POSIX")
            formatter.timeZone = TimeZone(identifier: "UTC")
            formatter.dateFormat = "yyyyMMddHHmmss'Z'"
            let moment = Date(timeIntervalSince1970: Double(testTime + Int64(day) * 86_400))
            return DERReader.encode(0x18, Array(formatter.string(from: moment).utf8))
        }
        let entries = serials.flatMap { serial in
            DERReader.encode(
                0x30, DERReader.encode(0x02, [UInt8(serial >> 8), UInt8(serial & 0xff)]) + time(days.lowerBound))
        }
        var list = DERReader.encode(0x02, [1]) + algorithm + (AditIKE.DistinguishedName(name)?.der ?? [])
        list += time(days.lowerBound) + time(days.upperBound)
        if !entries.isEmpty { list += DERReader.encode(0x30, entries) }
        if !extensions.isEmpty { list += DERReader.encode(0xa0, DERReader.encode(0x30, extensions)) }
        let signed = DERReader.encode(0x30, list)
        let signature = try SignaturePrivateKey(pem: SecretBytes(signer.utf8))
            .signature(over: signed, .ecdsa(.sha256))
        return DERReader.encode(0x30, signed + algorithm + DERReader.encode(0x03, [0] + signature))
    }

    private var algorithm: Certificate.SignatureAlgorithm { .ecdsaWithSHA256 }

    /// A name from its text, by way of Adit's own encoding.
    private static func name(_ text: String) throws -> X509.DistinguishedName {
        try X509.DistinguishedName(derEncoded: DER.parse(AditIKE.DistinguishedName(text)?.der ?? []))
    }
}
