// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import AditIKE

/// Reads lists of proposals.
struct ProposalReader {
    let reader: TableReader
    let allowLegacy: Bool

    /// The proposals at `key`; nil when the key is absent or faulty.
    func read(_ key: String, _ securityProtocol: SecurityProtocol) -> [Proposal]? {
        guard let items = reader.strings(key, limit: proposalLimit) else { return nil }
        let path = reader.path + [key]
        let proposals = items.map { item -> Proposal? in
            do throws(ProposalSyntaxError) {
                let proposal = try Proposal(parsing: item.text, for: securityProtocol, allowLegacy: allowLegacy)
                // RFC 8221 §5 and §6, RFC 8247 §2: what must not be used any more is named each time.
                let weak = proposal.legacyKeywords
                if !weak.isEmpty {
                    let names = weak.joined(separator: ", ")
                    reader.problems.warning(
                        path, "\(quoted(item.text)) has legacy algorithms, which are no longer safe: \(names)",
                        item: item.index)
                }
                return proposal
            } catch {
                reader.problems.error(path, "found \(quoted(item.text)); \(printable(error.message))", item: item.index)
                return nil
            }
        }
        return proposals.contains(nil) ? nil : proposals.compactMap(\.self)
    }

    private let proposalLimit = 16
}
