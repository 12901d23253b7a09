// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

internal import COpenSSL

/// A group of integers modulo a safe prime with the generator 2 (RFC 2409 §6.2, RFC 3526), made once and shared.
///
/// Exponents are shorter than the prime: a discrete logarithm of n bits takes 2^(n/2) steps to find in these groups, so
/// the larger exponent sizes of RFC 3526 §8, rounded up, lose no strength and cost a fraction of full-length ones.
@safe final class MODPGroup: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): all three are written in init and only read afterwards.
    private let prime: OpaquePointer
    private let primeMinusOne: OpaquePointer
    private let montgomery: OpaquePointer

    /// Bytes of the prime, so of public values and shared secrets.
    let primeLength: Int
    /// Bytes of a private exponent.
    let privateLength: Int

    static let bits1024 = unsafe MODPGroup(BN_get_rfc2409_prime_1024(nil), privateLength: 32)
    static let bits1536 = unsafe MODPGroup(BN_get_rfc3526_prime_1536(nil), privateLength: 32)
    static let bits2048 = unsafe MODPGroup(BN_get_rfc3526_prime_2048(nil), privateLength: 40)
    static let bits3072 = unsafe MODPGroup(BN_get_rfc3526_prime_3072(nil), privateLength: 56)
    static let bits4096 = unsafe MODPGroup(BN_get_rfc3526_prime_4096(nil), privateLength: 64)

    private init(_ prime: OpaquePointer?, privateLength: Int) {
        // SAFETY: the group lives as long as the process and owns the three objects.
        let scratch = unsafe BN_CTX_new()
        defer { unsafe BN_CTX_free(scratch) }
        guard let prime = unsafe prime, let minusOne = unsafe BN_dup(prime), let montgomery = unsafe BN_MONT_CTX_new(),
            unsafe BN_sub_word(minusOne, 1) == 1, unsafe BN_MONT_CTX_set(montgomery, prime, scratch) == 1
        else { preconditionFailure("libcrypto has memory for a group's constants") }
        unsafe self.prime = prime
        unsafe primeMinusOne = minusOne
        unsafe self.montgomery = montgomery
        primeLength = unsafe Int(BN_num_bits(prime) + 7) / 8
        self.privateLength = privateLength
    }

    /// 2^exponent mod p, padded to the prime's length.
    func publicValue(exponent: SecretBytes) throws(CryptoError) -> [UInt8] {
        // SAFETY: numbers made here are freed here.
        let generator = unsafe BN_new()
        defer { unsafe BN_free(generator) }
        guard unsafe BN_set_word(generator, 2) == 1 else { throw .unavailable("BN_set_word") }
        let power = try unsafe power(generator, exponent)
        return unsafe power.withUnsafeBytes { unsafe [UInt8]($0) }
    }

    /// peer^exponent mod p, padded to the prime's length (RFC 7296 §2.14).
    func sharedSecret(exponent: SecretBytes, peer: [UInt8]) throws(CryptoError) -> SecretBytes {
        let value = unsafe BN_bin2bn(peer, Int32(peer.count), nil)
        defer { unsafe BN_free(value) }
        guard unsafe value != nil else { throw .unavailable("BN_bin2bn") }
        // RFC 6989 §2.1: 1 < r < p−1; more is not needed, as (p−1)/2 is prime.
        guard unsafe BN_is_zero(value) == 0, unsafe BN_is_one(value) == 0, unsafe BN_cmp(value, primeMinusOne) < 0
        else {
            throw .invalidPublicValue
        }
        return try unsafe power(value, exponent)
    }

    private func power(_ base: OpaquePointer?, _ exponent: SecretBytes) throws(CryptoError) -> SecretBytes {
        // SAFETY: what is made here is cleared and freed here; the group's constants are only read.
        let scratch = unsafe BN_CTX_new()
        let result = unsafe BN_new()
        let secret = unsafe exponent.withUnsafeBytes { bytes in
            unsafe BN_bin2bn(bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(bytes.count), nil)
        }
        defer {
            unsafe BN_clear_free(secret)
            unsafe BN_clear_free(result)
            unsafe BN_CTX_free(scratch)
        }
        guard unsafe secret != nil else { throw .unavailable("BN_bin2bn") }
        // The top bit is set so that no exponent is 0 and the time tells nothing about leading zeros.
        guard unsafe BN_set_bit(secret, Int32(privateLength * 8 - 1)) == 1,
            unsafe BN_mod_exp_mont_consttime(result, base, secret, prime, scratch, montgomery) == 1
        else {
            ERR_clear_error()
            throw .unavailable("BN_mod_exp_mont_consttime")
        }
        return unsafe SecretBytes(count: primeLength) { target in
            let written = unsafe BN_bn2binpad(
                result, target.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(target.count))
            precondition(written == Int32(target.count), "a number modulo p fits in the length of p")
        }
    }
}
