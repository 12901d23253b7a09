// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

internal import CLinux
internal import Glibc

/// One queue of a TUN device. One thread reads while the same or another one writes; nothing is allocated after the
/// initialiser.
@safe public final class TUNQueue: PacketDevice, @unchecked Sendable {
    // SAFETY (@unchecked Sendable): what was lost is the reader's, header and vectors are the writer's, the rest stays.

    /// The queue's descriptor, owned by the queue.
    public let descriptor: CInt
    /// Which super-packets may be written.
    public let capabilities: DeviceCapabilities
    /// Packets that were read but could not be understood or did not fit.
    public var unreadable: UInt64 { unsafe unreadableCount.pointee }
    /// Reading and writing share nothing but the descriptor, and all queues lead to one interface.
    public let isFullDuplex = true

    /// The most pieces that one packet may have.
    public static let pieceLimit = 512

    private let owned: OwnedDescriptor
    private let header: UnsafeMutableRawPointer
    private let vectors: UnsafeMutablePointer<iovec>
    /// In memory of its own: a class's variable would be checked for exclusive access at each use.
    private let unreadableCount: UnsafeMutablePointer<UInt64>

    init(descriptor: OwnedDescriptor, offloads: TUNOffloads) {
        owned = descriptor
        self.descriptor = descriptor.value
        capabilities = offloads.capabilities
        // SAFETY: the blocks live as long as the queue and are freed only in deinit.
        unsafe unreadableCount = .allocate(capacity: 1)
        unsafe unreadableCount.initialize(to: 0)
        unsafe header = .allocate(byteCount: VirtioHeader.size, alignment: 8)
        unsafe vectors = .allocate(capacity: Self.pieceLimit + 1)
        unsafe vectors.initialize(repeating: iovec(), count: Self.pieceLimit + 1)
    }

    deinit {
        unsafe header.deallocate()
        unsafe vectors.deallocate()
        unsafe unreadableCount.deallocate()
    }

    /// One read for each slot until nothing is there or the batch is full.
    public func read(into batch: PacketBatch) -> DeviceResult {
        var count = 0
        let room = PacketBatch.packetLimit + VirtioHeader.size
        // As many reads as slots, so that a stream of unreadable packets ends too.
        for _ in 0..<batch.capacity {
            let offset = count * batch.stride + PacketBatch.headRoom
            // SAFETY: the header lies in the slot's head-room and the packet ends before its tail-room.
            let start = unsafe batch.base + offset - VirtioHeader.size
            let (length, code) = SystemCall.attempt { unsafe Glibc.read(descriptor, start, room) }
            guard code == 0 else {
                batch.count = count
                if code == EAGAIN { return count > 0 ? .done : .wouldBlock }
                return count > 0 ? .done : .failed(code)
            }
            guard length > VirtioHeader.size, let offload = unsafe VirtioHeader.decode(start) else {
                unsafe unreadableCount.pointee &+= 1
                continue
            }
            unsafe batch.slots[count] = PacketBatch.Slot(
                offset: offset, length: length - VirtioHeader.size, offload: offload)
            count += 1
        }
        batch.count = count
        return .done
    }

    /// One `writev` of the virtio header and the pieces, at most ``pieceLimit``.
    public func write(_ pieces: UnsafeBufferPointer<PacketPiece>, offload: PacketOffload) -> DeviceResult {
        guard !pieces.isEmpty, pieces.count <= Self.pieceLimit else { return .failed(EMSGSIZE) }
        unsafe VirtioHeader.encode(offload, to: header)
        unsafe vectors[0] = unsafe iovec(iov_base: header, iov_len: VirtioHeader.size)
        // SAFETY: the caller lends the pieces for the call; there is one vector more than pieces.
        for index in pieces.indices {
            unsafe vectors[index + 1] = unsafe iovec(
                iov_base: UnsafeMutableRawPointer(mutating: pieces[index].start), iov_len: pieces[index].length)
        }
        let count = CInt(truncatingIfNeeded: pieces.count + 1)
        let (_, code) = SystemCall.attempt { unsafe writev(descriptor, vectors, count) }
        if code == 0 { return .done }
        return code == EAGAIN ? .wouldBlock : .failed(code)
    }
}
