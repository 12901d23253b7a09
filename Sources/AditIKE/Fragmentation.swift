// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditWire

/// One fragment of a message, authenticated and decrypted (RFC 7383 §2.5).
public struct MessageFragment: Hashable, Sendable {
    /// Which fragment: 1 to ``total``.
    public var number: UInt16
    /// How many there are.
    public var total: UInt16
    /// The type of the message's first payload; meaningful in fragment 1 only.
    public var firstPayload: PayloadType
    /// The fragment's part of the payload chain.
    public var bytes: [UInt8]

    /// A fragment.
    public init(number: UInt16, total: UInt16, firstPayload: PayloadType, bytes: [UInt8]) {
        self.number = number
        self.total = total
        self.firstPayload = firstPayload
        self.bytes = bytes
    }
}

/// Puts the fragments of one message together (RFC 7383 §2.6); an IKE SA has one value for the requests that it
/// receives and one for the responses.
///
/// Only authenticated fragments come here, so only the peer itself can fill it, and not above the limits.
public struct FragmentReassembly: Sendable {
    /// Fragments of one message at the most; 64 of 576 bytes are more than any message needs.
    public static let fragmentLimit = 64
    /// Bytes of one message at the most.
    public static let lengthLimit = IKEMessage.lengthLimit

    private var messageID: UInt32?
    private var total: UInt16 = 0
    private var parts: [UInt16: [UInt8]] = [:]
    private var firstPayload = PayloadType.none
    /// Bytes of the fragments that wait for others.
    public private(set) var length = 0

    /// What came of a fragment.
    public enum Outcome: Hashable, Sendable {
        /// More are needed.
        case waiting
        /// A duplicate, a leftover of an older split, or of too many: ignored.
        case ignored
        /// Above ``lengthLimit``, or what the caller allows: ignored.
        case tooLong
        /// The message is whole, and its state here is gone.
        case complete([Payload])
        /// The message is whole but malformed: INVALID_SYNTAX; its state here is gone.
        case malformed(WireError)
    }

    /// Nothing received yet.
    public init() {}

    /// Whether fragments wait for others.
    public var isEmpty: Bool { parts.isEmpty }

    /// Takes a fragment of the message `messageID`, the one that is expected now; another ID starts anew.
    ///
    /// `lengthLimit` is for the message as a whole, ``lengthLimit`` at the most.
    public mutating func add(
        _ fragment: MessageFragment, messageID: UInt32, lengthLimit: Int = Self.lengthLimit
    ) -> Outcome {
        guard fragment.number >= 1, fragment.number <= fragment.total, fragment.total <= Self.fragmentLimit else {
            return .ignored
        }
        if messageID != self.messageID || fragment.total > total {
            // RFC 7383 §2.6: a greater total means that the peer split the message anew, in smaller parts.
            self = FragmentReassembly()
            self.messageID = messageID
            total = fragment.total
        }
        guard fragment.total == total, parts[fragment.number] == nil else { return .ignored }
        guard length + fragment.bytes.count <= min(lengthLimit, Self.lengthLimit) else { return .tooLong }
        parts[fragment.number] = fragment.bytes
        length += fragment.bytes.count
        if fragment.number == 1 { firstPayload = fragment.firstPayload }
        guard parts.count == Int(total) else { return .waiting }
        let whole = (1...total).flatMap { parts[$0] ?? [] }
        let first = firstPayload
        self = FragmentReassembly()
        do { return .complete(try IKEMessage.parsePayloads(whole, first: first)) } catch { return .malformed(error) }
    }

    /// Forgets what was received.
    public mutating func discard() { self = FragmentReassembly() }
}
