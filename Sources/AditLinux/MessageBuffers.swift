// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

internal import AditWire
internal import CLinux
internal import Glibc

/// The memory that recvmmsg and sendmmsg need beside the payload: headers, vectors, names and ancillary data, allocated
/// once.
///
/// Used by one thread at a time. Payload memory is the caller's, and is lent until the call that uses the message has
/// returned.
@safe final class MessageBuffers {
    /// How many messages one call takes.
    let capacity: Int

    /// The messages, side by side as the system call wants them.
    private let messages: UnsafeMutablePointer<adit_message>
    /// Behind them the vector, the name and the ancillary data of each: a lone datagram touches one page.
    private let parts: UnsafeMutableRawPointer
    private static let nameOffset = 16
    private static let controlOffset = nameOffset + SocketAddress.room
    private static let controlRoom = Int(adit_ancillary_room)
    private static let partsSize = controlOffset + controlRoom

    init(capacity: Int) {
        self.capacity = capacity
        let messagesSize = unsafe capacity * MemoryLayout<adit_message>.stride
        // SAFETY: the block lives as long as this object and is freed only in deinit; each message's pointers stay
        // inside it.
        let block = UnsafeMutableRawPointer.allocate(
            byteCount: messagesSize + capacity * Self.partsSize, alignment: 4096)
        unsafe messages = block.bindMemory(to: adit_message.self, capacity: capacity)
        unsafe parts = block + messagesSize
        unsafe messages.initialize(repeating: adit_message(), count: capacity)
        for index in 0..<capacity {
            unsafe (parts + index * Self.partsSize).bindMemory(to: iovec.self, capacity: 1).initialize(to: iovec())
            unsafe messages[index].header.msg_name = unsafe name(index)
            unsafe messages[index].header.msg_control = unsafe control(index)
            unsafe messages[index].header.msg_iov = unsafe vector(index)
            unsafe messages[index].header.msg_iovlen = 1
        }
    }

    deinit { unsafe UnsafeMutableRawPointer(messages).deallocate() }

    @inline(__always) private func vector(_ index: Int) -> UnsafeMutablePointer<iovec> {
        unsafe (parts + index &* Self.partsSize).assumingMemoryBound(to: iovec.self)
    }

    @inline(__always) private func name(_ index: Int) -> UnsafeMutableRawPointer {
        unsafe parts + (index &* Self.partsSize &+ Self.nameOffset)
    }

    @inline(__always) private func control(_ index: Int) -> UnsafeMutableRawPointer {
        unsafe parts + (index &* Self.partsSize &+ Self.controlOffset)
    }

    /// Makes message `index` receive up to `length` bytes at `start`.
    @inline(__always)
    func prepareToReceive(_ index: Int, at start: UnsafeMutableRawPointer, length: Int) {
        unsafe vector(index).pointee = unsafe iovec(iov_base: start, iov_len: length)
        unsafe messages[index].header.msg_namelen = socklen_t(SocketAddress.room)
        unsafe messages[index].header.msg_controllen = Self.controlRoom
        unsafe messages[index].header.msg_flags = 0
    }

    /// Receives into the messages from the first to before `count`; returns how many were filled, and 0 with the errno
    /// when none was.
    @inline(__always)
    func receive(_ count: Int, from descriptor: CInt) -> (count: Int, code: CInt) {
        let (filled, code) = SystemCall.attempt {
            unsafe adit_recvmmsg(descriptor, messages, CUnsignedInt(count), CInt(MSG_DONTWAIT))
        }
        return (max(0, Int(filled)), code)
    }

    /// What message `index` brought, with offset 0; nil for what is empty, cut off or from nowhere.
    @inline(__always)
    func received(_ index: Int, on socket: BoundSocket) -> DatagramBatch.Run? {
        let header = unsafe messages[index].header
        let length = unsafe Int(messages[index].length)
        guard length > 0, unsafe header.msg_flags & CInt(MSG_TRUNC) == 0, let name = unsafe header.msg_name,
            let remote = unsafe SocketAddress.decode(name, length: header.msg_namelen)
        else { return nil }
        var ancillary = adit_ancillary()
        unsafe adit_read_ancillary(&messages[index].header, &ancillary)
        let segment = Int(ancillary.segment_size)
        let local = Self.localAddress(ancillary) ?? socket.address
        return DatagramBatch.Run(
            offset: 0, length: length, segmentSize: segment > 0 && segment < length ? segment : length, remote: remote,
            local: Endpoint(local, port: socket.port), trafficClass: ancillary.traffic_class)
    }

    /// Makes message `index` send `length` bytes at `start`; `segmentSize` 0 means as one datagram.
    @inline(__always)
    func prepareToSend(
        _ index: Int, start: UnsafeRawPointer, length: Int, segmentSize: Int, remote: Endpoint, local: IPAddress,
        trafficClass: UInt8, on socket: BoundSocket
    ) {
        unsafe vector(index).pointee = unsafe iovec(
            iov_base: UnsafeMutableRawPointer(mutating: start), iov_len: length)
        unsafe messages[index].header.msg_namelen = SocketAddress.encode(remote, to: name(index))
        // A socket bound to an address sends from it by itself.
        let hasHint = !local.isUnspecified && local.family == socket.family && socket.address.isUnspecified
        var source = (UInt64(0), UInt64(0))
        unsafe messages[index].header.msg_controllen = unsafe withUnsafeMutableBytes(of: &source) { bytes in
            // SAFETY: 16 bytes of this frame take either family's address; the control block has room for all parts.
            guard let memory = bytes.baseAddress else { return 0 }
            if hasHint { unsafe SocketAddress.encode(local, to: memory) }
            return unsafe adit_write_ancillary(
                control(index), socket.family.socketFamily, CUnsignedInt(segmentSize),
                hasHint ? socket.family.socketFamily : 0, memory.assumingMemoryBound(to: UInt8.self),
                CUnsignedInt(trafficClass))
        }
    }

    /// Sends the messages `first ..< end`; returns how many the kernel took, and 0 with the errno when it refused the
    /// first.
    @inline(__always)
    func send(_ first: Int, _ end: Int, on descriptor: CInt) -> (count: Int, code: CInt) {
        let (sent, code) = SystemCall.attempt {
            unsafe adit_sendmmsg(descriptor, messages + first, CUnsignedInt(end - first), CInt(MSG_DONTWAIT))
        }
        return (max(0, Int(sent)), code)
    }

    @inline(__always)
    private static func localAddress(_ ancillary: adit_ancillary) -> IPAddress? {
        unsafe withUnsafeBytes(of: ancillary.local) { bytes in
            guard let start = bytes.baseAddress else { return nil }
            return switch ancillary.local_family {
            case AF_INET: unsafe SocketAddress.decodeV4(start)
            case AF_INET6: unsafe SocketAddress.decodeV6(start)
            default: nil
            }
        }
    }
}
