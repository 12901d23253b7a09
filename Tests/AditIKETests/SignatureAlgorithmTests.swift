// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import Testing

@testable import AditIKE

@Suite struct SignatureAlgorithmTests {
    /// The bytes of RFC 7427 appendix A and RFC 8420 appendix A.
    static let published: [(SignatureScheme, String)] = [
        (.rsaPKCS1(.sha1), "300d06092a864886f70d0101050500"),
        (.rsaPKCS1(.sha256), "300d06092a864886f70d01010b0500"),
        (.rsaPKCS1(.sha384), "300d06092a864886f70d01010c0500"),
        (.rsaPKCS1(.sha512), "300d06092a864886f70d01010d0500"),
        (.ecdsa(.sha1), "300906072a8648ce3d0401"),
        (.ecdsa(.sha256), "300a06082a8648ce3d040302"),
        (.ecdsa(.sha384), "300a06082a8648ce3d040303"),
        (.ecdsa(.sha512), "300a06082a8648ce3d040304"),
        (.ed25519, "300506032b6570"),
        (
            .rsaPSS(.sha256),
            "304606092a864886f70d01010a3039a00f300d06096086480165030402010500a11c301a06092a864886f70d010108"
                + "300d06096086480165030402010500a203020120a303020101"
        ),
        (
            .rsaPSS(.sha1),
            "303e06092a864886f70d01010a3031a00b300906052b0e03021a0500a118301606092a864886f70d010108"
                + "300906052b0e03021a0500a203020114a303020101"
        ),
    ]

    @Test(arguments: published) func bytesAreThePublishedOnes(_ scheme: SignatureScheme, _ bytes: String) {
        #expect(SignatureAlgorithm(scheme)?.identifier == hex(bytes))
        #expect(SignatureAlgorithm(identifier: hex(bytes))?.scheme == scheme)
    }

    @Test(arguments: [HashAlgorithm.sha256, .sha384, .sha512], [0, 20, 127, 128, 255, 256, 400])
    func pssParametersComeBack(_ hash: HashAlgorithm, _ salt: Int) throws {
        let algorithm = try #require(SignatureAlgorithm(.rsaPSS(hash, saltLength: salt)))
        #expect(SignatureAlgorithm(identifier: algorithm.identifier) == algorithm)
        for index in algorithm.identifier.indices {
            var changed = algorithm.identifier
            changed[index] ^= 0x41
            #expect(SignatureAlgorithm(identifier: changed) != algorithm)
            #expect(SignatureAlgorithm(identifier: Array(algorithm.identifier.prefix(index))) == nil)
        }
        #expect(SignatureAlgorithm(identifier: algorithm.identifier + [0]) == nil)
    }

    /// RFC 4055 §3.1: what is left out is SHA-1 with a salt of 20, and RFC 4055 §2.1: NULL may be absent.
    @Test func pssDefaultsAndAbsentParameters() {
        #expect(
            SignatureAlgorithm(identifier: hex("300d06092a864886f70d01010a3000"))?.scheme
                == .rsaPSS(.sha1, saltLength: 20))
        let withoutNull =
            "304206092a864886f70d01010a3035a00d300b0609608648016503040201a11a301806092a864886f70d010108"
            + "300b0609608648016503040201a203020120a303020101"
        #expect(SignatureAlgorithm(identifier: hex(withoutNull))?.scheme == .rsaPSS(.sha256))
        // MGF1 over another hash is not supported.
        let mixed =
            "304606092a864886f70d01010a3039a00f300d06096086480165030402010500a11c301a06092a864886f70d010108"
            + "300d06096086480165030402020500a203020120a303020101"
        #expect(SignatureAlgorithm(identifier: hex(mixed)) == nil)
    }

    @Test func authenticationDataIsTakenApart() throws {
        let algorithm = try #require(SignatureAlgorithm(.ed25519))
        let data = algorithm.authenticationData([1, 2, 3])
        #expect(data == [7] + algorithm.identifier + [1, 2, 3])
        #expect(try #require(SignatureAlgorithm.split(data)) == (algorithm.identifier, [1, 2, 3]))
        #expect(SignatureAlgorithm.split([0, 1, 2, 3]) == nil)
        for count in 0...8 { #expect(SignatureAlgorithm.split(Array(data.prefix(count))) == nil) }
    }

    @Test func hashesComeAndGo() {
        #expect(SignatureHashes.ours.data == [0, 2, 0, 3, 0, 4, 0, 5])
        #expect(SignatureHashes(data: [0, 2, 0, 5, 9]).numbers == [2, 5])
        #expect(SignatureHashes(data: []).numbers.isEmpty)
        #expect(SignatureHashes(data: [7]).numbers.isEmpty)
        #expect(SignatureHashes(data: [UInt8](repeating: 0, count: 1000)).numbers.count == 64)
        #expect(!SignatureHashes.ours.contains(.rsaPKCS1(.sha1)))
        #expect(SignatureHashes.ours.contains(.ed25519))
        #expect(!SignatureHashes(numbers: [2]).contains(.ed25519))
    }
}
