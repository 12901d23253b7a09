// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

internal import COpenSSL

/// An IKEv2 pseudorandom function (RFC 7296 §2.13): HMAC with one of the hash functions. MD5's is legacy.
public enum PseudoRandomFunction: Hashable, Sendable, CaseIterable {
    case hmacMD5, hmacSHA1, hmacSHA256, hmacSHA384, hmacSHA512

    /// The output length, which is the preferred key length too (RFC 7296 §2.13), in bytes.
    public var outputLength: Int { hash.outputLength }

    /// Whether libcrypto has it; one that it lacks must not be called. Configurations that keep to a standard, as
    /// FIPS 140, may refuse MD5.
    public var isAvailable: Bool { HMACContext.isAvailable(hash) }

    /// prf(key, parts joined).
    public func callAsFunction(key: SecretBytes, _ parts: [UInt8]...) -> SecretBytes {
        unsafe compute(key: key, count: outputLength) { context, target in
            var done = true
            for part in parts where done {
                unsafe part.withUnsafeBytes { done = unsafe Self.update(context, $0) }
            }
            return unsafe done && Self.finish(context, target)
        }
    }

    /// prf(key, secret), where what is hashed is secret too (g^ir in RFC 7296 §2.14 and §2.18).
    public func callAsFunction(key: SecretBytes, _ secret: SecretBytes) -> SecretBytes {
        unsafe compute(key: key, count: outputLength) { context, target in
            guard unsafe secret.withUnsafeBytes({ unsafe Self.update(context, $0) }) else { return false }
            return unsafe Self.finish(context, target)
        }
    }

    /// prf+ (RFC 7296 §2.13): `count` bytes from `key` and `seed`; at most 255 × ``outputLength``.
    public func expand(key: SecretBytes, seed: [UInt8], count: Int) -> SecretBytes {
        unsafe seed.withUnsafeBytes { unsafe expand(key: key, seed: $0, count: count) }
    }

    /// prf+ with a secret seed (key material that includes g^ir, RFC 7296 §2.17).
    public func expand(key: SecretBytes, seed: SecretBytes, count: Int) -> SecretBytes {
        unsafe seed.withUnsafeBytes { unsafe expand(key: key, seed: $0, count: count) }
    }

    /// RFC 7296 §2.13: T1 = prf (K, S | 0x01), Tn = prf (K, T(n−1) | S | n), joined and cut.
    private func expand(key: SecretBytes, seed: UnsafeRawBufferPointer, count: Int) -> SecretBytes {
        // RFC 7296 §2.13: the counter is one octet, so prf+ ends after 255 blocks.
        precondition(count >= 0 && count <= 255 * outputLength, "prf+ gives at most 255 outputs of its prf")
        let blocks = (count + outputLength - 1) / outputLength
        let whole = unsafe compute(key: key, count: blocks * outputLength) { context, target in
            for block in 0..<blocks {
                let start = block * outputLength
                var number = UInt8(truncatingIfNeeded: block + 1)
                if block > 0 {
                    let previous = unsafe UnsafeRawBufferPointer(rebasing: target[start - outputLength..<start])
                    guard unsafe EVP_MAC_init(context, nil, 0, nil) == 1, unsafe Self.update(context, previous) else {
                        return false
                    }
                }
                let output = unsafe UnsafeMutableRawBufferPointer(rebasing: target[start..<start + outputLength])
                guard unsafe Self.update(context, seed), unsafe EVP_MAC_update(context, &number, 1) == 1,
                    unsafe Self.finish(context, output)
                else { return false }
            }
            return true
        }
        return whole.count == count ? whole : whole.slice(0..<count)
    }

    /// Runs `body` with a context keyed with `key` and `count` bytes to fill.
    private func compute(
        key: SecretBytes, count: Int, _ body: (OpaquePointer, UnsafeMutableRawBufferPointer) -> Bool
    ) -> SecretBytes {
        // SAFETY: the context is ours until the defer; key, input and target are lent for the calls in here only.
        var done = false
        let result = unsafe SecretBytes(count: count) { target in
            guard let context = unsafe key.withUnsafeBytes({ unsafe HMACContext.make(hash, key: $0) }) else { return }
            defer { unsafe EVP_MAC_CTX_free(context) }
            done = unsafe body(context, target)
        }
        precondition(done, "libcrypto has HMAC with what was found available and memory for one context")
        return result
    }

    private static func update(_ context: OpaquePointer, _ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress else { return true }
        return unsafe EVP_MAC_update(context, base.assumingMemoryBound(to: UInt8.self), bytes.count) == 1
    }

    private static func finish(_ context: OpaquePointer, _ target: UnsafeMutableRawBufferPointer) -> Bool {
        var count = 0
        let base = unsafe target.baseAddress?.assumingMemoryBound(to: UInt8.self)
        return unsafe EVP_MAC_final(context, base, &count, target.count) == 1 && count == target.count
    }

    private var hash: HMACContext.Hash {
        switch self {
        case .hmacMD5: .md5
        case .hmacSHA1: .sha1
        case .hmacSHA256: .sha256
        case .hmacSHA384: .sha384
        case .hmacSHA512: .sha512
        }
    }
}
