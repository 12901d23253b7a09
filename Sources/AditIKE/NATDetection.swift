// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditCrypto
public import AditWire

/// Which side is behind a NAT, told by hashes of addresses and ports (RFC 7296 §2.23).
public struct NATDetection: Hashable, Sendable {
    /// Whether the peer sent hashes at all; without them it knows nothing of NAT traversal.
    public var supported: Bool
    /// Whether a NAT rewrites what we send: the peer was told to see us elsewhere than where we are.
    public var localBehindNAT: Bool
    /// Whether a NAT rewrites what the peer sends, or the peer pretends so to have ESP in UDP.
    public var remoteBehindNAT: Bool

    /// Whether the peer pretends, in a way that can be told: the hash is of port 0, which no datagram comes from. One
    /// of random bytes (strongSwan) looks like a NAT.
    public var remotePretends: Bool

    /// Judges the notifications of an IKE_SA_INIT message that arrived from `remote` at `local`.
    public init(header: IKEHeader, payloads: [Payload], local: Endpoint, remote: Endpoint) {
        let hash = { (endpoint: Endpoint) in
            Self.hash(initiatorSPI: header.initiatorSPI, responderSPI: header.responderSPI, endpoint: endpoint)
        }
        let sources = Self.data(of: .natDetectionSourceIP, in: payloads)
        let destinations = Self.data(of: .natDetectionDestinationIP, in: payloads)
        supported = !sources.isEmpty && !destinations.isEmpty
        // RFC 7296 §2.23: several sources may be listed; one that matches is enough.
        remoteBehindNAT = supported && !sources.contains(hash(remote))
        let fakes = [Self.nowhere(remote.address.family), Endpoint(remote.address, port: 0)]
        remotePretends = remoteBehindNAT && fakes.contains { sources.contains(hash($0)) }
        localBehindNAT = supported && !destinations.contains(hash(local))
    }

    /// The two notifications for a message from `local` to `remote`.
    ///
    /// With `pretendNAT` the source hash matches no address, so that the peer puts ESP in UDP.
    public static func payloads(
        initiatorSPI: IKESPI, responderSPI: IKESPI, local: Endpoint, remote: Endpoint, pretendNAT: Bool
    ) -> [Payload] {
        let nowhere = nowhere(local.address.family)
        let hash = { (endpoint: Endpoint) in
            Self.hash(initiatorSPI: initiatorSPI, responderSPI: responderSPI, endpoint: endpoint)
        }
        return [
            .notify(NotifyPayload(.natDetectionSourceIP, data: hash(pretendNAT ? nowhere : local))),
            .notify(NotifyPayload(.natDetectionDestinationIP, data: hash(remote))),
        ]
    }

    /// SHA-1(SPIi | SPIr | address | port).
    public static func hash(initiatorSPI: IKESPI, responderSPI: IKESPI, endpoint: Endpoint) -> [UInt8] {
        let port = [UInt8(endpoint.port >> 8), UInt8(endpoint.port & 0xff)]
        return HashAlgorithm.sha1.digest(initiatorSPI.bytes, responderSPI.bytes, endpoint.address.bytes, port)
    }

    /// Where we pretend to be.
    private static func nowhere(_ family: IPAddress.Family) -> Endpoint {
        Endpoint(IPAddress.bounds(of: family).first, port: 0)
    }

    private static func data(of type: NotifyType, in payloads: [Payload]) -> [[UInt8]] {
        payloads.compactMap { payload in
            if case .notify(let notify) = payload, notify.type == type { notify.data } else { nil }
        }
    }
}
