// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

// AES-GCM on packets (RFC 4106), by the cheapest calls that libcrypto 3 has for it. The key is set once. Per packet:
//
// seal 1. the IV that the context generated last goes into the packet (it is already set inside);
//      2. EVP_Cipher for the AAD, for the text, and to finish;
//      3. one get_params with two parameters: the tag into the packet, and the next IV, which is set inside as well.
// open 1. one set_params with two parameters: the tag to expect and the IV, which starts the context over whatever
//         state the packet before has left it in;
//      2. EVP_Cipher for the AAD, for the text, and to finish, which compares the tag.
//
// The IV parameters are the ones that TLS 1.2 uses: salt fixed, eight octets explicit, counting up.
// Threading: one owner; nothing here is shared.

internal import COpenSSL

/// The sealing half: owns its context and memory; ``free()`` is called exactly once.
@safe struct GCMSealing {
    private let context: OpaquePointer
    /// Tag, next IV, end.
    private let parameters: UnsafeMutablePointer<OSSL_PARAM>
    /// The next packet's IV as it goes on the wire.
    private let nextIV: UnsafeMutablePointer<UInt64>
    private let aad: UnsafeMutableRawPointer
    private let ivSpace: UInt8

    init(_ length: CipherSuite.AESKeyLength, key: SecretBytes, firstIV: UInt64) throws(CryptoError) {
        // SAFETY: allocated here, freed in free(); the parameters point to nextIV and, for one call, into a packet.
        unsafe context = try gcmContext(length, key: key, .seal, firstIV: firstIV)
        unsafe parameters = .allocate(capacity: 3)
        unsafe nextIV = .allocate(capacity: 1)
        unsafe aad = .allocate(byteCount: ExtendedAAD.length, alignment: 8)
        ivSpace = UInt8(truncatingIfNeeded: firstIV >> 56)
        unsafe nextIV.initialize(to: 0)
        unsafe parameters.initialize(to: adit_param_aead_tag(nil, aeadTagLength))
        unsafe (parameters + 1).initialize(to: adit_param_next_iv(nextIV, 8))
        unsafe (parameters + 2).initialize(to: OSSL_PARAM_construct_end())
        // Makes the context use the first IV and tell it.
        guard unsafe EVP_CIPHER_CTX_get_params(context, parameters + 1) == 1, unsafe nextIV.pointee == firstIV.bigEndian
        else {
            ERR_clear_error()
            free()
            throw .unavailable("EVP_CIPHER_CTX_get_params")
        }
    }

    func free() {
        // SAFETY: called once, by the owner's deinit or a failing init.
        unsafe EVP_CIPHER_CTX_free(context)
        unsafe parameters.deallocate()
        unsafe nextIV.deallocate()
        unsafe aad.deallocate()
    }

    @inline(__always)
    func seal(
        _ packet: UnsafeMutableRawPointer, _ prefixLength: Int, _ textLength: Int, _ extended: UInt32?
    ) -> Bool {
        // SAFETY: the caller lends prefix, IV, text and ICV; the rest is this value's own memory.
        let iv = unsafe nextIV.pointee
        // The counter has run into the next space: the one IV of it that was made ready is never sent.
        guard UInt8(truncatingIfNeeded: UInt64(bigEndian: iv) >> 56) == ivSpace else { return false }
        var authenticated = UnsafeRawPointer(packet)
        var authenticatedLength = prefixLength
        if let extended {
            guard prefixLength == ExtendedAAD.prefixLength else { return false }
            unsafe ExtendedAAD.write(aad, prefix: packet, high: extended)
            unsafe authenticated = UnsafeRawPointer(aad)
            authenticatedLength = ExtendedAAD.length
        }
        let explicitIV = unsafe packet + prefixLength
        let text = unsafe explicitIV + 8
        unsafe explicitIV.storeBytes(of: iv, as: UInt64.self)
        unsafe parameters.pointee.data = text + textLength
        guard unsafe gcmRun(context, authenticated, authenticatedLength, text, textLength),
            unsafe EVP_CIPHER_CTX_get_params(context, parameters) == 1
        else {
            // The nonce is partly used and the context's state unknown: nothing is sealed with this key again.
            unsafe nextIV.pointee = (UInt64(ivSpace &+ 1) << 56).bigEndian
            ERR_clear_error()
            return false
        }
        return true
    }
}

/// The opening half: owns its context and memory; ``free()`` is called exactly once.
@safe struct GCMOpening {
    private let context: OpaquePointer
    /// Tag, IV, end.
    private let parameters: UnsafeMutablePointer<OSSL_PARAM>
    private let aad: UnsafeMutableRawPointer

    init(_ length: CipherSuite.AESKeyLength, key: SecretBytes) throws(CryptoError) {
        // SAFETY: allocated here, freed in free(); the parameters point into a packet for one call.
        unsafe context = try gcmContext(length, key: key, .open, firstIV: 0)
        unsafe parameters = .allocate(capacity: 3)
        unsafe aad = .allocate(byteCount: ExtendedAAD.length, alignment: 8)
        unsafe parameters.initialize(to: adit_param_aead_tag(nil, aeadTagLength))
        unsafe (parameters + 1).initialize(to: adit_param_received_iv(nil, 8))
        unsafe (parameters + 2).initialize(to: OSSL_PARAM_construct_end())
    }

    func free() {
        // SAFETY: called once, by the owner's deinit.
        unsafe EVP_CIPHER_CTX_free(context)
        unsafe parameters.deallocate()
        unsafe aad.deallocate()
    }

    @inline(__always)
    func open(
        _ packet: UnsafeMutableRawPointer, _ prefixLength: Int, _ textLength: Int, _ extended: UInt32?
    ) -> Bool {
        // SAFETY: the caller lends prefix, IV, text and ICV; the rest is this value's own memory.
        var authenticated = UnsafeRawPointer(packet)
        var authenticatedLength = prefixLength
        if let extended {
            guard prefixLength == ExtendedAAD.prefixLength else { return false }
            unsafe ExtendedAAD.write(aad, prefix: packet, high: extended)
            unsafe authenticated = UnsafeRawPointer(aad)
            authenticatedLength = ExtendedAAD.length
        }
        let explicitIV = unsafe packet + prefixLength
        let text = unsafe explicitIV + 8
        unsafe parameters.pointee.data = text + textLength
        unsafe parameters[1].data = explicitIV
        guard unsafe EVP_CIPHER_CTX_set_params(context, parameters) == 1,
            unsafe gcmRun(context, authenticated, authenticatedLength, text, textLength)
        else {
            ERR_clear_error()
            return false
        }
        return true
    }
}

/// AAD, text, end: the same calls in both directions.
@inline(__always)
private func gcmRun(
    _ context: OpaquePointer, _ authenticated: UnsafeRawPointer, _ authenticatedLength: Int,
    _ text: UnsafeMutableRawPointer, _ textLength: Int
) -> Bool {
    // SAFETY: lent by the caller for these calls. EVP_Cipher gives −1 for a failure, for this cipher 0 or more else.
    let input = unsafe authenticated.assumingMemoryBound(to: UInt8.self)
    let bytes = unsafe text.assumingMemoryBound(to: UInt8.self)
    return unsafe EVP_Cipher(context, nil, input, UInt32(truncatingIfNeeded: authenticatedLength)) >= 0
        && EVP_Cipher(context, bytes, bytes, UInt32(truncatingIfNeeded: textLength)) >= 0
        && EVP_Cipher(context, nil, nil, 0) >= 0
}

/// A context with key and salt whose IV generator stands at `firstIV`.
private func gcmContext(
    _ length: CipherSuite.AESKeyLength, key: SecretBytes, _ direction: CipherContext.Direction, firstIV: UInt64
) throws(CryptoError) -> OpaquePointer {
    let cipher: FetchedAlgorithm =
        switch length {
        case .bits128: .aes128GCM
        case .bits192: .aes192GCM
        case .bits256: .aes256GCM
        }
    let keyLength = length.rawValue / 8
    let context = unsafe try CipherContext.make(cipher, key: key.slice(0..<keyLength), direction)
    let salt = key.slice(keyLength..<keyLength + CipherSuite.saltLength)
    // SAFETY: libcrypto copies the twelve bytes: salt and first IV. The argument −1 says that they are the whole nonce.
    let iv = unsafe SecretBytes(count: nonceLength) { unsafe writeNonce($0, salt: salt, iv: firstIV) }
    let fixed = unsafe iv.withUnsafeBytes {
        unsafe EVP_CIPHER_CTX_ctrl(
            context, EVP_CTRL_AEAD_SET_IV_FIXED, -1, UnsafeMutableRawPointer(mutating: $0.baseAddress))
    }
    guard fixed == 1 else {
        unsafe EVP_CIPHER_CTX_free(context)
        ERR_clear_error()
        throw .unavailable("EVP_CTRL_AEAD_SET_IV_FIXED")
    }
    return unsafe context
}
