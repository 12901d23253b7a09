// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditCrypto
internal import AditWire
internal import Synchronization

/// Seals the messages that one side of an IKE SA sends (RFC 7296 §3.14, RFC 5282, RFC 7383).
///
/// Each message takes a fresh IV: a retransmission repeats the bytes, it never seals again. Safe to share between
/// threads.
public final class SKSealer: Sendable {
    private let sealer: Mutex<PacketSealer>
    private let suite: CipherSuite

    /// `key` is ``IKESAKeys/initiatorProtection`` or ``IKESAKeys/responderProtection``; one sealer per key, ever.
    public init(suite: CipherSuite, key: SecretBytes) throws(CryptoError) {
        self.suite = suite
        sealer = Mutex(try PacketSealer(suite: suite, key: key, ivSpace: 0))
    }

    /// One message with `payloads` in an SK payload; nil when they do not fit one (``fits(_:)``) or libcrypto failed,
    /// and the IKE SA must be closed.
    public func seal(_ header: IKEHeader, _ payloads: [Payload]) -> [UInt8]? {
        guard let text = Self.text(payloads) else { return nil }
        return seal(header, .encrypted, fields: [], first: payloads.first?.type ?? .none, text: text[...])
    }

    /// The message, in fragments when it is longer than `fragmentLength` bytes (RFC 7383 §2.5); nil as above.
    ///
    /// `fragmentLength` is the longest IKE message that fits the path, without IP, UDP and the non-ESP marker; less
    /// than ``fragmentLengthMinimum`` counts as that.
    public func seal(_ header: IKEHeader, _ payloads: [Payload], fragmentLength: Int) -> [[UInt8]]? {
        guard let text = Self.text(payloads) else { return nil }
        let first = payloads.first?.type ?? .none
        let limit = max(fragmentLength, Self.fragmentLengthMinimum)
        if sealedLength(text.count, fields: 0) <= limit {
            return seal(header, .encrypted, fields: [], first: first, text: text[...]).map { [$0] }
        }
        // What a fragment can carry: whole blocks, less the pad length octet.
        let room = limit - sealedLength(0, fields: 4) + paddedLength(0)
        let share = room / suite.blockLength * suite.blockLength - 1
        let total = (text.count + share - 1) / share
        var messages: [[UInt8]] = []
        for number in 1...total {
            let part = text[(number - 1) * share..<min(number * share, text.count)]
            var fields = ByteWriter()
            fields.write(UInt16(number))
            fields.write(UInt16(total))
            // RFC 7383 §2.5: only the first fragment names the first payload.
            let sealed = seal(
                header, .encryptedFragment, fields: fields.bytes, first: number == 1 ? first : .none, text: part)
            guard let sealed else { return nil }
            messages.append(sealed)
        }
        return messages
    }

    /// The shortest fragment in bytes that is ever made; RFC 7383 §2.5.1 has 576 octets for IPv4, headers included.
    public static let fragmentLengthMinimum = 256

    /// Whether `payloads` fit one message: certificates and selectors are as long as an operator makes them.
    public static func fits(_ payloads: [Payload]) -> Bool { text(payloads) != nil }

    private static func text(_ payloads: [Payload]) -> [UInt8]? {
        var writer = ByteWriter(reservingCapacity: 512)
        guard IKEMessage.serialize(payloads, into: &writer), writer.count <= IKEMessage.lengthLimit - overheadLimit
        else { return nil }
        return writer.bytes
    }

    /// Text, the shortest padding and the pad length octet: a multiple of the block (RFC 7296 §3.14).
    private func paddedLength(_ count: Int) -> Int {
        let block = suite.blockLength
        return (count + 1 + block - 1) / block * block
    }

    private func sealedLength(_ count: Int, fields: Int) -> Int {
        IKEHeader.length + IKEMessage.genericHeaderLength + fields + suite.ivLength + paddedLength(count)
            + suite.icvLength
    }

    private func seal(
        _ header: IKEHeader, _ type: PayloadType, fields: [UInt8], first: PayloadType, text: ArraySlice<UInt8>
    ) -> [UInt8]? {
        let textLength = paddedLength(text.count)
        let length = sealedLength(text.count, fields: fields.count)
        var header = header
        header.nextPayload = type
        header.length = UInt32(length)
        var writer = ByteWriter(reservingCapacity: length)
        header.serialize(into: &writer)
        writer.write(first.rawValue)
        writer.write(UInt8(0))
        writer.write(UInt16(length - IKEHeader.length))
        writer.write(contentsOf: fields)
        let prefixLength = writer.count
        writer.write(contentsOf: repeatElement(0, count: suite.ivLength))
        writer.write(contentsOf: text)
        let padding = textLength - text.count - 1
        writer.write(contentsOf: repeatElement(0, count: padding))
        writer.write(UInt8(padding))
        writer.write(contentsOf: repeatElement(0, count: suite.icvLength))
        let plain = writer.bytes
        return sealer.withLock { sealer in
            var message = plain
            let sealed = unsafe message.withUnsafeMutableBytes { buffer -> Bool in
                guard let base = buffer.baseAddress else { return false }
                // SAFETY: the buffer has prefix, IV, text and ICV, `length` bytes, and is lent for this call only.
                return unsafe sealer.seal(base, prefixLength: prefixLength, textLength: textLength, extended: nil)
            }
            return sealed ? message : nil
        }
    }

    /// More than any header, padding and ICV add to the text.
    private static let overheadLimit = 256
}
