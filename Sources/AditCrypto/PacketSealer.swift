// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

/// Seals packets of one SA direction on one thread: one cipher context, key set once, nonces from its own counter.
///
/// A packet lies in one run of bytes: `prefix | IV | text | ICV`. The prefix is what is authenticated but not encrypted
/// (ESP: SPI and sequence number; IKE: header to SK payload header). Not thread-safe: one owner.
@safe public final class PacketSealer {
    /// The suite.
    public let suite: CipherSuite

    // A closed set of plain pointers: choosing is one compare, and no packet retains or releases anything.
    private enum Engine {
        case gcm(GCMSealing)
        case chaCha20Poly1305(ChaCha20Poly1305Sealing)
        case cbc(CBCSealing)
    }

    // SAFETY: the engine's memory is made in init, used by this object's owner alone and freed in deinit.
    private let engine: Engine

    /// `key` is the encryption key (salt included), then the integrity key.
    ///
    /// `ivSpace` keeps several sealers of one key apart (one per worker): it becomes the top byte of the 8-octet IV
    /// counter, so no two of them can form the same nonce. Each value is used at most once under one key.
    public convenience init(suite: CipherSuite, key: SecretBytes, ivSpace: UInt8) throws(CryptoError) {
        try self.init(suite: suite, key: key, firstIV: UInt64(ivSpace) << 56 | 1)
    }

    /// Starts the counter at `firstIV`, whose top byte is the IV space.
    init(suite: CipherSuite, key: SecretBytes, firstIV: UInt64) throws(CryptoError) {
        guard key.count == suite.keyLength else { throw .malformedInput }
        self.suite = suite
        switch suite {
        case .aesGCM16(let length): engine = .gcm(try GCMSealing(length, key: key, firstIV: firstIV))
        case .chaCha20Poly1305: engine = .chaCha20Poly1305(try ChaCha20Poly1305Sealing(key: key, firstIV: firstIV))
        case .aesCBC(let length, let integrity):
            engine = .cbc(try CBCSealing(.aes(length), integrity, key: key, firstIV: firstIV))
        case .tripleDESCBC(let integrity):
            engine = .cbc(try CBCSealing(.tripleDES, integrity, key: key, firstIV: firstIV))
        }
    }

    deinit {
        switch engine {
        case .gcm(let sealing): sealing.free()
        case .chaCha20Poly1305(let sealing): sealing.free()
        case .cbc(let sealing): sealing.free()
        }
    }

    /// Seals in place. `packet` has room for prefix, IV, text and ICV; text is a multiple of the suite's block length.
    ///
    /// `extended` is authenticated and not sent: ESP's high sequence bits with ESN. With an AEAD the caller's AAD is
    /// SPI | high | low (RFC 4106 §5), for a prefix of 8 bytes only; with an HMAC it follows the ciphertext (RFC 4303
    /// §2.2.1). False means the SA must stop: libcrypto failed, the IV counter is spent, or a length is not allowed.
    public func seal(
        _ packet: UnsafeMutableRawPointer, prefixLength: Int, textLength: Int, extended: UInt32?
    ) -> Bool {
        guard prefixLength >= 0, prefixLength <= PacketLimit.textLength, textLength >= 0,
            textLength <= PacketLimit.textLength
        else { return false }
        switch engine {
        case .gcm(let sealing):
            return unsafe sealing.seal(packet, prefixLength, textLength, extended)
        case .chaCha20Poly1305(let sealing):
            return unsafe sealing.seal(packet, prefixLength, textLength, extended)
        case .cbc(let sealing):
            return unsafe sealing.seal(packet, prefixLength, textLength, extended)
        }
    }
}
