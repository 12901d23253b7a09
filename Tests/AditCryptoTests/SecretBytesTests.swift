// SPDX-License-Identifier: Apache-2.0
// Adit: AditCryptoTests

import Testing

@testable import AditCrypto

/// Key material has one place and is never printed.
@Suite struct SecretBytesTests {
    @Test func whatASecretIsMadeFromCanBeErased() {
        // Not a literal: that may lie in the program itself, and is copied before it is written.
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4)
        for byte in UInt8(1)...4 { bytes.append(byte) }
        let place = bytes.withUnsafeBytes { $0.baseAddress }
        let secret = SecretBytes(erasing: &bytes)
        #expect(bytes == [0, 0, 0, 0])
        // Where they lay, not in a copy.
        #expect(bytes.withUnsafeBytes { $0.baseAddress } == place)
        #expect(secret == SecretBytes([1, 2, 3, 4]))
    }

    @Test func nothingOfItIsPrinted() {
        let secret = SecretBytes(Array("swordfish".utf8))
        var text = "\(secret)"
        dump(secret, to: &text)
        #expect(!text.contains("swordfish") && !text.contains("115"))
        #expect(Mirror(reflecting: secret).children.isEmpty)
    }

    @Test func slicesAndSums() {
        let secret = SecretBytes([1, 2, 3]) + SecretBytes([4])
        #expect(secret.count == 4)
        #expect(secret.slice(1..<4) == SecretBytes([2, 3, 4]))
        #expect(secret.slice(4..<4) == SecretBytes([]))
        #expect(secret != SecretBytes([1, 2, 3, 5]) && secret != SecretBytes([1, 2, 3]))
    }
}
