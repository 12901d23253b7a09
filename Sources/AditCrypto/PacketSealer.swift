// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

/// Seals packets of one SA direction on one thread: one cipher context, key set once, nonces from its own counter.
///
/// A packet lies in one run of bytes: `prefix | IV | text | ICV`. The prefix is what is authenticated but not encrypted
/// (ESP: SPI and sequence number; IKE: header to SK payload header). Not thread-safe: one owner.
public final class PacketSealer {
    /// The suite.
    public let suite: CipherSuite

    /// `key` is the encryption key (salt included), then the integrity key.
    ///
    /// `ivSpace` keeps several sealers of one key apart (one per worker): it becomes the top byte of the 8-octet IV
    /// counter, so no two of them can form the same nonce. Each value is used at most once under one key.
    public init(suite: CipherSuite, key: SecretBytes, ivSpace: UInt8) throws(CryptoError) {
        fatalError("filled in by the crypto work")
    }

    /// Seals in place. `packet` has room for prefix, IV, text and ICV; text is a multiple of the suite's block length.
    ///
    /// `extended` is authenticated and not sent: ESP's high sequence bits with ESN. With an AEAD the caller's AAD is
    /// SPI | high | low (RFC 4106 §5); with an HMAC it follows the ciphertext (RFC 4303 §2.2.1). False means the SA
    /// must stop: libcrypto failed or the IV counter is spent.
    public func seal(
        _ packet: UnsafeMutableRawPointer, prefixLength: Int, textLength: Int, extended: UInt32?
    ) -> Bool { fatalError("filled in by the crypto work") }
}
