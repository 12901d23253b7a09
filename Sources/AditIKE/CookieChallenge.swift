// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditCrypto
public import AditWire

/// Cookies that show, without state for each of them, that an initiator receives at its address (RFC 7296 §2.6).
///
/// A cookie is the number of a secret and a keyed hash of Ni, IPi and SPIi. The secret changes every
/// ``rotationInterval``; the one before is still honoured.
public struct CookieChallenge: Sendable {
    /// How long a secret makes new cookies; a cookie is honoured for at least this long and at most twice as long.
    public static let rotationInterval: Duration = .seconds(60)
    /// Longer cookies than this are refused (RFC 7296 §2.6: 1 to 64 octets).
    public static let lengthLimit = 64

    private let entropy: EntropySource
    private var current: Secret
    private var previous: Secret?
    private var rotated: Timestamp

    private struct Secret: Sendable {
        let version: UInt32
        let key: SecretBytes
    }

    /// A challenge with a fresh secret.
    public init(entropy: EntropySource, now: Timestamp) {
        self.entropy = entropy
        current = Secret(version: entropy.integer32(), key: entropy.secret(Self.secretLength))
        rotated = now
    }

    /// The cookie to demand from whoever sent `nonce` and `initiatorSPI` from `address`.
    public mutating func cookie(
        nonce: [UInt8], address: IPAddress, initiatorSPI: IKESPI, now: Timestamp
    ) -> [UInt8] {
        rotateIfDue(now)
        return Self.cookie(current, nonce, address, initiatorSPI)
    }

    /// Whether `cookie` is one that we demanded for just these values, lately.
    public mutating func accepts(
        _ cookie: [UInt8], nonce: [UInt8], address: IPAddress, initiatorSPI: IKESPI, now: Timestamp
    ) -> Bool {
        rotateIfDue(now)
        guard (1...Self.lengthLimit).contains(cookie.count) else { return false }
        let received = SecretBytes(cookie)
        return [current, previous].compactMap { $0 }.contains { secret in
            SecretBytes(Self.cookie(secret, nonce, address, initiatorSPI)) == received
        }
    }

    private mutating func rotateIfDue(_ now: Timestamp) {
        let age = now - rotated
        guard age >= Self.rotationInterval else { return }
        previous = age >= Self.rotationInterval * 2 ? nil : current
        current = Secret(version: current.version &+ 1, key: entropy.secret(Self.secretLength))
        rotated = now
    }

    private static func cookie(
        _ secret: Secret, _ nonce: [UInt8], _ address: IPAddress, _ initiatorSPI: IKESPI
    ) -> [UInt8] {
        // RFC 7296 §2.6: <VersionIDofSecret> | Hash(Ni | IPi | SPIi | <secret>); the hash is keyed with the secret.
        let mac = PseudoRandomFunction.hmacSHA256(key: secret.key, nonce, address.bytes, initiatorSPI.bytes)
        var writer = ByteWriter(reservingCapacity: 36)
        writer.write(secret.version)
        unsafe mac.withUnsafeBytes { unsafe writer.write(contentsOf: $0) }
        return writer.bytes
    }

    private static let secretLength = 32
}
