// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditESP
internal import AditWire

/// Packets that wait for the SA that was asked for, so that the first packets of a connection are not lost (RFC 4301
/// §4.4.1).
///
/// Bounded in every way: the oldest packet of the policy, or of all, gives way. One worker's, not thread-safe.
@safe struct HoldQueue: ~Copyable {
    /// Packets of one policy.
    static let policyLimit = 16
    /// Packets of all policies.
    static let capacity = 64
    /// Bytes of a packet; larger ones are not held.
    static let packetLimit = 1500
    /// How long a packet waits.
    static let patience: UInt64 = 5_000_000_000

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

    init() {
        // SAFETY: both blocks are this value's alone and freed in deinit; all indices are below the capacity.
        unsafe memory = .allocate(byteCount: Self.capacity * Self.packetLimit, alignment: 64)
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

    /// Keeps a copy of a finished packet; returns how many packets were lost for it, 1 being itself or an older one.
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
        for position in index..<count - 1 { unsafe entries[position] = entries[position + 1] }
        count -= 1
        unsafe entries[count] = entry
    }

    private func bytes(of entry: Entry) -> PacketBytes {
        unsafe PacketBytes(memory + entry.buffer * Self.packetLimit, count: entry.length)
    }
}
