// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwardingTests

import AditWire
import Testing

@testable import AditForwarding

@Suite struct PathMTUTests {
    /// IV, ICV, block; and the tunnel MTU over UDP/IPv4 and UDP/IPv6 with a path of 1500.
    @Test(arguments: [
        (8, 16, 1, 1438, 1418),  // AES-GCM-16, ChaCha20-Poly1305
        (16, 12, 16, 1422, 1406),  // AES-CBC, HMAC-MD5-96 or HMAC-SHA1-96
        (16, 16, 16, 1422, 1406),  // AES-CBC, HMAC-SHA2-256-128
        (16, 24, 16, 1422, 1390),  // AES-CBC, HMAC-SHA2-384-192
        (16, 32, 16, 1406, 1390),  // AES-CBC, HMAC-SHA2-512-256
        (8, 12, 8, 1438, 1422),  // 3DES-CBC, HMAC-MD5-96 or HMAC-SHA1-96
        (8, 16, 8, 1438, 1414),  // 3DES-CBC, HMAC-SHA2-256-128
        (8, 24, 8, 1430, 1406),  // 3DES-CBC, HMAC-SHA2-384-192
        (8, 32, 8, 1422, 1398),  // 3DES-CBC, HMAC-SHA2-512-256
    ])
    func bySuite(_ iv: Int, _ icv: Int, _ block: Int, _ overV4: Int, _ overV6: Int) {
        for (family, outer, expected) in [(IPAddress.Family.v4, 20, overV4), (.v6, 40, overV6)] {
            let mtu = PathMTU.tunnelMTU(
                path: 1500, outerFamily: family, ivLength: iv, icvLength: icv, blockLength: block)
            #expect(mtu == expected)
            let unit = max(block, 4)
            func onTheWire(_ inner: Int) -> Int {
                outer + 8 + 8 + iv + (inner + 2 + unit - 1) / unit * unit + icv
            }
            #expect(onTheWire(mtu) <= 1500)
            #expect(onTheWire(mtu + 1) > 1500)
        }
    }

    @Test func withinTheLimits() {
        for (path, expected) in [(0, 1280), (576, 1280), (1342, 1280), (100_000, 65_535)] {
            #expect(
                PathMTU.tunnelMTU(path: path, outerFamily: .v4, ivLength: 8, icvLength: 16, blockLength: 1) == expected)
        }
    }
}
