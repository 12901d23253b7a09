// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks

public import AditLinux
internal import AditWire

// Links in this folder lead to the files of AditForwarding that split and join packets: both are parts of the walks,
// and nothing outside of that module can call them alone.

/// One super-packet of TCP that is split into segments, and the segments that are joined again.
public final class SplitSubject: @unchecked Sendable {
    // Used by one thread at a time.
    private let whole: PacketBytes
    private let offload: PacketOffload
    private let segments: UnsafeMutableRawPointer
    private let stride: Int
    /// The first segment's headers, which become those of the super-packet when it is joined.
    private let head: UnsafeMutableRawPointer
    private var coalescing = Coalescing(capabilities: [.checksum, .tcpSegmentation, .udpSegmentation])

    /// How many segments there are.
    public private(set) var count = 0

    /// `packet` is a super-packet as a device gives it.
    public init(_ packet: [UInt8], offload: PacketOffload) {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: packet.count, alignment: 64)
        memory.copyMemory(from: packet, byteCount: packet.count)
        whole = PacketBytes(memory, count: packet.count)
        self.offload = offload
        stride = (Int(offload.headerLength) + Int(offload.segmentSize) + 63) & ~63
        segments = .allocate(byteCount: stride * (packet.count / Int(offload.segmentSize) + 1), alignment: 64)
        head = .allocate(byteCount: Int(offload.headerLength), alignment: 64)
        split()
        head.copyMemory(from: segments, byteCount: Int(offload.headerLength))
    }

    deinit {
        whole.start.deallocate()
        segments.deallocate()
        head.deallocate()
    }

    /// Splits the super-packet.
    public func split() {
        guard let header = whole.ipHeader, let plan = Segmentation(whole, header: header, offload: offload) else {
            fatalError("not a super-packet")
        }
        count = plan.count
        for index in 0..<plan.count {
            plan.write(index, from: whole, to: PacketBytes(segments + index * stride, count: plan.length(index)))
        }
    }

    /// Joins what was split to one super-packet again, and drops it. The bytes of the payload stay where they are.
    public func join() {
        segments.copyMemory(from: head, byteCount: Int(offload.headerLength))
        for index in 0..<count {
            let length = min(
                Int(offload.segmentSize), whole.count - Int(offload.headerLength) - index * Int(offload.segmentSize))
            let packet = PacketBytes(segments + index * stride, count: Int(offload.headerLength) + length)
            guard let header = packet.ipHeader else { fatalError("not a segment") }
            coalescing.add(packet, header: header)
        }
        coalescing.finish()
        guard coalescing.readyCount == 1 else { fatalError("not joined: \(coalescing.readyCount) packets") }
        coalescing.clear()
    }
}
