// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

// AES-CBC and 3DES-CBC with an HMAC on packets (RFC 3602, RFC 2451, RFC 2403, RFC 2404, RFC 4868): encrypt, then MAC
// over prefix | IV | ciphertext.
//
// The IV must not be predictable (RFC 3602 §3). It is a block that never comes again under this key, a counter,
// encrypted with the key itself (NIST SP 800-38A appendix C). CBC with a zero IV over `counter block | text` does that
// and the packet in one run: its first ciphertext block is the IV that is sent.
// libcrypto 3.0 duplicates a digest context for each HMAC, so these suites allocate twice a packet inside of it;
// starting an EVP digest over allocates as well. The AEADs allocate nothing. Threading: one owner; nothing here is
// shared.

internal import COpenSSL

/// The sealing half: owns its contexts and memory; ``free()`` is called exactly once.
@safe struct CBCSealing {
    private let state: CBCState
    /// The next packet's counter.
    private let counter: UnsafeMutablePointer<UInt64>
    private let ivSpace: UInt8

    init(
        _ cipher: CBCCipher, _ integrity: CipherSuite.Integrity, key: SecretBytes, firstIV: UInt64
    ) throws(CryptoError) {
        state = try CBCState(cipher, integrity, key: key, .seal)
        // SAFETY: freed in free().
        unsafe counter = .allocate(capacity: 1)
        unsafe counter.initialize(to: firstIV)
        ivSpace = UInt8(truncatingIfNeeded: firstIV >> 56)
    }

    func free() {
        state.free()
        // SAFETY: called once, by the owner's deinit.
        unsafe counter.deallocate()
    }

    @inline(__always)
    func seal(
        _ packet: UnsafeMutableRawPointer, _ prefixLength: Int, _ textLength: Int, _ extended: UInt32?
    ) -> Bool {
        // SAFETY: the caller lends prefix, IV, text and ICV; the rest is this value's own memory.
        let value = unsafe counter.pointee
        guard UInt8(truncatingIfNeeded: value >> 56) == ivSpace, state.isWholeBlocks(textLength) else { return false }
        // Counted before use: whatever fails below, this block does not come again.
        unsafe counter.pointee = value &+ 1
        let iv = unsafe packet + prefixLength
        // The counter fills a block of 8 bytes, and the second half of one of 16.
        unsafe iv.storeBytes(of: 0, as: UInt64.self)
        unsafe iv.storeBytes(of: value.bigEndian, toByteOffset: state.blockLength - 8, as: UInt64.self)
        let length = state.blockLength + textLength
        let bytes = unsafe iv.assumingMemoryBound(to: UInt8.self)
        guard unsafe EVP_EncryptInit_ex2(state.cipher, nil, nil, state.zeroIV, nil) == 1,
            unsafe EVP_Cipher(state.cipher, bytes, bytes, UInt32(truncatingIfNeeded: length)) == Int32(length),
            unsafe state.computeMAC(packet, prefixLength + length, extended)
        else {
            ERR_clear_error()
            return false
        }
        unsafe (iv + length).copyMemory(from: state.mac, byteCount: state.icvLength)
        return true
    }
}

/// The opening half: owns its contexts and memory; ``free()`` is called exactly once.
@safe struct CBCOpening {
    private let state: CBCState

    init(_ cipher: CBCCipher, _ integrity: CipherSuite.Integrity, key: SecretBytes) throws(CryptoError) {
        state = try CBCState(cipher, integrity, key: key, .open)
    }

    func free() { state.free() }

    @inline(__always)
    func open(
        _ packet: UnsafeMutableRawPointer, _ prefixLength: Int, _ textLength: Int, _ extended: UInt32?
    ) -> Bool {
        // SAFETY: the caller lends prefix, IV, text and ICV; the rest is this value's own memory.
        guard state.isWholeBlocks(textLength) else { return false }
        let iv = unsafe packet + prefixLength
        let text = unsafe iv + state.blockLength
        let bytes = unsafe text.assumingMemoryBound(to: UInt8.self)
        // RFC 4303 §3.4.4.1: the ICV first, then the decryption; nothing is decrypted that is not authentic.
        guard unsafe state.computeMAC(packet, prefixLength + state.blockLength + textLength, extended),
            unsafe CRYPTO_memcmp(state.mac, text + textLength, state.icvLength) == 0,
            unsafe EVP_DecryptInit_ex2(state.cipher, nil, nil, iv.assumingMemoryBound(to: UInt8.self), nil) == 1,
            unsafe EVP_Cipher(state.cipher, bytes, bytes, UInt32(truncatingIfNeeded: textLength)) == Int32(textLength)
        else {
            ERR_clear_error()
            return false
        }
        return true
    }
}

/// What both halves have: a cipher and an HMAC context with their keys, and room for a MAC.
@safe private struct CBCState {
    let cipher: OpaquePointer
    /// The HMAC at full length.
    let mac: UnsafeMutablePointer<UInt8>
    let zeroIV: UnsafeMutablePointer<UInt8>
    let icvLength: Int
    let blockLength: Int
    private let hmac: OpaquePointer
    private let high: UnsafeMutablePointer<UInt32>

    init(
        _ cipher: CBCCipher, _ integrity: CipherSuite.Integrity, key: SecretBytes, _ direction: CipherContext.Direction
    ) throws(CryptoError) {
        let encryptionKey = key.slice(0..<cipher.keyLength)
        guard cipher.accepts(encryptionKey) else { throw .malformedInput }
        // SAFETY: made here, freed in free(), or at once where the second half fails.
        let context = unsafe try CipherContext.make(cipher.algorithm, key: encryptionKey, direction)
        let integrityKey = key.slice(cipher.keyLength..<key.count)
        let keyed = unsafe integrityKey.withUnsafeBytes { unsafe HMACContext.make(integrity.hash, key: $0) }
        guard let hmac = unsafe keyed else {
            unsafe EVP_CIPHER_CTX_free(context)
            throw .unavailable("EVP_MAC_init")
        }
        unsafe self.cipher = context
        unsafe self.hmac = hmac
        icvLength = integrity.icvLength
        blockLength = cipher.blockLength
        unsafe mac = .allocate(capacity: Self.longestMAC)
        unsafe mac.initialize(repeating: 0, count: Self.longestMAC)
        unsafe zeroIV = .allocate(capacity: blockLength)
        unsafe zeroIV.initialize(repeating: 0, count: blockLength)
        unsafe high = .allocate(capacity: 1)
        unsafe high.initialize(to: 0)
    }

    func free() {
        // SAFETY: called once, by the owning half.
        unsafe EVP_CIPHER_CTX_free(cipher)
        unsafe EVP_MAC_CTX_free(hmac)
        unsafe OPENSSL_cleanse(mac, Self.longestMAC)
        unsafe mac.deallocate()
        unsafe zeroIV.deallocate()
        unsafe high.deallocate()
    }

    /// Whether a text is at least one block and nothing but blocks, whose length is a power of two.
    @inline(__always)
    func isWholeBlocks(_ textLength: Int) -> Bool { textLength > 0 && textLength & (blockLength - 1) == 0 }

    /// The HMAC of `count` bytes, and of the high sequence bits after them (RFC 4303 §2.2.1), into ``mac``.
    @inline(__always)
    func computeMAC(_ packet: UnsafeMutableRawPointer, _ count: Int, _ extended: UInt32?) -> Bool {
        // SAFETY: lent by the caller for these calls. Without a key, EVP_MAC_init starts over with the one it has.
        let bytes = unsafe packet.assumingMemoryBound(to: UInt8.self)
        guard unsafe EVP_MAC_init(hmac, nil, 0, nil) == 1, unsafe EVP_MAC_update(hmac, bytes, count) == 1 else {
            return false
        }
        if let extended {
            unsafe high.pointee = extended.bigEndian
            let added = unsafe high.withMemoryRebound(to: UInt8.self, capacity: 4) {
                unsafe EVP_MAC_update(hmac, $0, 4)
            }
            guard added == 1 else { return false }
        }
        var written = 0
        return unsafe EVP_MAC_final(hmac, mac, &written, Self.longestMAC) == 1
    }

    /// HMAC-SHA2-512's.
    private static let longestMAC = 64
}
