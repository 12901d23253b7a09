// SPDX-License-Identifier: Apache-2.0
// Adit: AditPKITests

import AditIKE
import Testing

@testable import AditPKI

@Suite struct RevocationListTests {
    let root: TestAuthority
    let leaf: [UInt8]

    init() throws {
        root = try TestAuthority("CN=Root", TestKeys.root)
        leaf = try root.peer("CN=alice") { $0.serial = 4711 }
    }

    @Test func revokedCertificatesAreRefused() throws {
        #expect(try failure(root.revocationList(revoking: [])) == nil)
        #expect(try failure(root.revocationList(revoking: [4710, 4712])) == nil)
        let failure = try #require(try failure(root.revocationList(revoking: [1, 4711])))
        #expect(failure.code == .certificateUntrusted)
        #expect(failure.check == .revocation)
        #expect(failure.message == "the certificate CN=alice was revoked by CN=Root (crl_file)")
    }

    /// What cannot be believed does not count as "not revoked".
    @Test func listsOutOfDateOrForgedLetNothingThrough() throws {
        #expect(
            try failure(root.revocationList(revoking: [], days: -10...(-1)))?.message.contains("out of date") ?? false)
        #expect(try failure(root.revocationList(revoking: [], days: 1...10))?.message.contains("future") ?? false)
        let forged = try root.revocationList(revoking: [], signer: TestKeys.mallory)
        #expect(try failure(forged)?.message.contains("is not signed by it") ?? false)
    }

    @Test func listsOfOthersDoNotMatter() throws {
        let other = try TestAuthority("CN=Other", TestKeys.mallory)
        #expect(try failure(other.revocationList(revoking: [4711], signer: TestKeys.mallory)) == nil)
    }

    @Test func anIntermediateCanBeRevoked() throws {
        let intermediate = try root.authority("CN=Intermediate", TestKeys.intermediate) { $0.serial = 77 }
        let validator = try PathValidator(
            authorities: [root.certificate], revocationLists: [try root.revocationList(revoking: [77])])
        let chain = [try intermediate.peer("CN=alice"), intermediate.certificate]
        guard
            case .failure(let failure) = validator.validate(chain: chain, identity: .fqdn("alice.test"), at: testTime)
        else {
            Issue.record("accepted")
            return
        }
        #expect(failure.subject == "CN=Intermediate")
    }

    /// RFC 5280 §5.2: a critical extension changes what the list means.
    @Test func listsWithCriticalExtensionsAreNotUsed() throws {
        let delta = DERReader.encode(
            0x30, DERReader.encode(0x06, [0x55, 0x1d, 27]) + [0x01, 0x01, 0xff] + DERReader.encode(0x04, [2, 1, 1]))
        let number = DERReader.encode(
            0x30, DERReader.encode(0x06, [0x55, 0x1d, 20]) + DERReader.encode(0x04, [2, 1, 1]))
        #expect(RevocationList(der: try root.revocationList(revoking: [], extensions: number)) != nil)
        #expect(RevocationList(der: try root.revocationList(revoking: [], extensions: number + delta)) == nil)
    }

    @Test func timesAreRead() throws {
        let list = try #require(RevocationList(der: try root.revocationList(revoking: [], days: -1000...4000)))
        #expect(list.thisUpdate == testTime - 1000 * 86_400)
        #expect(list.nextUpdate == testTime + 4000 * 86_400)
    }

    @Test func everyPrefixAndManyChangesAreSafe() throws {
        let list = try root.revocationList(revoking: [1, 2, 3])
        for count in list.indices { #expect(RevocationList(der: Array(list.prefix(count))) == nil) }
        for index in list.indices {
            for value in [0, 1, 0x7f, 0x80, 0x84, 0xff] as [UInt8] {
                var changed = list
                changed[index] = value
                _ = RevocationList(der: changed)
            }
        }
    }

    private func failure(_ list: [UInt8]) throws -> CertificateFailure? {
        let validator = try PathValidator(authorities: [root.certificate], revocationLists: [list])
        switch validator.validate(chain: [leaf], identity: .fqdn("alice.test"), at: testTime) {
        case .success: return nil
        case .failure(let failure): return failure
        }
    }
}
