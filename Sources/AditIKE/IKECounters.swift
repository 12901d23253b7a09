// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

/// What an endpoint received and did not act upon, by reason, since it was made.
public struct IKECounters: Sendable, Equatable {
    /// Why a message was ignored.
    public enum Reason: String, Sendable, CaseIterable {
        /// Not an IKE message, or one with a length or structure that RFC 7296 forbids.
        case malformed = "malformed"
        /// A message of another major version.
        case unsupportedVersion = "unsupported_version"
        /// No IKE SA with these SPIs.
        case unknownSPI = "unknown_spi"
        /// The integrity check failed.
        case unauthenticated = "unauthenticated"
        /// A Message ID outside the window.
        case outsideWindow = "outside_window"
        /// A response that nobody waits for, or an exchange that does not fit the state.
        case unexpected = "unexpected"
        /// A protected message that was malformed inside.
        case invalidSyntax = "invalid_syntax"
        /// A first message without the cookie that was asked for, or with a wrong one.
        case cookieRequired = "cookie_required"
        /// A first message beyond a limit.
        case limitReached = "limit_reached"
        /// A first message, or fragments of a peer that has proved nothing, above what they may be long.
        case tooLong = "too_long"
        /// A half-open IKE SA, or its fragments, given up for newer ones.
        case halfOpenDropped = "half_open_dropped"
        /// A first message from an address that no connection has.
        case noConnection = "no_connection"
        /// A retransmitted request, which was answered with the answer given before.
        case retransmission = "retransmission"
        /// An answer to an unprotected message left out because of its rate limit.
        case rateLimited = "rate_limited"
    }

    private var counts: [Reason: UInt64] = [:]

    /// All zero.
    public init() {}

    /// How often `reason` occurred.
    public subscript(reason: Reason) -> UInt64 { counts[reason] ?? 0 }

    mutating func count(_ reason: Reason) { counts[reason, default: 0] &+= 1 }
}
