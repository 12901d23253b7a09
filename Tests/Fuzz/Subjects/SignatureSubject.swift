// SPDX-License-Identifier: Apache-2.0
// Adit: Fuzz

import AditCrypto
import AditIKE

extension FuzzSubject {
    /// What comes with a signature: AlgorithmIdentifiers, AUTH data, hash lists, public keys, distinguished names.
    public static let signature = FuzzSubject(
        name: "Signature",
        run: { bytes in
            let rest = Array(bytes.dropFirst())
            switch (bytes.first ?? 0) % 5 {
            case 0:
                guard let algorithm = SignatureAlgorithm(identifier: rest) else { return }
                precondition(
                    SignatureAlgorithm(identifier: algorithm.identifier) == algorithm, "algorithms survive")
            case 1:
                guard let key = try? SignaturePublicKey(subjectPublicKeyInfo: publicKey) else { return }
                let methods: [AuthenticationPayload.Method] = [.digitalSignature, .ecdsa256, .rsaSignature, .ecdsa521]
                for method in methods {
                    let proof = AuthenticationPayload(method: method, value: rest)
                    precondition(
                        (try? SignatureAuthentication.verify(proof, key: key, octets: [], allowLegacy: true)) == nil,
                        "nobody signs nothing")
                }
            case 2:
                let hashes = SignatureHashes(data: rest)
                precondition(SignatureHashes(data: hashes.data) == hashes, "hash lists survive")
            case 3:
                guard let key = try? SignaturePublicKey(subjectPublicKeyInfo: rest) else { return }
                for scheme in [SignatureScheme.rsaPSS(.sha256), .rsaPKCS1(.sha512), .ecdsa(.sha384), .ed25519] {
                    _ = key.isValid([UInt8](repeating: 1, count: 64), over: rest, scheme)
                }
            default:
                guard let name = DistinguishedName(der: rest) else { return }
                precondition(DistinguishedName(der: name.der)?.der == name.der, "names settle")
                let text = Identity.distinguishedName(rest).description
                precondition(!text.contains("\n"), "one line a name")
                precondition(Identity(text)?.matches(.distinguishedName(rest)) ?? false, "names survive as text")
            }
        },
        seeds: {
            let schemes: [SignatureScheme] = [.rsaPKCS1(.sha256), .rsaPSS(.sha384), .ecdsa(.sha256), .ed25519]
            let algorithms = schemes.compactMap { SignatureAlgorithm($0)?.identifier }
            let names = ["C=CH, O=Example, CN=paris", "CN=a + UID=b, DC=example", "1.2.3.4=x"]
            return algorithms.enumerated().map { ("algorithm\($0.offset)", [0] + $0.element) }
                + algorithms.enumerated().map { offset, bytes in
                    ("auth\(offset)", [1, UInt8(bytes.count)] + bytes + [UInt8](repeating: 0x30, count: 70))
                } + [("hashes", [2] + SignatureHashes.ours.data), ("key", [3] + publicKey)]
                + names.enumerated().map { ("name\($0.offset)", [4] + (DistinguishedName($0.element)?.der ?? [])) }
        })

    /// An ECDSA P-256 key.
    private static let publicKey: [UInt8] = {
        let hexadecimal =
            "3059301306072a8648ce3d020106082a8648ce3d0301070342000422aae4bd511433becb3b85c273a3596691a223734f"
            + "4937d9351e71e651238f9193ac9a07bdfeb7b7a37e1841e403054bf795119f37d7616f16fe785df5969560"
        let digits = hexadecimal.utf8.map { $0 > 0x39 ? $0 - 0x61 + 10 : $0 - 0x30 }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }()
}
