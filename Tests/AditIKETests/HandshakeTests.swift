// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditCrypto
import AditWire
import Testing

@testable import AditIKE

@Suite struct HandshakeTests {
    @Test("two machines agree on one child, keys and selectors (RFC 7296 §1.2)")
    func plain() {
        let pair = IKEPair(seed: 1, Sides.pair())
        pair.command(.initiate(connection: "c", child: nil), 0)
        let up = pair.run(5) { pair.nodes.allSatisfy { $0.established() && $0.children.count == 1 } }
        #expect(up, "\(pair.trace.joined(separator: "\n"))")
        #expect(pair.mirrored() == nil)
        #expect(pair.problems == [])
    }
}
