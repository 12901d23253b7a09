// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

// ChaCha20-Poly1305 on packets (RFC 7634). The key is set once; each packet starts the context over with its nonce, so
// nothing is left of the packet before, failed or not. The end goes through EVP_EncryptFinal_ex and
// EVP_DecryptFinal_ex, the documented place where an AEAD's tag is made and compared. libcrypto has no IV generator for
// this cipher. Threading: one owner; nothing here is shared.

internal import COpenSSL

/// The sealing half: owns its context and memory; ``free()`` is called exactly once.
@safe struct ChaCha20Poly1305Sealing {
    private let state: ChaCha20Poly1305State
    /// The next packet's IV counter.
    private let counter: UnsafeMutablePointer<UInt64>
    private let ivSpace: UInt8

    init(key: SecretBytes, firstIV: UInt64) throws(CryptoError) {
        state = try ChaCha20Poly1305State(key: key, .seal)
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
        guard UInt8(truncatingIfNeeded: value >> 56) == ivSpace,
            extended == nil || prefixLength == ExtendedAAD.prefixLength
        else { return false }
        // Counted before use: whatever fails below, this nonce does not come again.
        unsafe counter.pointee = value &+ 1
        let explicitIV = unsafe packet + prefixLength
        let text = unsafe explicitIV + 8
        unsafe explicitIV.storeBytes(of: value.bigEndian, as: UInt64.self)
        unsafe state.nonce.storeBytes(
            of: value.bigEndian, toByteOffset: CipherSuite.saltLength, as: UInt64.self)
        unsafe state.tag.pointee.data = text + textLength
        let context = unsafe state.context
        var count: Int32 = 0
        guard unsafe EVP_EncryptInit_ex2(context, nil, nil, state.nonce.assumingMemoryBound(to: UInt8.self), nil) == 1,
            unsafe state.run(packet, prefixLength, text, textLength, extended),
            unsafe EVP_EncryptFinal_ex(context, text.assumingMemoryBound(to: UInt8.self), &count) == 1,
            unsafe EVP_CIPHER_CTX_get_params(context, state.tag) == 1
        else {
            ERR_clear_error()
            return false
        }
        return true
    }
}

/// The opening half: owns its context and memory; ``free()`` is called exactly once.
@safe struct ChaCha20Poly1305Opening {
    private let state: ChaCha20Poly1305State

    init(key: SecretBytes) throws(CryptoError) {
        state = try ChaCha20Poly1305State(key: key, .open)
    }

    func free() { state.free() }

    @inline(__always)
    func open(
        _ packet: UnsafeMutableRawPointer, _ prefixLength: Int, _ textLength: Int, _ extended: UInt32?
    ) -> Bool {
        // SAFETY: the caller lends prefix, IV, text and ICV; the rest is this value's own memory.
        guard extended == nil || prefixLength == ExtendedAAD.prefixLength else { return false }
        let explicitIV = unsafe packet + prefixLength
        let text = unsafe explicitIV + 8
        unsafe state.nonce.storeBytes(
            of: explicitIV.loadUnaligned(as: UInt64.self), toByteOffset: CipherSuite.saltLength, as: UInt64.self)
        unsafe state.tag.pointee.data = text + textLength
        let context = unsafe state.context
        let nonce = unsafe state.nonce.assumingMemoryBound(to: UInt8.self)
        var count: Int32 = 0
        guard unsafe EVP_DecryptInit_ex2(context, nil, nil, nonce, state.tag) == 1,
            unsafe state.run(packet, prefixLength, text, textLength, extended),
            unsafe EVP_DecryptFinal_ex(context, text.assumingMemoryBound(to: UInt8.self), &count) == 1
        else {
            ERR_clear_error()
            return false
        }
        return true
    }
}

/// What both halves have: a context with its key, the nonce being used and the place of the tag.
@safe private struct ChaCha20Poly1305State {
    let context: OpaquePointer
    /// Salt and explicit IV.
    let nonce: UnsafeMutableRawPointer
    /// Tag, end.
    let tag: UnsafeMutablePointer<OSSL_PARAM>
    private let aad: UnsafeMutableRawPointer

    init(key: SecretBytes, _ direction: CipherContext.Direction) throws(CryptoError) {
        let keyLength = key.count - CipherSuite.saltLength
        // SAFETY: allocated here, freed in free(); the parameter points into a packet for one call.
        unsafe context = try CipherContext.make(.chaCha20Poly1305, key: key.slice(0..<keyLength), direction)
        unsafe nonce = .allocate(byteCount: nonceLength, alignment: 8)
        unsafe writeNonce(
            UnsafeMutableRawBufferPointer(start: nonce, count: nonceLength), salt: key.slice(keyLength..<key.count),
            iv: 0)
        unsafe tag = .allocate(capacity: 2)
        unsafe tag.initialize(to: adit_param_aead_tag(nil, aeadTagLength))
        unsafe (tag + 1).initialize(to: OSSL_PARAM_construct_end())
        unsafe aad = .allocate(byteCount: ExtendedAAD.length, alignment: 8)
    }

    func free() {
        // SAFETY: called once, by the owning half.
        unsafe EVP_CIPHER_CTX_free(context)
        unsafe OPENSSL_cleanse(nonce, nonceLength)
        unsafe nonce.deallocate()
        unsafe tag.deallocate()
        unsafe aad.deallocate()
    }

    /// AAD and text: the same calls in both directions.
    @inline(__always)
    func run(
        _ packet: UnsafeMutableRawPointer, _ prefixLength: Int, _ text: UnsafeMutableRawPointer, _ textLength: Int,
        _ extended: UInt32?
    ) -> Bool {
        // SAFETY: lent by the caller for these calls. EVP_Cipher gives −1 for a failure, 0 or more else.
        var authenticated = UnsafeRawPointer(packet)
        var authenticatedLength = prefixLength
        if let extended {
            unsafe ExtendedAAD.write(aad, prefix: packet, high: extended)
            unsafe authenticated = UnsafeRawPointer(aad)
            authenticatedLength = ExtendedAAD.length
        }
        let input = unsafe authenticated.assumingMemoryBound(to: UInt8.self)
        let bytes = unsafe text.assumingMemoryBound(to: UInt8.self)
        return unsafe EVP_Cipher(context, nil, input, UInt32(truncatingIfNeeded: authenticatedLength)) >= 0
            && EVP_Cipher(context, bytes, bytes, UInt32(truncatingIfNeeded: textLength)) >= 0
    }
}
