// SPDX-License-Identifier: Apache-2.0
// Adit: Fuzz

import AditIKE
import AditPKI
import FuzzDriver
import FuzzSubjects

// What a peer sends in CERT payloads: DER certificates one after the other, its own first.

/// The authority of the corpus: CN=Root, with an Ed25519 key, valid from November 2026 for a century.
private let authority = bytes(
    "3082015330820105a00302010202142fd2f0f9275a1d06606516da45b7444b5b90f664300506032b6570301e310d300b"
        + "060355040a0c0446757a7a310d300b06035504030c04526f6f743020170d3236313132333032313830335a180f323132"
        + "36313033303032313830335a301e310d300b060355040a0c0446757a7a310d300b06035504030c04526f6f74302a3005"
        + "06032b657003210002a2f8f25957c24a3ca7c2e53ad0950350a92cf5da7e4297ae6dd3a2602b79f1a3533051301d0603"
        + "551d0e04160414a5dcff4b0f12b4312926cda6b3ba494cc1b141cd301f0603551d23041830168014a5dcff4b0f12b431"
        + "2926cda6b3ba494cc1b141cd300f0603551d130101ff040530030101ff300506032b6570034100a1025b5be551ce2f59"
        + "ee6ac398994e3a08ce2a64badb7c4d78e1898e65e145150679f6c79cb4da5eaf383c43968c2253fc3b394fa0aa0f3ef4"
        + "14b97d28d7af06")

private func bytes(_ hexadecimal: String) -> [UInt8] {
    let digits = hexadecimal.utf8.map { $0 > 0x39 ? $0 - 0x61 + 10 : $0 - 0x30 }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

private let validator = try PathValidator(authorities: [authority])
private let identities = ["peer.example.com", "192.0.2.1", "a@example.com", "C=CH, CN=peer"].compactMap { Identity($0) }

fuzz(
    FuzzSubject(name: "Certificates") { input in
        var reader = DERReader(input)
        var chain: [[UInt8]] = []
        while let certificate = reader.next() { chain.append(Array(certificate.whole)) }
        for identity in identities {
            switch validator.validate(chain: chain, identity: identity, at: 2_000_000_000) {
            case .success(let key): precondition("\(key.kind)".count > 2)
            case .failure(let failure):
                precondition(!failure.message.isEmpty && !failure.suggestion.isEmpty, "what is refused is explained")
                precondition(!failure.message.contains("\n"), "one line a message")
            }
        }
        if let first = chain.first, let summary = CertificateSummary(der: first) {
            precondition(!summary.subject.contains("\n") && summary.alternativeNames.allSatisfy { !$0.contains("\n") })
        }
    })
