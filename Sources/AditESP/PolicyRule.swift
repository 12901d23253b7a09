// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

internal import AditWire

/// What a policy lookup ends in, as one word: the address of an ``OutboundSA``, or a policy's number, or nothing.
struct PolicyTarget: Equatable {
    /// The low two bits say what the rest is; an SA's address is aligned to 64.
    let word: UInt

    static let none = PolicyTarget(word: 0)
    /// Not an SA, and not an acquire: the packet is dropped.
    init(drop id: PolicyID) { word = UInt(id.rawValue) << 2 | 2 }

    init(word: UInt) { self.word = word }
    init(_ sa: UnsafeMutablePointer<OutboundSA>) { word = UInt(bitPattern: sa) }
    init(acquire id: PolicyID) { word = UInt(id.rawValue) << 2 | 1 }

    var isSA: Bool { word & 3 == 0 && word != 0 }

    /// The verdict for a packet.
    @inline(__always) var verdict: OutboundVerdict {
        // SAFETY: only addresses of published SAs have no tag; the reader's epoch keeps them alive.
        if word & 3 == 0 {
            guard let sa = unsafe UnsafeMutablePointer<OutboundSA>(bitPattern: word) else {
                return unsafe .drop(.noPolicy)
            }
            return unsafe .protect(sa)
        }
        if word & 3 == 1 { return unsafe .acquire(PolicyID(rawValue: UInt32(truncatingIfNeeded: word >> 2))) }
        return unsafe .drop(.noPolicy)
    }
}

/// One rule among those of one pair of address blocks: protocol, ports, and what comes of it.
struct PolicyRule {
    let target: PolicyTarget
    let ipProtocol: UInt8
    let localPorts: PortRange
    let remotePorts: PortRange
    var order: UInt32
    /// When it was added: of equal rules the newest wins.
    let age: UInt64

    @inline(__always) func matches(_ flow: FlowKey) -> Bool {
        guard ipProtocol == 0 || ipProtocol == flow.ipProtocol else { return false }
        let visible = flow.portsVisible
        return localPorts.matches(flow.sourcePort, visible: visible)
            && remotePorts.matches(flow.destinationPort, visible: visible)
    }

    /// Whether it matches the same packets.
    func isLike(_ other: PolicyRule) -> Bool {
        ipProtocol == other.ipProtocol && localPorts == other.localPorts && remotePorts == other.remotePorts
    }

    /// Most specific first, then an SA before a policy without one, then the smaller order, then the newer.
    func precedes(_ other: PolicyRule) -> Bool {
        if breadth != other.breadth { return breadth < other.breadth }
        if target.isSA != other.target.isSA { return target.isSA }
        if order != other.order { return order < other.order }
        return age > other.age
    }

    private var breadth: UInt64 {
        localPorts.breadth * remotePorts.breadth + (ipProtocol == 0 ? 1 << 33 : 0)
    }
}

/// A pair of address blocks, local and remote, that rules hang on.
struct PolicyBlock: Hashable {
    /// The shape of the pair: what is masked before hashing.
    struct Shape: Hashable {
        let family: IPAddress.Family
        let localLength: UInt8
        let remoteLength: UInt8
    }

    let shape: Shape
    let localHigh: UInt64
    let localLow: UInt64
    let remoteHigh: UInt64
    let remoteLow: UInt64

    init(local: IPPrefix, remote: IPPrefix) {
        shape = Shape(
            family: local.address.family, localLength: UInt8(local.length), remoteLength: UInt8(remote.length))
        localHigh = local.first.high
        localLow = local.first.low
        remoteHigh = remote.first.high
        remoteLow = remote.first.low
    }

    var hash: UInt64 { Self.hash(localHigh, localLow, remoteHigh, remoteLow) }

    /// Nonzero, as ``ProbeTable`` wants.
    @inline(__always) static func hash(
        _ localHigh: UInt64, _ localLow: UInt64, _ remoteHigh: UInt64, _ remoteLow: UInt64
    ) -> UInt64 {
        var hash = (remoteLow ^ remoteLow >> 32) &* 0xbf58_476d_1ce4_e5b9
        hash = (hash ^ hash >> 29 ^ localLow) &* 0x94d0_49bb_1331_11eb
        hash = (hash ^ hash >> 32 ^ remoteHigh) &* 0xd6e8_feb8_6659_fd93
        hash = (hash ^ hash >> 29 ^ localHigh) &* 0x9e37_79b9_7f4a_7c15
        return (hash ^ hash >> 32) | 1
    }
}

/// The rules that one set of local and remote selectors comes to.
struct PolicyExpansion {
    struct Entry {
        let block: PolicyBlock
        let ipProtocol: UInt8
        let localPorts: PortRange
        let remotePorts: PortRange
    }

    private(set) var entries: [Entry] = []

    /// More pairs of blocks than this are refused: a range takes up to 62 IPv4 or 254 IPv6 blocks.
    static let limit = 8192

    /// Every local with every remote selector of the same family and a common protocol.
    init(local: [TrafficSelector], remote: [TrafficSelector]) throws(SATableError) {
        let localBlocks = local.map(\.prefixes)
        let remoteBlocks = remote.map(\.prefixes)
        for (here, hereBlocks) in zip(local, localBlocks) {
            for (there, thereBlocks) in zip(remote, remoteBlocks) where here.family == there.family {
                guard here.ipProtocol == there.ipProtocol || here.ipProtocol == 0 || there.ipProtocol == 0
                else { continue }
                guard entries.count + hereBlocks.count * thereBlocks.count <= Self.limit
                else { throw .tooManySelectors }
                for first in hereBlocks {
                    for second in thereBlocks {
                        entries.append(
                            Entry(
                                block: PolicyBlock(local: first, remote: second),
                                ipProtocol: here.ipProtocol == 0 ? there.ipProtocol : here.ipProtocol,
                                localPorts: PortRange(here), remotePorts: PortRange(there)))
                    }
                }
            }
        }
    }
}
