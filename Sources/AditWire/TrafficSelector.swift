// SPDX-License-Identifier: Apache-2.0
// Adit: AditWire

/// One traffic selector (RFC 7296 §3.13.1): a range of addresses and ports of one protocol.
///
/// For ICMP and ICMPv6 the ports carry type and code, type in the high byte (RFC 7296 §3.13.1).
/// A selector with `firstPort > lastPort` (OPAQUE, 65535 to 0) matches only packets whose ports cannot be seen.
public struct TrafficSelector: Hashable, Sendable {
    /// The IP protocol; 0 is any.
    public var ipProtocol: UInt8
    /// The first port, 0 with ``lastPort`` 65535 for any.
    public var firstPort: UInt16
    /// The last port, inclusive.
    public var lastPort: UInt16
    /// The first address.
    public var first: IPAddress
    /// The last address, inclusive and of the same family.
    public var last: IPAddress

    /// A selector; nil when the addresses are of two families or in the wrong order.
    public init?(
        first: IPAddress, last: IPAddress, ipProtocol: UInt8 = 0, firstPort: UInt16 = 0, lastPort: UInt16 = .max
    ) {
        guard first.family == last.family, first <= last else { return nil }
        self.ipProtocol = ipProtocol
        self.firstPort = firstPort
        self.lastPort = lastPort
        self.first = first
        self.last = last
    }

    /// All traffic of the addresses in `prefix`.
    public init(_ prefix: IPPrefix, ipProtocol: UInt8 = 0, firstPort: UInt16 = 0, lastPort: UInt16 = .max) {
        self.ipProtocol = ipProtocol
        self.firstPort = firstPort
        self.lastPort = lastPort
        self.first = prefix.first
        self.last = prefix.last
    }

    /// The address family.
    public var family: IPAddress.Family { first.family }

    /// Whether every port is meant.
    public var anyPort: Bool { firstPort == 0 && lastPort == .max }

    /// The traffic that both `self` and `other` describe; nil when there is none.
    public func intersection(_ other: TrafficSelector) -> TrafficSelector? {
        guard ipProtocol == other.ipProtocol || ipProtocol == 0 || other.ipProtocol == 0 else { return nil }
        let low = max(first, other.first)
        let high = min(last, other.last)
        guard first.family == other.first.family, low <= high else { return nil }
        let ports: (UInt16, UInt16)
        if anyPort {
            ports = (other.firstPort, other.lastPort)
        } else if other.anyPort {
            ports = (firstPort, lastPort)
        } else if firstPort > lastPort || other.firstPort > other.lastPort {
            // OPAQUE meets only OPAQUE (RFC 4301 §4.4.1.1).
            guard firstPort == other.firstPort, lastPort == other.lastPort else { return nil }
            ports = (firstPort, lastPort)
        } else {
            ports = (max(firstPort, other.firstPort), min(lastPort, other.lastPort))
            guard ports.0 <= ports.1 else { return nil }
        }
        return TrafficSelector(
            first: low, last: high, ipProtocol: ipProtocol == 0 ? other.ipProtocol : ipProtocol,
            firstPort: ports.0, lastPort: ports.1)
    }

    /// Whether every packet of `other` is a packet of `self`.
    public func contains(_ other: TrafficSelector) -> Bool { intersection(other) == other }
}
