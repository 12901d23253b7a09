// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

/// Inner packets on their way between a ``PacketDevice`` and the packet paths.
///
/// One block of memory, allocated once; a slot is a run of bytes in it with head-room before and tail-room after. A
/// slot holds a plain packet or a super-packet (up to 64 KB that the kernel did not split yet), as ``Slot/offload``
/// says. Owned by one worker, not thread-safe.
@safe public final class PacketBatch {
    /// One packet or super-packet.
    public struct Slot {
        /// Where the packet's first byte lies, from ``base``.
        public var offset: Int
        /// The packet's length in bytes.
        public var length: Int
        /// What the kernel left to be done, or is asked to do.
        public var offload: PacketOffload

        /// A slot.
        @inlinable public init(offset: Int, length: Int, offload: PacketOffload) {
            self.offset = offset
            self.length = length
            self.offload = offload
        }
    }

    /// Room before each packet: virtio header, outer header, IV.
    public static let headRoom = 64
    /// Room after each packet: padding, trailer and the largest ICV.
    public static let tailRoom = 64
    /// The largest packet a slot takes.
    public static let packetLimit = 65_535

    /// How many slots there are.
    public let capacity: Int
    /// Bytes from one slot's beginning to the next's.
    public let stride: Int
    /// The block; slot `i` may use `i * stride ..< (i + 1) * stride`.
    public let base: UnsafeMutableRawPointer
    /// The slots in use are `slots[0 ..< count]`.
    public let slots: UnsafeMutablePointer<Slot>
    /// How many slots are in use. Beside them in memory: a class's own variable would be checked for exclusive access
    /// at each use.
    @inlinable public var count: Int {
        get { unsafe counter.pointee }
        set { unsafe counter.pointee = newValue }
    }
    @usableFromInline let counter: UnsafeMutablePointer<Int>

    /// A batch of `capacity` slots, each for a super-packet.
    public init(capacity: Int) {
        self.capacity = capacity
        stride = (Self.headRoom + Self.packetLimit + Self.tailRoom + 63) & ~63
        // SAFETY: both blocks live as long as the batch and are freed only in deinit; the second is the count with the
        // slots behind it.
        unsafe base = .allocate(byteCount: capacity * stride, alignment: 64)
        let table = UnsafeMutableRawPointer.allocate(
            byteCount: 64 + capacity * MemoryLayout<Slot>.stride, alignment: 64)
        unsafe counter = table.bindMemory(to: Int.self, capacity: 1)
        unsafe counter.initialize(to: 0)
        unsafe slots = (table + 64).bindMemory(to: Slot.self, capacity: capacity)
        unsafe slots.initialize(repeating: Slot(offset: 0, length: 0, offload: PacketOffload()), count: capacity)
    }

    deinit {
        unsafe base.deallocate()
        unsafe UnsafeMutableRawPointer(counter).deallocate()
    }
}

/// The virtio-net header in values (virtio 1.2 §5.1.6): what is left to be done to a packet's checksum and
/// segmentation.
public struct PacketOffload: Hashable, Sendable {
    /// How a super-packet is to be split.
    public enum Segmentation: UInt8, Sendable { case none, tcpV4, tcpV6, udp }

    /// How, or that it is a plain packet.
    public var segmentation: Segmentation = .none
    /// TCP ECN: CWR is set on the first segment only.
    public var ecn = false
    /// Payload bytes of each segment but the last.
    public var segmentSize: UInt16 = 0
    /// The length of all headers, as the kernel believes; a hint to be checked.
    public var headerLength: UInt16 = 0
    /// Whether the checksum at ``checksumOffset`` after ``checksumStart`` holds only the pseudo-header's sum.
    public var needsChecksum = false
    /// Where the checksummed bytes begin.
    public var checksumStart: UInt16 = 0
    /// Where the checksum lies, from ``checksumStart``.
    public var checksumOffset: UInt16 = 0

    /// A plain, finished packet.
    @inlinable public init() {}
}

/// One piece of a packet to be written to a device, for gathered writes without copying.
@unsafe public struct PacketPiece {
    /// Where it lies.
    public var start: UnsafeRawPointer
    /// Its length in bytes.
    public var length: Int

    /// A piece.
    @inlinable public init(start: UnsafeRawPointer, length: Int) {
        unsafe self.start = start
        unsafe self.length = length
    }
}
