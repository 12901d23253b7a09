// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import Testing

@testable import AditIKE

/// Reports as `adit explain` prints them.
@Suite struct FailureReportTests {
    private func report(_ comparison: [FailureReport.Comparison]) -> FailureReport {
        FailureReport(
            connection: "hq", code: .noProposalChosen, stage: .ikeSAInit, message: "Nothing fits.",
            suggestion: "Add modp2048 to proposals.", remote: "203.0.113.7:500", comparison: comparison)
    }

    @Test func columns() {
        let text = report([
            .init(subject: "encryption", ours: ["aes256"], theirs: ["aes256", "aes128"], mismatch: false),
            .init(subject: "key exchange", ours: ["x25519"], theirs: [], mismatch: true),
        ]).sideBySide()
        #expect(
            text == """
                hq: no_proposal_chosen in ike_sa_init with 203.0.113.7:500
                  Nothing fits.

                                ours    theirs
                  encryption    aes256  aes256, aes128
                ! key exchange  x25519  none

                  To do: Add modp2048 to proposals.
                """)
    }

    @Test func longListsAreContinued() {
        let many = (0..<40).map { "10.\($0).0.0/16" }
        for width in [10, 60, 80, 200] {
            let lines = report([.init(subject: "local_ts", ours: many, theirs: many, mismatch: true)])
                .sideBySide(width: width).split(separator: "\n")
            for value in many { #expect(lines.contains { $0.contains(value) }) }
            if width >= 60 { #expect(lines.allSatisfy { $0.count <= width }) }
            #expect(lines.filter { $0.hasPrefix("!") }.count == 1)
        }
    }

    @Test func withoutComparison() {
        var report = report([])
        report.connection = nil
        report.remote = nil
        report.suggestion = ""
        #expect(report.sideBySide() == "(no connection): no_proposal_chosen in ike_sa_init\n  Nothing fits.")
    }
}
