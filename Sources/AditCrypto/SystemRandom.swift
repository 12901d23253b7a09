// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

internal import COpenSSL

/// Random bytes from libcrypto's generator, which the operating system's seeds.
public enum SystemRandom {
    /// `count` bytes. A generator that fails ends the process: nothing secret can be made without it.
    public static func bytes(_ count: Int) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            // SAFETY: libcrypto writes exactly `count` bytes into the buffer of that capacity.
            let outcome = unsafe RAND_priv_bytes(buffer.baseAddress, CInt(clamping: count))
            precondition(count == 0 || outcome == 1, "the random generator works")
            initialized = count
        }
    }
}
