// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Synchronization
import Testing

@testable import AditIKE

/// Two machines that sign; the certificates are stand-ins, real ones are AditPKI's tests.
@Suite struct SignatureHandshakeTests {
    @Test(arguments: TestKeys.all, TestKeys.all)
    func bothSidesSign(_ left: TestKey, _ right: TestKey) throws {
        let pair = IKEPair(seed: 1, try Self.sides(left, right)).connected()
        #expect(pair.mirrored() == nil)
        #expect(pair.problems == [])
        #expect(pair.nodes[1].endpoint.status()[0].ikeSA?.remoteID == .fqdn("a.example"))
    }

    @Test("each side in its own way (RFC 7296 §2.15)", arguments: [true, false])
    func secretOnOneSide(_ initiatorSigns: Bool) throws {
        let secret = SecretBytes(Array("a secret of both".utf8))
        let signer = try TestKeys.ecdsa256.credential(initiatorSigns ? "a.example" : "b.example")
        let signing = ConnectionConfiguration.Authentication(
            local: .signature(signer), remote: .preSharedKey(secret))
        let trusting = ConnectionConfiguration.Authentication(
            local: .preSharedKey(secret), remote: .certificate(TestValidator()))
        _ = IKEPair(
            seed: 2,
            Sides.pair {
                $0.authentication = initiatorSigns ? signing : trusting
                $1.authentication = initiatorSigns ? trusting : signing
            }
        ).connected()
    }

    @Test func withoutLocalIDWeAreOurCertificatesSubject() throws {
        let pair = IKEPair(
            seed: 3,
            try Self.sides(TestKeys.ed25519, TestKeys.ed25519) {
                $0.localID = nil
                $1.remoteID = Identity("cn=A.EXAMPLE")
            }
        ).connected()
        #expect(pair.nodes[1].endpoint.status()[0].ikeSA?.remoteID?.description == "CN=a.example")
    }

    @Test("a responder for any address finds a distinguished name however it is encoded (RFC 5280 §7.1)")
    func distinguishedNamesAreFoundInAnyEncoding() throws {
        let printable = hex("3014311230100603550403130941" + "2e4558414d504c45")
        let pair = IKEPair(
            seed: 12,
            try Self.sides(TestKeys.ed25519, TestKeys.ed25519) {
                $0.localID = nil
                $1.remoteAddresses = []
                $1.remoteID = .distinguishedName(printable)
            })
        #expect(DistinguishedName(der: printable)?.description == "CN=A.EXAMPLE")
        #expect(pair.connect(), "\(pair.story)")
    }

    @Test("a responder that refuses RSASSA-PSS is asked with PKCS #1 v1.5 at once, and PSS is tried again after that")
    func refusedPSS() throws {
        for (refusals, isRSA) in [(1, true), (2, true), (1, false)] {
            let validator = CountingValidator(refusals: refusals)
            let signer = isRSA ? TestKeys.rsa2048 : TestKeys.ecdsa256
            let works = isRSA && refusals == 1
            let pair = IKEPair(
                seed: 13,
                try Self.sides(signer, TestKeys.rsa2048) {
                    $1.authentication.remote = .certificate(validator)
                    $0.children[0].startAction = .none
                })
            #expect(pair.connect() == works, "\(pair.story)")
            #expect(pair.codes(0) == (works ? [] : [.authenticationFailed]))
            let connection = try #require(pair.nodes[0].endpoint.connections.id(named: "c"))
            #expect(pair.nodes[0].endpoint.connections[connection]?.signsByPKCS1 == works)
            #expect(validator.calls.withLock { $0 } == (isRSA ? 2 : 1))
        }
    }

    @Test func aValidatorJudgesOnceForAllConnections() throws {
        let validator = CountingValidator()
        var sides = try Self.sides(TestKeys.ed25519, TestKeys.ed25519) {
            $0.localID = .fqdn("somebody.example")
            $1.remoteID = nil
            $1.authentication.remote = .certificate(validator)
        }
        sides[1] = (0..<5).map { index in
            var connection = sides[1][0]
            connection.name = "c\(index)"
            return connection
        }
        let pair = IKEPair(seed: 13, sides)
        #expect(!pair.connect())
        #expect(pair.codes(1).first == .invalidIdentity)
        #expect(validator.calls.withLock { $0 } == 1)
    }

    @Test func anIdentityThatTheCertificateLacksIsRefused() throws {
        let pair = IKEPair(
            seed: 4,
            try Self.sides(TestKeys.ed25519, TestKeys.ed25519) {
                $0.localID = .fqdn("somebody.example")
                $1.remoteID = nil
            })
        #expect(!pair.connect())
        #expect(pair.codes(1).first == .invalidIdentity)
        #expect(pair.codes(0).first == .authenticationFailed)
        #expect(pair.nodes.allSatisfy { $0.children.isEmpty })
        #expect(pair.nodes[0].failures.first?.suggestion.contains("cert_file") == true)
    }

    @Test func theInitiatorRefusesToo() throws {
        let pair = IKEPair(
            seed: 5,
            try Self.sides(TestKeys.ed25519, TestKeys.ed25519) {
                $0.remoteID = nil
                $1.localID = .fqdn("somebody.example")
            })
        #expect(!pair.connect())
        #expect(pair.codes(0).first == .invalidIdentity)
        #expect(pair.nodes.allSatisfy { $0.children.isEmpty })
    }

    @Test func aKeyThatIsNotTheCertificatesIsRefused() throws {
        let pair = IKEPair(
            seed: 6,
            try Self.sides(TestKeys.ecdsa256, TestKeys.ecdsa256) { left, _ in
                guard case .signature(var credential) = left.authentication.local,
                    let other = try? TestKeys.ed25519.credential("a.example")
                else { return }
                credential.key = other.key
                left.authentication.local = .signature(credential)
            })
        #expect(!pair.connect())
        #expect(pair.codes(1).first == .authenticationFailed)
        #expect(pair.nodes[1].failures.first?.message.contains("its certificate's kind of key") == true)
    }

    @Test func secretAgainstSignatureIsToldAsSuch() throws {
        let pair = IKEPair(
            seed: 7,
            try Self.sides(TestKeys.ecdsa256, TestKeys.ecdsa256) { left, _ in
                left.authentication = .preSharedKey(SecretBytes([1, 2, 3]))
            })
        #expect(!pair.connect())
        let report = pair.nodes[1].failures.first
        #expect(report?.code == .authenticationFailed)
        #expect(report?.comparison.first?.ours == ["a certificate"])
        #expect(report?.comparison.first?.theirs == ["pre-shared key"])
    }

    @Test func connectionsAreToldApartByTheirAuthorities() throws {
        var sides = try Self.sides(TestKeys.ecdsa256, TestKeys.ecdsa256)
        var other = sides[1][0]
        other.name = "other"
        other.authentication = .preSharedKey(SecretBytes([9]))
        for index in sides[1].indices { sides[1][index].remoteID = nil }
        other.remoteID = nil
        let pair = IKEPair(seed: 8, [sides[0], [other, sides[1][0]]]).connected()
        #expect(pair.nodes[1].established("c"))
    }

    @Test func certificatesOfAPeerAreLimited() throws {
        for (count, length) in [(CertificateLimits.count + 1, 1), (2, CertificateLimits.length + 1)] {
            let pair = IKEPair(
                seed: 9,
                try Self.sides(TestKeys.ecdsa256, TestKeys.ecdsa256) { left, _ in
                    guard case .signature(var credential) = left.authentication.local else { return }
                    credential.chain += Array(repeating: Array(repeating: 0, count: length), count: count - 1)
                    left.authentication.local = .signature(credential)
                })
            #expect(!pair.connect())
            #expect(pair.nodes[1].failures.first?.message.contains("more than 8 certificates") == true)
        }
    }

    @Test func authoritiesOfACertificateRequestAreLimited() throws {
        let many = TestValidator(authorities: (0..<100).map { Array(repeating: UInt8($0), count: 20) })
        let pair = IKEPair(
            seed: 10,
            try Self.sides(TestKeys.ecdsa256, TestKeys.ecdsa256) {
                $0.authentication.remote = .certificate(many)
                $1.authentication.remote = .certificate(many)
            }
        ).connected()
        // The first answer demands a cookie: with the authorities it would be longer than the request.
        let response = try #require(pair.nodes[1].sent.dropFirst().first)
        let payloads = try IKEMessage(parsing: response).payloads
        let requests = payloads.compactMap { if case .certificateRequest(let request) = $0 { request } else { nil } }
        #expect(requests.map(\.bytes.count) == [20 * CertificateLimits.authorities])
        #expect(response.count < 1000)
    }

    @Test func withoutCertificatesNothingOfThemIsSent() throws {
        let pair = IKEPair(seed: 11, Sides.pair()).connected()
        for message in pair.nodes.compactMap(\.sent.first) {
            let contents = PayloadContents(try IKEMessage(parsing: message).payloads)
            #expect(contents.signatureHashes == nil)
            #expect(!contents.payloads.contains { $0.type == .certificateRequest })
        }
    }

    /// Two configurations that sign and trust each other's certificates.
    static func sides(
        _ left: TestKey, _ right: TestKey,
        _ change: (inout ConnectionConfiguration, inout ConnectionConfiguration) -> Void = { _, _ in }
    ) throws -> [[ConnectionConfiguration]] {
        let credentials = (try left.credential("a.example"), try right.credential("b.example"))
        return Sides.pair {
            $0.authentication = .init(local: .signature(credentials.0), remote: .certificate(TestValidator()))
            $1.authentication = .init(local: .signature(credentials.1), remote: .certificate(TestValidator()))
            change(&$0, &$1)
        }
    }
}

/// A ``TestValidator`` that counts, and refuses the first peers.
private final class CountingValidator: CertificateValidator {
    let calls = Mutex(0)
    let digest: [UInt8] = [2]
    let authorities: [[UInt8]] = [Array(repeating: 7, count: 20)]
    let refusals: Int

    init(refusals: Int = 0) { self.refusals = refusals }

    func validate(
        chain: [[UInt8]], identity: Identity, at time: Int64
    ) -> Result<SignaturePublicKey, CertificateFailure> {
        let count = calls.withLock { calls in
            calls += 1
            return calls
        }
        return TestValidator().validate(chain: chain, identity: identity, at: count <= refusals ? 0 : time)
    }
}
