// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

/// Opens packets of one SA direction on one thread. See ``PacketSealer`` for the layout. Not thread-safe: one owner.
public final class PacketOpener {
    /// The suite.
    public let suite: CipherSuite

    /// `key` is the encryption key (salt included), then the integrity key.
    public init(suite: CipherSuite, key: SecretBytes) throws(CryptoError) { fatalError("filled in by the crypto work") }

    /// Checks the ICV and decrypts in place; false leaves the text undefined and the opener usable for the next packet.
    public func open(
        _ packet: UnsafeMutableRawPointer, prefixLength: Int, textLength: Int, extended: UInt32?
    ) -> Bool { fatalError("filled in by the crypto work") }
}
