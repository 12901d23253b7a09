// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

public import AditWire

/// What the packet threads tell the control thread through a ``Mailbox``, as values.
public enum ForwardingHint: Hashable, Sendable {
    /// A packet matched this policy and there is no SA for it. At most one a second and flow.
    case acquire(policy: UInt32, packet: FlowKey)
    /// The first authenticated packet on a new inbound SA: the peer uses it, so its predecessor may go.
    case firstPacket(inboundSPI: SPI)
    /// Authenticated traffic arrived: the peer is alive. At most one a second and SA.
    case activity(inboundSPI: SPI)
    /// A byte, packet or sequence number limit of the pair was passed. At most one a second and SA.
    case lifetimeReached(inboundSPI: SPI)
    /// The newest authenticated in-window packet came from another endpoint (RFC 7296 §2.23). Only on a change.
    case peerMoved(inboundSPI: SPI, to: Endpoint)
    /// The kernel refused a datagram to this peer as larger than the path: its MTU is to be asked for.
    case pathTooSmall(peer: Endpoint)
    /// ESP arrived with an SPI that names no SA, so its sender may have outlived one of ours. At most one a second.
    case unknownSPI(SPI, from: Endpoint)
    /// The device can no longer be read, by this errno: its interface is gone. Once for each worker.
    case deviceFailed(code: CInt)

    /// The hint as a mailbox carries it.
    @inlinable public var message: Mailbox.Hint {
        switch self {
        case .acquire(let policy, let packet): Self.message(policy, packet)
        case .firstPacket(let spi): Mailbox.Hint(kind: 2, first: UInt64(spi.rawValue))
        case .activity(let spi): Mailbox.Hint(kind: 3, first: UInt64(spi.rawValue))
        case .lifetimeReached(let spi): Mailbox.Hint(kind: 4, first: UInt64(spi.rawValue))
        case .peerMoved(let spi, let peer): Self.message(kind: 5, UInt64(spi.rawValue), peer)
        case .pathTooSmall(let peer): Self.message(kind: 6, 0, peer)
        case .unknownSPI(let spi, let peer): Self.message(kind: 7, UInt64(spi.rawValue), peer)
        case .deviceFailed(let code): Mailbox.Hint(kind: 8, first: UInt64(UInt32(bitPattern: code)))
        }
    }

    /// The hint that a mailbox carried; nil when `message` is none of these.
    @inlinable public init?(_ message: Mailbox.Hint) {
        let spi = SPI(rawValue: UInt32(truncatingIfNeeded: message.first))
        switch message.kind & 0xff {
        case 1: self = .acquire(policy: UInt32(truncatingIfNeeded: message.first), packet: Self.packet(message))
        case 2: self = .firstPacket(inboundSPI: spi)
        case 3: self = .activity(inboundSPI: spi)
        case 4: self = .lifetimeReached(inboundSPI: spi)
        case 5: self = .peerMoved(inboundSPI: spi, to: Self.endpoint(message))
        case 6: self = .pathTooSmall(peer: Self.endpoint(message))
        case 7: self = .unknownSPI(spi, from: Self.endpoint(message))
        case 8: self = .deviceFailed(code: CInt(truncatingIfNeeded: message.first))
        default: return nil
        }
    }

    /// Low byte: the kind; bit 8: IPv6; bit 9: ports that can be seen; from bit 16: the protocol. The first value: the
    /// policy, and from the top source and destination port. The others: both addresses.
    @inlinable static func message(_ policy: UInt32, _ packet: FlowKey) -> Mailbox.Hint {
        let flags: UInt32 = (packet.family == .v6 ? 0x100 : 0) | (packet.portsVisible ? 0x200 : 0)
        let ports = UInt64(packet.sourcePort) << 48 | UInt64(packet.destinationPort) << 32
        var hint = Mailbox.Hint(
            kind: 1 | flags | UInt32(packet.ipProtocol) << 16, first: ports | UInt64(policy),
            second: packet.sourceHigh, third: packet.sourceLow)
        hint.fourth = packet.destinationHigh
        hint.fifth = packet.destinationLow
        return hint
    }

    @inlinable static func packet(_ message: Mailbox.Hint) -> FlowKey {
        let address: (UInt64, UInt64) -> IPAddress = {
            message.kind & 0x100 != 0 ? IPAddress(v6High: $0, low: $1) : IPAddress(v4: UInt32(truncatingIfNeeded: $1))
        }
        return FlowKey(
            source: address(message.second, message.third), destination: address(message.fourth, message.fifth),
            ipProtocol: UInt8(truncatingIfNeeded: message.kind >> 16),
            sourcePort: UInt16(truncatingIfNeeded: message.first >> 48),
            destinationPort: UInt16(truncatingIfNeeded: message.first >> 32), portsVisible: message.kind & 0x200 != 0)
    }

    /// Low byte: the kind; bit 8: IPv6; high half: the port. The address lies in the second and third value.
    @inlinable static func message(kind: UInt32, _ first: UInt64, _ peer: Endpoint) -> Mailbox.Hint {
        let family: UInt32 = peer.address.family == .v6 ? 0x100 : 0
        return Mailbox.Hint(
            kind: kind | family | UInt32(peer.port) << 16, first: first, second: peer.address.high,
            third: peer.address.low)
    }

    @inlinable static func endpoint(_ message: Mailbox.Hint) -> Endpoint {
        let address =
            message.kind & 0x100 != 0
            ? IPAddress(v6High: message.second, low: message.third)
            : IPAddress(v4: UInt32(truncatingIfNeeded: message.third))
        return Endpoint(address, port: UInt16(truncatingIfNeeded: message.kind >> 16))
    }
}
