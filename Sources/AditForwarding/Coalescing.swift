// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditLinux
internal import AditWire

/// Merges decrypted TCP and UDP packets of one flow into super-packets, without copying, where that is lossless.
///
/// 1. ``add(_:header:)`` takes each packet of a batch in order; up to ``flowLimit`` flows are collected at once,
///    because parallel streams interleave. A packet that continues its flow's super-packet joins it; any other
///    packet of the flow sends what was collected before it, so the order within a flow stays.
/// 2. ``finish()`` ends everything collected.
/// 3. ``ready`` are the packets to be written, each a list of pieces that lie in the batch; ``clear()`` forgets them.
///
/// One worker's, not thread-safe. The memory of the packets must stay until the ready packets are written.
@safe struct Coalescing: ~Copyable {
    /// How many flows are collected at once.
    static let flowLimit = 8
    /// How many packets a super-packet has at most.
    static let pieceLimit = 128
    /// How many packets can be ready.
    static let readyLimit = 256

    /// A packet to be written.
    struct ReadyPacket {
        let firstPiece: Int
        let pieceCount: Int
        let offload: PacketOffload
    }

    private static let poolLimit = 2 * (flowLimit + 1) * pieceLimit

    private let limits: CoalescingLimits
    private let slots: UnsafeMutablePointer<CoalescingSlot?>
    private let slotPieces: UnsafeMutablePointer<PacketPiece>
    private let pool: UnsafeMutablePointer<PacketPiece>
    private let readyPackets: UnsafeMutablePointer<ReadyPacket>
    private var poolCount = 0
    private var oldest = 0
    private var openCount = 0
    private(set) var readyCount = 0

    /// For a device with `capabilities`; what it cannot take passes untouched.
    init(capabilities: DeviceCapabilities) {
        limits = CoalescingLimits(capabilities)
        // SAFETY: the four blocks are this value's alone and freed in deinit; all indices are below the limits.
        unsafe slots = .allocate(capacity: Self.flowLimit)
        unsafe slots.initialize(repeating: nil, count: Self.flowLimit)
        unsafe slotPieces = .allocate(capacity: Self.flowLimit * Self.pieceLimit)
        unsafe pool = .allocate(capacity: Self.poolLimit)
        unsafe readyPackets = .allocate(capacity: Self.readyLimit)
    }

    deinit {
        unsafe slots.deallocate()
        unsafe slotPieces.deallocate()
        unsafe pool.deallocate()
        unsafe readyPackets.deallocate()
    }

    /// Whether another packet can be added whatever it is; otherwise the ready ones must be written first.
    @inline(__always) var hasRoom: Bool {
        readyCount &+ Self.flowLimit < Self.readyLimit
            && poolCount &+ Self.flowLimit &* Self.pieceLimit < Self.poolLimit
    }

    /// Takes a complete packet with its header; ``hasRoom`` must hold.
    mutating func add(_ packet: PacketBytes, header: IPHeader) {
        guard !header.isFragment else {
            // A fragment's ports cannot be seen: it may belong to any flow.
            finish()
            return pass(packet)
        }
        guard header.ipProtocol == IPProtocol.tcp || header.ipProtocol == IPProtocol.udp,
            header.upperLength >= 8
        else { return pass(packet) }
        let flow = Self.flow(packet, header: header)
        let index = slot(of: flow)
        guard
            let candidate = CoalescingCandidate(packet, header: header, limits: limits)
        else {
            if index >= 0 { end(index) }
            return pass(packet)
        }
        if index >= 0 {
            if join(candidate, at: index) { return }
            end(index)
        }
        open(candidate, flow: flow)
    }

    /// Ends every super-packet that is being collected, the oldest first.
    mutating func finish() {
        guard openCount > 0 else { return }
        for step in 0..<Self.flowLimit {
            end((oldest &+ step) & (Self.flowLimit &- 1))
        }
    }

    /// The pieces of ready packet `index`, valid until ``clear()``.
    @inline(__always) func ready(_ index: Int) -> (pieces: UnsafeBufferPointer<PacketPiece>, offload: PacketOffload) {
        precondition(index >= 0 && index < readyCount, "no such ready packet")
        let packet = unsafe readyPackets[index]
        return unsafe (
            UnsafeBufferPointer(start: pool + packet.firstPiece, count: packet.pieceCount), packet.offload
        )
    }

    /// Forgets the ready packets.
    mutating func clear() {
        readyCount = 0
        poolCount = 0
    }

    /// A value that is equal for packets of one flow: addresses, protocol and ports mixed.
    @inline(__always) private static func flow(_ packet: PacketBytes, header: IPHeader) -> UInt64 {
        var mixed = UInt64(packet.raw32(header.headerLength)) &<< 8 | UInt64(header.ipProtocol)
        if header.isIPv6 {
            mixed = mix(mix(mixed, packet.raw64(8)), packet.raw64(16))
            return mix(mix(mixed, packet.raw64(24)), packet.raw64(32))
        }
        return mix(mixed, packet.raw64(12))
    }

    @inline(__always) private static func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = (left ^ 0x9e37_79b9_7f4a_7c15).multipliedFullWidth(by: right ^ 0xd6e8_feb8_6659_fd93)
        return product.high ^ product.low
    }

    @inline(__always) private func slot(of flow: UInt64) -> Int {
        for index in 0..<Self.flowLimit {
            if unsafe slots[index]?.flow == flow { return index }
        }
        return -1
    }

    @inline(__always) private mutating func join(_ candidate: CoalescingCandidate, at index: Int) -> Bool {
        guard let slot = unsafe slots[index], slot.count < Self.pieceLimit, slot.takes(candidate) else { return false }
        let piece = unsafe PacketPiece(
            start: UnsafeRawPointer(candidate.packet.start + candidate.headerLength), length: candidate.payloadLength)
        unsafe slotPieces[index &* Self.pieceLimit &+ slot.count] = piece
        unsafe slots[index]?.append(candidate)
        if unsafe slots[index]?.isClosed == true { end(index) }
        return true
    }

    @inline(__always) private mutating func open(_ candidate: CoalescingCandidate, flow: UInt64) {
        var index = oldest
        for step in 0..<Self.flowLimit {
            let next = (oldest &+ step) & (Self.flowLimit &- 1)
            if unsafe slots[next] == nil {
                index = next
                break
            }
        }
        end(index)
        if index == oldest { oldest = (oldest &+ 1) & (Self.flowLimit &- 1) }
        let slot = CoalescingSlot(candidate, flow: flow)
        unsafe slots[index] = slot
        openCount &+= 1
        unsafe slotPieces[index &* Self.pieceLimit] = PacketPiece(
            start: UnsafeRawPointer(candidate.packet.start), length: candidate.packet.count)
        if slot.isClosed { end(index) }
    }

    @inline(__always) private mutating func end(_ index: Int) {
        guard let slot = unsafe slots[index] else { return }
        let offload = slot.finish()
        unsafe emit(slotPieces + index &* Self.pieceLimit, count: slot.count, offload: offload)
        unsafe slots[index] = nil
        openCount &-= 1
    }

    @inline(__always) private mutating func pass(_ packet: PacketBytes) {
        var piece = unsafe PacketPiece(start: UnsafeRawPointer(packet.start), length: packet.count)
        unsafe withUnsafeMutablePointer(to: &piece) {
            unsafe emit($0, count: 1, offload: PacketOffload())
        }
    }

    @inline(__always)
    private mutating func emit(_ pieces: UnsafeMutablePointer<PacketPiece>, count: Int, offload: PacketOffload) {
        precondition(readyCount < Self.readyLimit && poolCount &+ count <= Self.poolLimit, "no room: see hasRoom")
        unsafe (pool + poolCount).update(from: pieces, count: count)
        unsafe readyPackets[readyCount] = ReadyPacket(firstPiece: poolCount, pieceCount: count, offload: offload)
        poolCount &+= count
        readyCount &+= 1
    }
}
