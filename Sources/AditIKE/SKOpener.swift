// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditCrypto
public import AditWire
internal import Synchronization

/// Opens the messages that the other side of an IKE SA sends (RFC 7296 §3.14, RFC 5282, RFC 7383).
///
/// A message that fails leaves no state. Safe to share between threads.
public final class SKOpener: Sendable {
    private let opener: Mutex<PacketOpener>
    private let suite: CipherSuite

    /// `key` is the sender's ``IKESAKeys/initiatorProtection`` or ``IKESAKeys/responderProtection``.
    public init(suite: CipherSuite, key: SecretBytes) throws(CryptoError) {
        self.suite = suite
        opener = Mutex(try PacketOpener(suite: suite, key: key))
    }

    /// Checks and decrypts a whole message as it was received, without the non-ESP marker.
    public func open(_ message: [UInt8]) throws(SKError) -> OpenedMessage {
        let outer: IKEMessage
        do { outer = try IKEMessage(parsing: message) } catch { throw .malformed(error) }
        switch outer.payloads.last {
        case .encrypted(let payload):
            let text = try openText(message, sealedLength: payload.bytes.count)
            do {
                // Payloads before SK are authenticated too, as they lie in what the ICV covers.
                let inner = try IKEMessage.parsePayloads(text, first: payload.firstPayload)
                return OpenedMessage(header: outer.header, content: .payloads(outer.payloads.dropLast() + inner))
            } catch { throw .malformedContent(error) }
        case .encryptedFragment(let payload):
            let text = try openText(message, sealedLength: payload.bytes.count)
            let fragment = MessageFragment(
                number: payload.number, total: payload.total, firstPayload: payload.firstPayload, bytes: text)
            return OpenedMessage(header: outer.header, content: .fragment(fragment))
        default:
            throw .notProtected
        }
    }

    /// The text of the SK or SKF payload whose sealed part is the last `sealedLength` bytes, without its padding.
    func openText(_ message: [UInt8], sealedLength: Int) throws(SKError) -> [UInt8] {
        let textLength = sealedLength - suite.ivLength - suite.icvLength
        guard textLength >= 1, textLength % suite.blockLength == 0 else { throw .authenticationFailed }
        let prefixLength = message.count - sealedLength
        let opened = opener.withLock { opener -> [UInt8]? in
            var copy = message
            let done = unsafe copy.withUnsafeMutableBytes { buffer -> Bool in
                guard let base = buffer.baseAddress else { return false }
                // SAFETY: prefix, IV, text and ICV are exactly the buffer, which is lent for this call only.
                return unsafe opener.open(base, prefixLength: prefixLength, textLength: textLength, extended: nil)
            }
            return done ? copy : nil
        }
        guard let opened else { throw .authenticationFailed }
        let text = opened[(prefixLength + suite.ivLength)...].prefix(textLength)
        // RFC 7296 §3.14: the sender may pad as much as it likes; the last octet tells.
        let padding = Int(text.last ?? 0)
        guard padding < text.count else { throw .malformedContent(.invalid("pad length")) }
        return Array(text.dropLast(padding + 1))
    }
}

/// Why a protected message was not opened.
public enum SKError: Error, Hashable, Sendable {
    /// Not an IKE message: drop it (RFC 7296 §2.21).
    case malformed(WireError)
    /// A message without SK or SKF where one is needed: drop it.
    case notProtected
    /// The ICV does not match, or the sealed part has an impossible length: drop it.
    case authenticationFailed
    /// The peer itself sent a content that is malformed: INVALID_SYNTAX (RFC 7296 §2.21).
    case malformedContent(WireError)
}

/// A message whose ICV held.
public struct OpenedMessage: Hashable, Sendable {
    /// Its header.
    public var header: IKEHeader
    /// What was inside.
    public var content: Content

    /// A whole message or a part of one.
    public enum Content: Hashable, Sendable {
        /// All payloads.
        case payloads([Payload])
        /// One fragment, for ``FragmentReassembly``.
        case fragment(MessageFragment)
    }
}
