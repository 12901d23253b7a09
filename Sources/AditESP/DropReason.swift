// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

/// Why a packet was lost. Raw values index ``DropCounters``; names are stable words for status and metrics.
public enum DropReason: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    /// Neither IKE, ESP nor keepalive, or an inner packet whose header lies.
    case malformed
    /// Shorter than its own header, IV and ICV.
    case truncated
    /// No SA has this SPI (RFC 4303 §3.4.2).
    case unknownSPI
    /// The sequence number was received before (RFC 4303 §3.4.3).
    case replayed
    /// The sequence number lies left of the replay window, or before the first.
    case tooOld
    /// The ICV does not match (RFC 4303 §3.4.4).
    case badICV
    /// Padding or its length is not what RFC 4303 §2.4 and §2.5 want.
    case badPadding
    /// The next header is neither IPv4, IPv6 nor dummy.
    case badNextHeader
    /// The inner packet is not one that the SA's selectors allow (RFC 4301 §5.2).
    case selectorMismatch
    /// The outer header says congestion, the inner transport cannot hear it (RFC 6040 §4.2).
    case congestion
    /// A dummy packet (RFC 4303 §2.6): counted apart, nothing is wrong.
    case dummy
    /// No policy covers the packet (RFC 4301 §5.1).
    case noPolicy
    /// A policy covers the packet, but there is no SA yet.
    case noSA
    /// The SA's sequence numbers or hard lifetime are spent (RFC 4303 §3.3.3).
    case sequenceExhausted
    /// libcrypto refused to seal.
    case sealFailed
    /// Larger than the path takes, and not to be fragmented.
    case tooBig
    /// A bounded queue or mailbox is full.
    case queueFull
    /// The kernel did not take a datagram.
    case sendFailed
    /// The device did not take a packet.
    case deviceFull
    /// A super-packet's offload header lies.
    case badOffload
    /// An ESP packet reached a worker that does not own its SA and could not be handed over.
    case wrongWorker

    /// The stable name.
    public var description: String {
        switch self {
        case .malformed: "malformed"
        case .truncated: "truncated"
        case .unknownSPI: "unknown_spi"
        case .replayed: "replayed"
        case .tooOld: "too_old"
        case .badICV: "bad_icv"
        case .badPadding: "bad_padding"
        case .badNextHeader: "bad_next_header"
        case .selectorMismatch: "selector_mismatch"
        case .congestion: "congestion"
        case .dummy: "dummy"
        case .noPolicy: "no_policy"
        case .noSA: "no_sa"
        case .sequenceExhausted: "sequence_exhausted"
        case .sealFailed: "seal_failed"
        case .tooBig: "too_big"
        case .queueFull: "queue_full"
        case .sendFailed: "send_failed"
        case .deviceFull: "device_full"
        case .badOffload: "bad_offload"
        case .wrongWorker: "wrong_worker"
        }
    }
}
