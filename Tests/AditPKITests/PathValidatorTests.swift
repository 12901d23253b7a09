// SPDX-License-Identifier: Apache-2.0
// Adit: AditPKITests

import AditCrypto
import AditIKE
import AditWire
import SwiftASN1
import Testing
import X509

@testable import AditPKI

@Suite struct PathValidatorTests {
    let root: TestAuthority
    let intermediate: TestAuthority
    let validator: PathValidator

    init() throws {
        root = try TestAuthority("C=CH, O=Test, CN=Root", TestKeys.root)
        intermediate = try root.authority("O=Test, CN=Intermediate", TestKeys.intermediate)
        validator = try PathValidator(authorities: [root.certificate])
    }

    @Test(arguments: [
        (TestKeys.alice, SignatureKeyKind.ecdsa256), (TestKeys.ecdsa384, .ecdsa384), (TestKeys.ecdsa521, .ecdsa521),
        (TestKeys.ed25519, .ed25519), (TestKeys.rsa2048, .rsa(bits: 2048)),
    ])
    func theKeyOfATrustedCertificateIsReturned(_ pem: String, _ kind: SignatureKeyKind) throws {
        let leaf = try root.peer("CN=alice", pem)
        let key = try validator.validate(chain: [leaf], identity: .fqdn("alice.test"), at: testTime).get()
        #expect(key.kind == kind)
        #expect(key.belongs(to: try SignaturePrivateKey(pem: SecretBytes(pem.utf8))))
    }

    // MARK: Identity (RFC 4945 §3.1)

    @Test func everyKindOfIdentityIsFoundInTheCertificate() throws {
        let leaf = try root.peer("C=CH, CN=alice") {
            $0.names = [
                .dnsName("Alice.Test"), .rfc822Name("Alice@Example.com"),
                .ipAddress(ASN1OctetString(contentBytes: [192, 0, 2, 7])),
                .ipAddress(
                    ASN1OctetString(
                        contentBytes: ArraySlice([0x20, 1, 0x0d, 0xb8] + Array(repeating: 0, count: 11) + [9]))),
            ]
        }
        let accepted = [
            "alice.test", "ALICE.test", "Alice@example.COM", "192.0.2.7", "2001:db8::9", "C=CH, CN=alice",
            "c=ch, cn=ALICE",
        ]
        for text in accepted { #expect(failure([leaf], text) == nil, "\(text)") }
        let refused = [
            "test", "a.alice.test", "bob.test", "alice@example.com", "192.0.2.8", "::ffff:192.0.2.7", "CN=alice",
            "CN=alice, C=CH", "C=CH, CN=alice, OU=x", "keyid:616c696365", "alice",
        ]
        for text in refused {
            let failure = failure([leaf], text)
            #expect(failure?.code == .invalidIdentity, "\(text)")
            #expect(failure?.check == .identity)
            #expect(failure?.subject == "C=CH, CN=alice")
            #expect(failure?.message.contains("DNS:Alice.Test, email:Alice@Example.com, IP:192.0.2.7") ?? false)
            #expect(failure?.comparison.first?.mismatch == true)
        }
    }

    /// RFC 4945 §3.1.2: a star in a certificate is no wildcard.
    @Test func wildcardsInCertificatesMeanNothing() throws {
        let leaf = try root.peer("CN=*.test", dns: "*.test")
        #expect(failure([leaf], "alice.test")?.check == .identity)
    }

    @Test func theCommonNameIsNoDomainName() throws {
        #expect(failure([try root.peer("CN=alice.test", dns: nil)], "alice.test")?.check == .identity)
    }

    // MARK: Validity

    @Test func validityIsCheckedAtTheGivenTime() throws {
        let leaf = try root.peer("CN=alice") { $0.days = -10...10 }
        let day: Int64 = 86_400
        for offset in [-10 * day, 0, 10 * day] { #expect(failure([leaf], at: testTime + offset) == nil) }
        let expired = try #require(failure([leaf], at: testTime + 10 * day + 1))
        #expect(expired.code == .certificateExpired)
        #expect(expired.check == .validity)
        #expect(expired.message == "the certificate CN=alice expired on 2026-12-03 00:00 UTC")
        #expect(expired.suggestion.contains("cert_file"))
        let early = try #require(failure([leaf], at: testTime - 10 * day - 1))
        #expect(early.code == .certificateExpired)
        #expect(early.message.contains("is not valid before 2026-11-13 00:00 UTC"))
        #expect(failure([leaf], at: .max)?.code == .certificateExpired)
        #expect(failure([leaf], at: .min)?.code == .certificateExpired)
        #expect(failure([leaf], at: 0)?.code == .certificateExpired)
    }

    @Test func anExpiredAuthorityIsNamed() throws {
        let old = try root.authority("CN=Old", TestKeys.intermediate) { $0.days = -100...(-1) }
        let failure = failure([try old.peer("CN=alice"), old.certificate])
        #expect(failure?.code == .certificateExpired)
        #expect(failure?.subject == "CN=Old")
    }

    // MARK: Paths

    @Test func intermediatesComeFromThePeerOrFromUsInAnyOrder() throws {
        let second = try intermediate.authority("CN=Second", TestKeys.bob)
        let leaf = try second.peer("CN=alice")
        #expect(failure([leaf, second.certificate, intermediate.certificate]) == nil)
        #expect(failure([leaf, intermediate.certificate, second.certificate]) == nil)
        let own = try PathValidator(authorities: [root.certificate], intermediates: [intermediate.certificate])
        #expect(failure([leaf, second.certificate], own) == nil)
        let missing = try #require(failure([leaf, second.certificate]))
        #expect(missing.code == .certificateUntrusted)
        #expect(missing.check == .trustAnchor)
        #expect(
            missing.message
                == "the certificate CN=Second was issued by O=Test, CN=Intermediate, which is not in ca_file")
        // An intermediate may be trusted itself.
        #expect(failure([leaf], try PathValidator(authorities: [second.certificate])) == nil)
    }

    @Test func anUnknownAuthorityIsNamed() throws {
        let other = try TestAuthority("CN=Other", TestKeys.mallory)
        let failure = try #require(failure([try other.peer("CN=alice"), other.certificate]))
        #expect(failure.code == .certificateUntrusted)
        #expect(failure.check == .trustAnchor)
        #expect(failure.subject == "CN=Other")
        #expect(failure.message == "the certificate CN=Other is its own authority and not in ca_file")
        #expect(failure.comparison.first?.ours == ["C=CH, O=Test, CN=Root"])
    }

    @Test func anAuthorityWithTheSameNameAndAnotherKeyIsNotIt() throws {
        let impostor = try TestAuthority("C=CH, O=Test, CN=Root", TestKeys.mallory)
        let failure = try #require(failure([try impostor.peer("CN=alice"), impostor.certificate]))
        #expect(failure.code == .certificateUntrusted)
        #expect([.trustAnchor, .signature].contains(failure.check))
        #expect(self.failure([try impostor.peer("CN=alice")])?.check == .signature)
    }

    @Test func aChangedCertificateIsRefused() throws {
        let leaf = try root.peer("CN=alice")
        for index in stride(from: 0, to: leaf.count, by: 3) {
            var changed = leaf
            changed[index] ^= 0x10
            #expect(failure([changed]) != nil, "byte \(index)")
        }
        for count in stride(from: 0, to: leaf.count, by: 7) { #expect(failure([Array(leaf.prefix(count))]) != nil) }
        #expect(failure([])?.check == .encoding)
        // What else the peer sends does not matter when it is not needed.
        #expect(failure([leaf, [0x30, 0x80], Array(leaf.prefix(100))]) == nil)
    }

    // MARK: Who may issue

    @Test func aPeerIsNoAuthority() throws {
        var bob = root
        bob.name = "CN=bob"
        bob.key = try Certificate.PrivateKey(pemEncoded: TestKeys.bob)
        for constraints in [nil, BasicConstraints.notCertificateAuthority] {
            let certificate = try root.peer("CN=bob", TestKeys.bob) {
                $0.basicConstraints = constraints
                $0.keyUsage = nil
            }
            let failure = failure([try bob.peer("CN=alice"), certificate])
            #expect(failure?.check == .basicConstraints)
            #expect(failure?.subject == "CN=bob")
        }
        let noSigning = try root.authority("CN=bob", TestKeys.bob) { $0.keyUsage = KeyUsage(digitalSignature: true) }
        #expect(failure([try bob.peer("CN=alice"), noSigning.certificate])?.check == .keyUsage)
        let old = try root.authority("CN=bob", TestKeys.bob) { $0.version = .v1 }
        #expect(failure([try bob.peer("CN=alice"), old.certificate])?.check == .basicConstraints)
    }

    @Test func pathLengthsAreKept() throws {
        let short = try root.authority("CN=Short", TestKeys.intermediate) {
            $0.basicConstraints = .isCertificateAuthority(maxPathLength: 0)
        }
        let below = try short.authority("CN=Below", TestKeys.bob)
        #expect(failure([try short.peer("CN=alice"), short.certificate]) == nil)
        let failure = failure([try below.peer("CN=alice"), below.certificate, short.certificate])
        #expect(failure?.check == .basicConstraints)
        #expect(failure?.subject == "CN=Short")
    }

    @Test func nameConstraintsAreKept() throws {
        let limited = try root.authority("CN=Limited", TestKeys.intermediate) {
            $0.nameConstraints = NameConstraints(permittedSubtrees: [.dnsName("allowed.test")])
        }
        let good = try limited.peer("CN=alice", dns: "a.allowed.test")
        #expect(failure([good, limited.certificate], "a.allowed.test") == nil)
        let failure = failure([try limited.peer("CN=alice"), limited.certificate])
        #expect(failure?.check == .nameConstraints)
        #expect(failure?.code == .certificateUntrusted)
    }

    // MARK: Usage

    @Test func keyUsageMustAllowSignatures() throws {
        for usage in [KeyUsage(digitalSignature: true), KeyUsage(nonRepudiation: true), nil] {
            #expect(failure([try root.peer("CN=alice") { $0.keyUsage = usage }]) == nil)
        }
        let failure = failure([try root.peer("CN=alice") { $0.keyUsage = KeyUsage(keyEncipherment: true) }])
        #expect(failure?.check == .keyUsage)
        #expect(failure?.code == .certificateUntrusted)
        #expect(failure?.suggestion.contains("digitalSignature") ?? false)
    }

    @Test func extendedKeyUsageIsTakenPermissively() throws {
        let ipsec = ExtendedKeyUsage.Usage(oid: [1, 3, 6, 1, 5, 5, 7, 3, 17])
        for usages in [[ipsec], [.serverAuth], [.codeSigning, .clientAuth], [.any], []] {
            #expect(failure([try root.peer("CN=alice") { $0.extendedKeyUsage = usages }]) == nil)
        }
        let failure = failure([try root.peer("CN=alice") { $0.extendedKeyUsage = [.codeSigning, .ocspSigning] }])
        #expect(failure?.check == .extendedKeyUsage)
    }

    @Test func unknownCriticalExtensionsAreRefused() throws {
        let failure = failure([try root.peer("CN=alice") { $0.critical = [1, 3, 6, 1, 4, 1, 99_999, 1] }])
        #expect(failure?.check == .criticalExtension)
        #expect(failure?.message.contains("1.3.6.1.4.1.99999.1") ?? false)
    }

    // MARK: What a hostile peer may send

    @Test func certificatesThatMultiplyPathsCostNoMoreThanTheirNumber() throws {
        // Seven authorities of one name and one key, each the issuer of every other: 7! paths.
        let loop = try TestAuthority("CN=Loop", TestKeys.mallory)
        let variants = try (0..<7).map { index in
            try loop.issue("CN=Loop", loop.key.publicKey) {
                $0.basicConstraints = .isCertificateAuthority(maxPathLength: nil)
                $0.names = [.dnsName("\(index).test")]
            }
        }
        let leaf = try loop.peer("CN=alice")
        let elapsed = ContinuousClock().measure { #expect(failure([leaf] + variants) != nil) }
        #expect(elapsed < .seconds(2))
    }

    // MARK: The validator itself

    @Test func authoritiesAreHashesOfTheirKeys() throws {
        #expect(validator.authorities.count == 1)
        #expect(validator.authorities[0].count == 20)
        let summary = try #require(CertificateSummary(der: root.certificate))
        #expect(summary.subject == "C=CH, O=Test, CN=Root")
        #expect(try summary.publicKey().belongs(to: SignaturePrivateKey(pem: SecretBytes(TestKeys.root.utf8))))
    }

    @Test func theDigestTellsValidatorsApart() throws {
        #expect(validator.digest == (try PathValidator(authorities: [root.certificate])).digest)
        let others = [
            try PathValidator(authorities: [root.certificate, intermediate.certificate]),
            try PathValidator(authorities: [root.certificate], intermediates: [intermediate.certificate]),
            try PathValidator(
                authorities: [root.certificate], revocationLists: [try root.revocationList(revoking: [])]),
        ]
        #expect(Set(([validator] + others).map(\.digest)).count == 4)
    }

    @Test func whatCannotBeReadIsNamedByItsPlace() throws {
        #expect(throws: PathValidator.Failure.self) { try PathValidator(authorities: [root.certificate, [1, 2, 3]]) }
        do {
            _ = try PathValidator(authorities: [root.certificate, [1, 2, 3]])
        } catch {
            #expect(error.role == .authorities)
            #expect(error.item == 2)
        }
    }

    /// Checks `chain` against an identity; nil when it is accepted.
    private func failure(
        _ chain: [[UInt8]], _ identity: String = "alice.test", at time: Int64 = testTime
    ) -> CertificateFailure? {
        failure(chain, validator, identity, at: time)
    }

    private func failure(
        _ chain: [[UInt8]], _ validator: PathValidator, _ identity: String = "alice.test", at time: Int64 = testTime
    ) -> CertificateFailure? {
        guard let identity = Identity(identity) else { return nil }
        guard case .failure(let failure) = validator.validate(chain: chain, identity: identity, at: time) else {
            return nil
        }
        return failure
    }
}
