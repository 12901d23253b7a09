// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

/// Opens packets of one SA direction on one thread. See ``PacketSealer`` for the layout. Not thread-safe: one owner.
@safe public final class PacketOpener {
    /// The suite.
    public let suite: CipherSuite

    private enum Engine {
        case gcm(GCMOpening)
        case chaCha20Poly1305(ChaCha20Poly1305Opening)
        case cbc(CBCOpening)
    }

    // SAFETY: the engine's memory is made in init, used by this object's owner alone and freed in deinit.
    private let engine: Engine

    /// `key` is the encryption key (salt included), then the integrity key.
    public init(suite: CipherSuite, key: SecretBytes) throws(CryptoError) {
        guard key.count == suite.keyLength else { throw .malformedInput }
        self.suite = suite
        switch suite {
        case .aesGCM16(let length): engine = .gcm(try GCMOpening(length, key: key))
        case .chaCha20Poly1305: engine = .chaCha20Poly1305(try ChaCha20Poly1305Opening(key: key))
        case .aesCBC(let length, let integrity): engine = .cbc(try CBCOpening(.aes(length), integrity, key: key))
        case .tripleDESCBC(let integrity): engine = .cbc(try CBCOpening(.tripleDES, integrity, key: key))
        }
    }

    deinit {
        switch engine {
        case .gcm(let opening): opening.free()
        case .chaCha20Poly1305(let opening): opening.free()
        case .cbc(let opening): opening.free()
        }
    }

    /// Checks the ICV and decrypts in place; false leaves the text undefined and the opener usable for the next packet.
    ///
    /// The caller has checked that the packet holds prefix, IV, text and ICV. False as well for a text that is not a
    /// positive multiple of the block of CBC, and with an AEAD for `extended` with a prefix that is not 8 bytes.
    public func open(
        _ packet: UnsafeMutableRawPointer, prefixLength: Int, textLength: Int, extended: UInt32?
    ) -> Bool {
        guard prefixLength >= 0, prefixLength <= PacketLimit.textLength, textLength >= 0,
            textLength <= PacketLimit.textLength
        else { return false }
        switch engine {
        case .gcm(let opening):
            return unsafe opening.open(packet, prefixLength, textLength, extended)
        case .chaCha20Poly1305(let opening):
            return unsafe opening.open(packet, prefixLength, textLength, extended)
        case .cbc(let opening):
            return unsafe opening.open(packet, prefixLength, textLength, extended)
        }
    }
}
