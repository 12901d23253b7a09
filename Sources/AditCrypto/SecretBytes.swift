// SPDX-License-Identifier: Apache-2.0
// Adit: AditCrypto

internal import COpenSSL

/// Key material: immutable once made, zeroed when the last reference goes, never printed.
///
/// A class, so that a secret has one place in memory however many values refer to it. Safe to share between threads.
@safe public final class SecretBytes: @unchecked Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    // SAFETY (@unchecked Sendable): written only during init, read-only afterwards.
    private let storage: UnsafeMutableRawBufferPointer

    /// A secret of `count` bytes that `initialize` fills; memory is zero before.
    public init(count: Int, initialize: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
        // SAFETY: allocated here, freed only in deinit; at least one byte so that the base address exists.
        unsafe storage = .allocate(byteCount: max(count, 1), alignment: 16)
        unsafe storage.initializeMemory(as: UInt8.self, repeating: 0)
        self.count = count
        unsafe try initialize(UnsafeMutableRawBufferPointer(rebasing: storage[0..<count]))
    }

    /// A secret with a copy of `bytes`. The caller's copy is the caller's to erase.
    public convenience init(_ bytes: some Collection<UInt8>) {
        unsafe self.init(count: bytes.count) { unsafe $0.copyBytes(from: bytes) }
    }

    /// A secret with what is in `bytes`, which are zero afterwards: for bytes from where no secret is made in place.
    /// They are erased where they lie only if nothing else refers to the array.
    public convenience init(erasing bytes: inout [UInt8]) {
        self.init(bytes)
        // SAFETY: the array's own storage, lent for the call.
        unsafe bytes.withUnsafeMutableBytes { unsafe OPENSSL_cleanse($0.baseAddress, $0.count) }
    }

    deinit {
        // SAFETY: storage is ours and live; OPENSSL_cleanse is not optimised away.
        unsafe OPENSSL_cleanse(storage.baseAddress, storage.count)
        unsafe storage.deallocate()
    }

    /// The length in bytes.
    public let count: Int

    /// Lends the bytes for the duration of `body`; the pointer must not escape.
    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        unsafe try body(UnsafeRawBufferPointer(rebasing: storage[0..<count]))
    }

    /// A secret with the bytes of `range`.
    public func slice(_ range: Range<Int>) -> SecretBytes {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "a slice lies inside its secret")
        return unsafe SecretBytes(count: range.count) { target in
            unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: storage[range]))
        }
    }

    /// Both secrets, one after the other.
    public static func + (left: SecretBytes, right: SecretBytes) -> SecretBytes {
        unsafe SecretBytes(count: left.count + right.count) { target in
            unsafe left.withUnsafeBytes { unsafe target.copyMemory(from: $0) }
            unsafe right.withUnsafeBytes {
                unsafe UnsafeMutableRawBufferPointer(rebasing: target[left.count...]).copyMemory(from: $0)
            }
        }
    }

    /// Compares in time that depends on the lengths only.
    public static func == (left: SecretBytes, right: SecretBytes) -> Bool {
        guard left.count == right.count else { return false }
        return unsafe CRYPTO_memcmp(left.storage.baseAddress, right.storage.baseAddress, left.count) == 0
    }

    /// The length, never the content.
    public var description: String { "SecretBytes(\(count) bytes)" }

    /// Nothing: reflection (`dump`, debuggers' `po`) shows no content either.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
