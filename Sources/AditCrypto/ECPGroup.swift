// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

internal import COpenSSL

/// One of NIST's curves over a prime field, as a Diffie-Hellman group (RFC 5903), made once and shared.
///
/// Points are multiplied with `EC_POINT_mul` directly: it is what `EVP_PKEY_derive` ends in, and it saves the import of
/// two keys by name and a second multiplication that checks the order of a point, which a cofactor of 1 makes needless.
/// With one secret scalar it runs in constant time.
@safe final class ECPGroup: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): written in init and only read afterwards.
    private let curve: OpaquePointer
    private let orderMinusOne: OpaquePointer

    /// Bytes of a coordinate and of the shared secret.
    let fieldLength: Int
    /// Bytes of a private scalar.
    let scalarLength: Int
    /// Bytes of entropy for a private scalar.
    let entropyLength: Int

    static let bits256 = ECPGroup(NID_X9_62_prime256v1)
    static let bits384 = ECPGroup(NID_secp384r1)
    static let bits521 = ECPGroup(NID_secp521r1)

    private init(_ identifier: Int32) {
        // SAFETY: the group lives as long as the process and owns both objects.
        guard let curve = unsafe EC_GROUP_new_by_curve_name(identifier),
            let orderMinusOne = unsafe BN_dup(EC_GROUP_get0_order(curve)), unsafe BN_sub_word(orderMinusOne, 1) == 1
        else { preconditionFailure("libcrypto has the NIST curves and memory for a group's constants") }
        unsafe self.curve = curve
        unsafe self.orderMinusOne = orderMinusOne
        fieldLength = unsafe (Int(EC_GROUP_get_degree(curve)) + 7) / 8
        scalarLength = unsafe Int(BN_num_bits(orderMinusOne) + 7) / 8
        entropyLength = scalarLength + Self.extraLength
    }

    /// A scalar from 1 to n−1 (FIPS 186-5 A.2.1: 64 bits more than the order has make the bias negligible).
    func scalar(entropy: SecretBytes) throws(CryptoError) -> SecretBytes {
        // SAFETY: what is made here is cleared and freed here.
        let scratch = unsafe BN_CTX_new()
        let scalar = unsafe BN_new()
        let wide = unsafe entropy.withUnsafeBytes { bytes in
            unsafe BN_bin2bn(bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(bytes.count), nil)
        }
        defer {
            unsafe BN_clear_free(wide)
            unsafe BN_clear_free(scalar)
            unsafe BN_CTX_free(scratch)
        }
        guard unsafe wide != nil, unsafe scalar != nil, unsafe scratch != nil else { throw .unavailable("BN_new") }
        unsafe BN_set_flags(wide, BN_FLG_CONSTTIME)
        guard unsafe BN_div(nil, scalar, wide, orderMinusOne, scratch) == 1, unsafe BN_add_word(scalar, 1) == 1 else {
            ERR_clear_error()
            throw .unavailable("BN_div")
        }
        return unsafe Self.bytes(of: scalar, count: scalarLength)
    }

    /// x and y of scalar × G (RFC 5903 §7).
    func publicValue(scalar: SecretBytes) throws(CryptoError) -> [UInt8] {
        let product = try unsafe multiply(nil, scalar)
        // SAFETY: the point is ours; the buffer has the encoding's length: form octet, x, y (SEC 1 §2.3.3).
        defer { unsafe EC_POINT_clear_free(product) }
        var encoded = [UInt8](repeating: 0, count: 1 + 2 * fieldLength)
        let written = unsafe EC_POINT_point2oct(
            curve, product, POINT_CONVERSION_UNCOMPRESSED, &encoded, encoded.count, nil)
        guard written == encoded.count else {
            ERR_clear_error()
            throw .unavailable("EC_POINT_point2oct")
        }
        return [UInt8](encoded.dropFirst())
    }

    /// x of scalar × peer (RFC 5903 §7).
    func sharedSecret(scalar: SecretBytes, peer: [UInt8]) throws(CryptoError) -> SecretBytes {
        guard let point = unsafe EC_POINT_new(curve) else { throw .unavailable("EC_POINT_new") }
        // SAFETY: points and numbers made here are freed here.
        defer { unsafe EC_POINT_free(point) }
        // RFC 6989 §2.3: both coordinates below the prime, and on the curve: libcrypto refuses anything else here.
        let encoded = [Self.uncompressed] + peer
        guard unsafe EC_POINT_oct2point(curve, point, encoded, encoded.count, nil) == 1 else {
            ERR_clear_error()
            throw .invalidPublicValue
        }
        let product = try unsafe multiply(point, scalar)
        let x = unsafe BN_new()
        defer {
            unsafe EC_POINT_clear_free(product)
            unsafe BN_clear_free(x)
        }
        // It fails for the point at infinity alone, which no scalar below a prime order can give.
        guard unsafe EC_POINT_get_affine_coordinates(curve, product, x, nil, nil) == 1 else {
            ERR_clear_error()
            throw .invalidPublicValue
        }
        return unsafe Self.bytes(of: x, count: fieldLength)
    }

    /// scalar × point, or scalar × G without one; the caller frees it.
    private func multiply(_ point: OpaquePointer?, _ scalar: SecretBytes) throws(CryptoError) -> OpaquePointer {
        // SAFETY: the number is cleared here; the point goes to the caller or is freed.
        let number = unsafe scalar.withUnsafeBytes { bytes in
            unsafe BN_bin2bn(bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(bytes.count), nil)
        }
        defer { unsafe BN_clear_free(number) }
        guard unsafe number != nil, let product = unsafe EC_POINT_new(curve) else { throw .unavailable("EC_POINT_new") }
        unsafe BN_set_flags(number, BN_FLG_CONSTTIME)
        let done =
            if let point = unsafe point {
                unsafe EC_POINT_mul(curve, product, nil, point, number, nil)
            } else {
                unsafe EC_POINT_mul(curve, product, number, nil, nil, nil)
            }
        guard done == 1 else {
            unsafe EC_POINT_clear_free(product)
            ERR_clear_error()
            throw .unavailable("EC_POINT_mul")
        }
        return unsafe product
    }

    private static func bytes(of number: OpaquePointer?, count: Int) -> SecretBytes {
        unsafe SecretBytes(count: count) { target in
            let written = unsafe BN_bn2binpad(
                number, target.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(count))
            precondition(written == Int32(count), "a coordinate or scalar fits in its group's length")
        }
    }

    /// FIPS 186-5 A.2.1: 64 bits of entropy more than the order has.
    private static let extraLength = 8
    /// SEC 1 §2.3.3: the octet before an uncompressed point's x and y; IKE leaves it out (RFC 5903 §7).
    private static let uncompressed: UInt8 = 4
}
