// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditESP
internal import AditWire

/// Packets that wait for the SA that was asked for, so that the first packets of a connection are not lost (RFC 4301
/// §4.4.1).
///
/// Bounded in every way: the oldest packet of the policy, or of all, gives way. One worker's, not thread-safe. Memory
/// that no packet ever lay in is only reserved.
@safe struct HoldQueue: ~Copyable {
    /// Packets of one policy.
    static let policyLimit = 16
    /// Packets of all policies.
    static let capacity = 64
    /// Bytes of all packets.
    static let byteLimit = 1 << 20
    /// Bytes of a packet: whatever the tunnel's MTU, one that fits it can be held.
    static let packetLimit = PathMTU.largest
    /// How long a packet waits: through the first message's retransmissions to an address where nobody is, with the
    /// defaults, and the start at the next one.
    static let patience: UInt64 = 30_000_000_000
    /// From one buffer to the next.
    private static let stride = 65_536

    private struct Entry {
        var policy: PolicyID
        var length: Int
        var since: UInt64
        var buffer: Int
    }

    private let memory: UnsafeMutableRawPointer
    /// The entries in use are the first ``count``, oldest first; every buffer number appears once in all.
    private let entries: UnsafeMutablePointer<Entry>
    private(set) var count = 0
    private var byteCount = 0

    init() {
        // SAFETY: both blocks are this value's alone and freed in deinit; all indices are below the capacity.
        unsafe memory = .allocate(byteCount: Self.capacity * Self.stride, alignment: 64)
        unsafe entries = .allocate(capacity: Self.capacity)
        for index in 0..<Self.capacity {
            unsafe (entries + index).initialize(
                to: Entry(policy: PolicyID(rawValue: 0), length: 0, since: 0, buffer: index))
        }
    }

    deinit {
        unsafe memory.deallocate()
        unsafe entries.deallocate()
    }

    /// Whether nothing waits.
    var isEmpty: Bool { count == 0 }

    /// Keeps a copy of a finished packet; returns how many packets were lost for it: itself, or older ones.
    mutating func hold(_ packet: PacketBytes, policy: PolicyID, now: Timestamp) -> Int {
        guard packet.count <= Self.packetLimit else { return 1 }
        var oldest = -1
        var ofPolicy = 0
        for index in 0..<count where unsafe entries[index].policy == policy {
            if oldest < 0 { oldest = index }
            ofPolicy += 1
        }
        var lost = 0
        if ofPolicy >= Self.policyLimit {
            remove(oldest)
            lost = 1
        } else if count == Self.capacity {
            remove(0)
            lost = 1
        }
        while byteCount + packet.count > Self.byteLimit, count > 0 {
            remove(0)
            lost += 1
        }
        byteCount += packet.count
        let buffer = unsafe entries[count].buffer
        unsafe entries[count] = Entry(
            policy: policy, length: packet.count, since: now.nanoseconds, buffer: buffer)
        unsafe bytes(of: entries[count]).copy(packet, to: 0)
        count += 1
        return lost
    }

    /// The packet at `index`, oldest first.
    func packet(_ index: Int) -> PacketBytes {
        precondition(index >= 0 && index < count, "no such packet")
        return unsafe bytes(of: entries[index])
    }

    /// Whether the packet at `index` has waited long enough.
    func isExpired(_ index: Int, now: Timestamp) -> Bool {
        precondition(index >= 0 && index < count, "no such packet")
        return unsafe now.nanoseconds &- entries[index].since >= Self.patience
    }

    /// Takes the packet at `index` out.
    mutating func remove(_ index: Int) {
        precondition(index >= 0 && index < count, "no such packet")
        let entry = unsafe entries[index]
        byteCount -= entry.length
        for position in index..<count - 1 { unsafe entries[position] = entries[position + 1] }
        count -= 1
        unsafe entries[count] = entry
    }

    private func bytes(of entry: Entry) -> PacketBytes {
        unsafe PacketBytes(memory + entry.buffer * Self.stride, count: entry.length)
    }
}
